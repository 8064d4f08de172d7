//! Header fields that are a value with parameters: `form-data; name="a"` (RFC 9110, 5.6.6).

/// A value in small letters, and its parameters by names in small letters.
pub(super) type Parameters = (String, Vec<(String, String)>);

/// Reads such a field; none where it is malformed, or says something twice.
pub(super) fn parse(text: &str) -> Option<Parameters> {
    let (value, mut rest) = text.split_once(';').unwrap_or((text, ""));
    let mut found: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some((value.trim().to_ascii_lowercase(), found));
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let after = after.trim_start_matches([' ', '\t']);
        let (value, end) = match after.strip_prefix('"') {
            Some(inside) => quoted(inside)?,
            None => {
                let (value, end) = after.split_at(after.find(';').unwrap_or(after.len()));
                (value.trim_end().to_owned(), end)
            }
        };
        if name.is_empty() || name.contains(';') || found.iter().any(|(own, _)| *own == name) {
            return None;
        }
        found.push((name, value));
        rest = end;
    }
}

/// The text up to the closing quote, and what comes after it, which is nothing or another parameter.
///
/// A backslash before anything but a quote or another one stands for itself: some clients send whole paths, as `C:\a\b.txt`.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let rest = text[at + 1..].trim_start_matches([' ', '\t']);
                return (rest.is_empty() || rest.starts_with(';')).then_some((value, rest));
            }
            '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            char => value.push(char),
        }
    }
    None
}

/// The parameter of this name.
pub(super) fn get<'p>((_, parameters): &'p Parameters, name: &str) -> Option<&'p str> {
    parameters.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> Option<String> {
        parse(text).and_then(|all| get(&all, name).map(str::to_owned))
    }

    #[test]
    fn parameters_are_read_as_clients_write_them() {
        assert_eq!(parse("Form-Data").map(|all| all.0).as_deref(), Some("form-data"));
        assert_eq!(value(r#"form-data; name="a"; filename="b;c.txt""#, "filename").as_deref(), Some("b;c.txt"));
        assert_eq!(value(r#"form-data; NAME = a ;filename=b.txt"#, "name").as_deref(), Some("a"));
        assert_eq!(value(r#"x; a="q\"u\\o"; b="C:\dir\x.txt";"#, "a").as_deref(), Some("q\"u\\o"));
        assert_eq!(value(r#"x; b="C:\dir\x.txt";"#, "b").as_deref(), Some("C:\\dir\\x.txt"));
        assert_eq!(value("x; filename=name=1; name=z", "filename").as_deref(), Some("name=1"));
    }

    #[test]
    fn what_is_malformed_is_not_guessed_at() {
        for bad in [r#"x; a="b"#, r#"x; a="b"c"#, "x; a", "x; a=1; A=2", "x; =1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
