//! The header fields of a part: what it is called, and whether it is a file (RFC 7578, 4.2).

use std::borrow::Cow;

use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::limits::{Limits, too_large};
use super::parameters;
use crate::service::Problem;

const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// What is known of a part before its content comes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) name: String,
    /// Whether it is a file; it need not have a name.
    pub(super) is_file: bool,
    pub(super) filename: Option<String>,
    pub(super) headers: HeaderMap,
}

impl Head {
    /// Reads the fields of the part with this number, up to and with the empty line.
    pub(super) fn read(block: &[u8], number: usize, limits: &Limits) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::bad_request(format!("part {number} of the form {what}"));
        let headers = fields(block, number, limits)?;
        let mut given = headers.get_all(CONTENT_DISPOSITION).iter();
        let (Some(disposition), None) = (given.next(), given.next()) else {
            return Err(malformed("has to have one Content-Disposition"));
        };
        let text = std::str::from_utf8(disposition.as_bytes());
        let text = text.map_err(|_| malformed("has a Content-Disposition that is not UTF-8"))?;
        let said = parameters::parse(text).ok_or_else(|| malformed("has a Content-Disposition that is malformed"))?;
        if said.0 != "form-data" {
            return Err(malformed("has a Content-Disposition that is not form-data"));
        }
        let name =
            parameters::get(&said, "name").ok_or_else(|| malformed("has no name; say form-data; name=\"...\""))?;
        let name = unescaped(name).into_owned();
        let given = match parameters::get(&said, "filename*").and_then(extended) {
            Some(filename) => Some(Cow::Owned(filename)),
            None => parameters::get(&said, "filename").map(unescaped),
        };
        // One that is malformed does not make a text of a file.
        let is_file = given.is_some() || parameters::get(&said, "filename*").is_some();
        let filename = given.and_then(|given| last_component(&given));
        if filename.as_ref().is_some_and(|name| name.chars().count() > limits.max_filename_length) {
            let most = limits.max_filename_length;
            return Err(too_large(&name, format!("has a file name of more than {most} characters")));
        }
        let head = Self { name, is_file, filename, headers };
        head.check_coding()?;
        Ok(head)
    }

    /// What is sent in a coding would be taken for its content.
    fn check_coding(&self) -> Result<(), Problem> {
        let unsupported = |what: String| {
            let detail = format!("the part {:?} is sent {what}", self.name);
            Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(detail))
        };
        let text = |name| self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if let Some(coding) = text(CONTENT_TRANSFER_ENCODING) {
            let coding = coding.trim().to_ascii_lowercase();
            if !["7bit", "8bit", "binary"].contains(&&*coding) {
                return unsupported("with a Content-Transfer-Encoding; send it as it is (RFC 7578, 4.7)".to_owned());
            }
        }
        if self.is_file {
            return Ok(());
        }
        let said = text(CONTENT_TYPE).and_then(parameters::parse);
        match said.as_ref().and_then(|said| parameters::get(said, "charset")) {
            Some(charset) if !is_utf8(charset) => unsupported("in another charset than UTF-8".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Whether texts in it are UTF-8.
pub(super) fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|own| charset.trim().eq_ignore_ascii_case(own))
}

fn fields(block: &[u8], number: usize, limits: &Limits) -> Result<HeaderMap, Problem> {
    let mut room = vec![httparse::EMPTY_HEADER; limits.max_part_headers];
    let malformed = || Problem::bad_request(format!("part {number} of the form has header fields that are malformed"));
    let found = match httparse::parse_headers(block, &mut room) {
        // An empty line of another kind may end them before.
        Ok(httparse::Status::Complete((read, found))) if read == block.len() => found,
        Err(httparse::Error::TooManyHeaders) => {
            let most = limits.max_part_headers;
            return Err(Problem::of(StatusCode::PAYLOAD_TOO_LARGE)
                .detail(format!("part {number} of the form has more than {most} header fields")));
        }
        _ => return Err(malformed()),
    };
    let mut headers = HeaderMap::with_capacity(found.len());
    for field in found {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| malformed())?;
        headers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| malformed())?);
    }
    Ok(headers)
}

