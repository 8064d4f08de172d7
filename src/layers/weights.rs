//! Lists of what a client would take, with weights (RFC 9110, 12.4.2).

/// Names and weights in thousandths. Elements that are not well-formed are passed over.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = (&str, u16)> {
    value.split(',').filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut quality = 1000;
        for parameter in parts {
            let (key, value) = parameter.split_once('=')?;
            if key.trim().eq_ignore_ascii_case("q") {
                quality = weight(value.trim())?;
            }
        }
        Some((name, quality))
    })
}

/// `0`, `0.5`, `1.000` in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}
