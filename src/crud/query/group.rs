//! Conditions in brackets: `(age.gte.18,or(name.eq."a,b",home.city.eq.Paris))`.

use std::borrow::Cow;

use crate::crud::schema::check::Fault;

/// The name of a group of conditions: whether its opposite is meant, whether one of them will do, and what follows the
/// name.
pub(super) fn begins(text: &str) -> Option<(bool, bool, &str)> {
    let (negated, rest) = match text.strip_prefix("not.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if let Some(rest) = rest.strip_prefix("or") {
        return Some((negated, true, rest));
    }
    rest.strip_prefix("and").map(|rest| (negated, false, rest))
}

/// The parts in the brackets. A comma or a bracket that belongs to a value stands in quotes, except that brackets may
/// be in pairs.
pub(super) fn parts(text: &str) -> Result<Vec<&str>, Fault> {
    let malformed = || {
        Fault::new(
            "operator",
            "must be conditions in brackets, as (age.gte.18,name.eq.\"a,b\"); commas and brackets of values go in quotes",
        )
    };
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(malformed)?;
    let (mut found, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    let (mut quoted, mut escaped, mut before) = (false, false, ',');
    for (at, letter) in inner.char_indices() {
        if quoted {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => {}
            }
        } else {
            match letter {
                // Elsewhere it is a letter like others.
                '"' if matches!(before, '.' | ',' | '(') => quoted = true,
                '(' => depth += 1,
                ')' => depth = depth.checked_sub(1).ok_or_else(malformed)?,
                ',' if depth == 0 => {
                    found.push(&inner[begin..at]);
                    begin = at + 1;
                }
                _ => {}
            }
        }
        before = letter;
    }
    if quoted || depth > 0 {
        return Err(malformed());
    }
    found.push(&inner[begin..]);
    Ok(found)
}

/// A condition whose value may be in quotes, as it would be without them: `eq."a,b"` is `eq.a,b`, and `"gt.5"` is
/// `eq.gt.5`.
pub(super) fn unquoted(condition: &str) -> Result<Cow<'_, str>, Fault> {
    let Some(quote) = condition.find('"') else { return Ok(condition.into()) };
    let (operators, value) = condition.split_at(quote);
    let is_value = operators.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.')
        && (operators.is_empty() || operators.ends_with('.'));
    if !is_value {
        return Ok(condition.into());
    }
    let malformed = || Fault::new("operator", "has a quote within a value; put a backslash before it");
    let mut letters = value.strip_prefix('"').unwrap_or(value).chars();
    let mut text = if matches!(operators, "" | "not.") { format!("{operators}eq.") } else { operators.to_owned() };
    loop {
        match letters.next().ok_or_else(malformed)? {
            '"' => break,
            '\\' => text.push(letters.next().ok_or_else(malformed)?),
            other => text.push(other),
        }
    }
    if letters.next().is_some() { Err(malformed()) } else { Ok(text.into()) }
}