/// Browsers write quotes and line breaks of names so (HTML, "multipart/form-data encoding algorithm"), and nothing else.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let lines = text.replace("%0D", "\r").replace("%0d", "\r").replace("%0A", "\n").replace("%0a", "\n");
    lines.replace("%22", "\"").into()
}

/// `UTF-8'en'na%C3%AFve.txt` (RFC 8187), which RFC 7578 forbids and some clients send.
fn extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    let decoded = percent_decode_str(encoded);
    is_utf8(charset).then(|| decoded.decode_utf8().ok())?.map(Cow::into_owned)
}

/// The name without what some clients say of its directory, and without control characters; none where nothing is left that names
/// a file.
fn last_component(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|char| !char.is_control()).collect();
    (!matches!(name.trim(), "" | "." | "..")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &str) -> Result<Head, u16> {
        let block = format!("{}\r\n\r\n", fields.replace('\n', "\r\n"));
        Head::read(block.as_bytes(), 1, &Limits::default()).map_err(|problem| problem.status().as_u16())
    }

    fn filename(said: &str) -> Option<String> {
        head(&format!("content-disposition: form-data; name=f; {said}")).unwrap().filename
    }

    #[test]
    fn names_of_files_are_their_last_component() {
        assert_eq!(filename(r#"filename="a.txt""#).as_deref(), Some("a.txt"));
        assert_eq!(filename(r#"filename="../../etc/passwd""#).as_deref(), Some("passwd"));
        assert_eq!(filename(r#"filename="C:\Users\x\a.txt""#).as_deref(), Some("a.txt"));
        assert_eq!(filename(r#"filename="a%22b%0D%0A%41.txt""#).as_deref(), Some("a\"b%41.txt"));
        assert_eq!(filename("filename=\"naïve.txt\"").as_deref(), Some("naïve.txt"));
        assert_eq!(filename("filename=x; filename*=UTF-8''na%C3%AFve%2F..%2Fb").as_deref(), Some("b"));
        assert_eq!(filename("filename=x; filename*=koi8-r''%C1").as_deref(), Some("x"));
        for nothing in [r#"filename="""#, r#"filename="..""#, r#"filename="a/""#, "filename*=UTF-8''%ff"] {
            assert_eq!(filename(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_a_file_name_makes_a_file() {
        assert!(!head("content-disposition: form-data; name=a\ncontent-type: text/plain").unwrap().is_file);
        assert!(head("content-disposition: form-data; name=a; filename=\"\"").unwrap().is_file);
        assert!(head("content-disposition: form-data; name=a; filename*=UTF-8''%ff").unwrap().is_file);
        assert_eq!(head("content-disposition: form-data; name=\"a%22b\"").unwrap().name, "a\"b");
    }

    #[test]
    fn what_is_wrong_has_a_status() {
        for (fields, status) in [
            ("", 400),
            ("content-type: text/plain", 400),
            ("content-disposition: attachment; name=a", 400),
            ("content-disposition: form-data", 400),
            ("content-disposition: form-data; name=\"a", 400),
            ("content-disposition: form-data; name=a\ncontent-disposition: form-data; name=b", 400),
            ("content-disposition form-data", 400),
            ("content-disposition: form-data; name=a\ncontent-transfer-encoding: base64", 415),
            ("content-disposition: form-data; name=a\ncontent-type: text/plain; charset=koi8-r", 415),
        ] {
            assert_eq!(head(fields).map(|head| head.name), Err(status), "{fields}");
        }
        assert_eq!(head(&format!("content-disposition: form-data; name=a{}", "\nx: y".repeat(16))).err(), Some(413));
        let long = format!("content-disposition: form-data; name=a; filename={}", "x".repeat(256));
        assert_eq!(head(&long).err(), Some(413));
    }
}
