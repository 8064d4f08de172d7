//! `application/x-www-form-urlencoded` (WHATWG URL, 5.1).
//!
//! form_urlencoded does the same, but puts U+FFFD where bytes are not UTF-8, of which a client has to be told.

use percent_encoding::percent_decode;

use super::collect::Collector;
use crate::service::Problem;

/// Reads all pairs of `body`.
pub(super) fn read(body: &[u8], into: &mut Collector<'_>) -> Result<(), Problem> {
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        let Ok(name) = String::from_utf8(decoded(name)) else {
            return Err(Problem::bad_request("the name of a field of the form is not percent-encoded UTF-8"));
        };
        into.begin_text(name)?;
        into.data(&decoded(value))?;
        into.end()?;
    }
    Ok(())
}

/// A percent sign that begins nothing stands for itself, as in every browser.
fn decoded(text: &[u8]) -> Vec<u8> {
    if !text.contains(&b'+') {
        return percent_decode(text).collect();
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}
