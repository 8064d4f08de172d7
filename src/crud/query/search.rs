//! The words of a search: `ada "analytical engine"`.

use crate::crud::schema::check::Fault;
use crate::service::Limit;

/// Words of one search.
const MOST_WORDS: usize = 16;
/// Bytes of one search.
const LONGEST: usize = 4096;

/// The words, and what stands in quotation marks as one, without those that no letter or digit is in.
pub(super) fn words(text: &str) -> Result<Vec<String>, Fault> {
    if text.len() > LONGEST {
        return Err(
            Fault::new("too_long", format!("may have at most {LONGEST} bytes")).limit(Limit::Int(LONGEST as i64))
        );
    }
    let mut words = Vec::new();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part);
        } else {
            words.extend(part.split_whitespace());
        }
    }
    let words: Vec<String> = words
        .into_iter()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        // Nothing is a mark that a store could take for more than a letter.
        .map(|word| word.replace(|c: char| c.is_control() || c == '\\', " "))
        .collect();
    match words.len() {
        0 => Err(Fault::new("missing", "must hold a word")),
        count if count > MOST_WORDS => {
            Err(Fault::new("too_long", format!("may have at most {MOST_WORDS} words"))
                .limit(Limit::Int(MOST_WORDS as i64)))
        }
        _ => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_phrases_are_told_apart() {
        let read = |text: &str| words(text).map_err(|fault| fault.code);
        assert_eq!(read("ada  lovelace").unwrap(), ["ada", "lovelace"]);
        assert_eq!(read(r#"the "analytical engine" of"ada"#).unwrap(), ["the", "analytical engine", "of", "ada"]);
        assert_eq!(read(r#"-ada NEAR(b c) a*"#).unwrap(), ["-ada", "NEAR(b", "c)", "a*"]);
        assert_eq!(read("a\0b - \"\" \\").unwrap(), ["a b"]);
        assert_eq!(read(" \"-\" "), Err("missing"));
        assert_eq!(read(&"a ".repeat(17)), Err("too_long"));
        assert_eq!(read(&"a".repeat(4097)), Err("too_long"));
    }
}
