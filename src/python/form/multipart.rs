//! `multipart/form-data` while it comes in (RFC 7578; RFC 2046, 5.1).
//!
//! multer does the same, but takes in all that a connection holds before it gives any of it away, and puts no bound on the fields
//! of a part: neither its memory nor its time is bounded by more than the length of the body.

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use memchr::memmem::{self, Finder};

use super::head::Head;
use super::limits::Limits;
use crate::service::Problem;

/// RFC 2046, 5.1.1.
const MAX_BOUNDARY: usize = 70;

/// What comes next of a form.
#[derive(Debug)]
pub(super) enum Event {
    Part(Head),
    /// Some of its content.
    Data(Bytes),
    PartEnd,
}

/// Takes bytes, and gives what they make; it holds no more of them than it has to.
#[derive(Debug)]
pub(super) struct Multipart {
    /// A line break, two hyphens and the boundary.
    delimiter: Finder<'static>,
    buffer: BytesMut,
    place: Place,
    /// How far the end of header fields has been looked for.
    looked: usize,
    parts: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Preamble,
    /// Behind a boundary.
    Delimiter,
    Head,
    Data,
    Epilogue,
}

/// Whether it can be a boundary.
pub(super) fn is_boundary(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    (1..=MAX_BOUNDARY).contains(&text.len()) && text.bytes().all(is_part) && !text.ends_with(' ')
}

impl Multipart {
    pub(super) fn new(boundary: &str) -> Self {
        let delimiter = Finder::new(format!("\r\n--{boundary}").as_bytes()).into_owned();
        // The first boundary may be the beginning.
        Self { delimiter, buffer: BytesMut::from("\r\n"), place: Place::Preamble, looked: 0, parts: 0 }
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        if self.place != Place::Epilogue {
            self.buffer.extend_from_slice(data);
        }
    }

    /// None until more was pushed.
    pub(super) fn next(&mut self, limits: &Limits) -> Result<Option<Event>, Problem> {
        loop {
            match self.place {
                Place::Preamble => match self.delimiter.find(&self.buffer) {
                    Some(at) => self.pass(at),
                    None => {
                        let before = self.surely_before();
                        self.buffer.advance(before);
                        return Ok(None);
                    }
                },
                Place::Delimiter => {
                    let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                    self.buffer.advance(padding);
                    match self.buffer.get(..2) {
                        None => return Ok(None),
                        Some(b"--") => self.place = Place::Epilogue,
                        Some(b"\r\n") => {
                            self.place = Place::Head;
                            self.parts += 1;
                        }
                        Some(_) => {
                            return Err(Problem::bad_request(
                                "a boundary of the form is not followed by a line break; no content may hold it",
                            ));
                        }
                    }
                }
                Place::Head => match self.head(limits)? {
                    Some(head) => return Ok(Some(Event::Part(head))),
                    None => return Ok(None),
                },
                Place::Data => {
                    let length = match self.delimiter.find(&self.buffer) {
                        Some(0) => {
                            self.pass(0);
                            return Ok(Some(Event::PartEnd));
                        }
                        Some(at) => at,
                        None => self.surely_before(),
                    };
                    return Ok((length > 0).then(|| Event::Data(self.buffer.split_to(length).freeze())));
                }
                Place::Epilogue => {
                    self.buffer.clear();
                    return Ok(None);
                }
            }
        }
    }

    /// Goes on behind the delimiter at `at`.
    fn pass(&mut self, at: usize) {
        self.buffer.advance(at + self.delimiter.needle().len());
        self.place = Place::Delimiter;
    }

    /// How many bytes no delimiter can begin in, where none was found.
    fn surely_before(&self) -> usize {
        self.buffer.len().saturating_sub(self.delimiter.needle().len() - 1)
    }

    /// The fields of a part stand between the line break that ends the boundary and an empty line.
    fn head(&mut self, limits: &Limits) -> Result<Option<Head>, Problem> {
        let from = self.looked.saturating_sub(3);
        let end = memmem::find(&self.buffer[from..], b"\r\n\r\n").map(|at| from + at + 4);
        if end.unwrap_or(self.buffer.len()) > limits.max_part_header_size.saturating_add(4) {
            return Err(Problem::of(StatusCode::PAYLOAD_TOO_LARGE).detail(format!(
                "part {} of the form has more than {} bytes of header fields",
                self.parts, limits.max_part_header_size
            )));
        }
        let Some(end) = end else {
            self.looked = self.buffer.len();
            return Ok(None);
        };
        self.looked = 0;
        let block = self.buffer.split_to(end);
        self.place = Place::Data;
        Head::read(&block[2..], self.parts, limits).map(Some)
    }

    /// To be asked when nothing more comes.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        let detail = match self.place {
            Place::Epilogue => return Ok(()),
            Place::Preamble => "the form has no part that begins with the boundary that its Content-Type names",
            _ => "the form is cut off: its last boundary is missing",
        };
        Err(Problem::bad_request(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a form of these pieces is made of; or the status of the refusal.
    fn read<'a>(boundary: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<(String, String)>, u16> {
        let (limits, mut parser, mut parts) = (Limits::default(), Multipart::new(boundary), Vec::new());
        let status = |problem: Problem| problem.status().as_u16();
        for piece in pieces {
            parser.push(piece);
            while let Some(event) = parser.next(&limits).map_err(status)? {
                match event {
                    Event::Part(head) => parts.push((head.name, Vec::new())),
                    Event::Data(data) => parts.last_mut().unwrap().1.extend_from_slice(&data),
                    Event::PartEnd => {}
                }
            }
        }
        parser.finish().map_err(status)?;
        Ok(parts.into_iter().map(|(name, data)| (name, String::from_utf8(data).unwrap())).collect())
    }

    fn whole(boundary: &str, form: &str) -> Result<Vec<(String, String)>, u16> {
        read(boundary, std::iter::once(form.as_bytes()))
    }

    fn part(name: &str, content: &str) -> String {
        format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    }

    #[test]
    fn wherever_it_is_cut_it_is_the_same() {
        let tricky = "\r\n--\r\n-\r\n--b\r\r\n--boundar\r\n\r\n";
        let form = format!(
            "before\r\n--boundary{}--boundary \t{}--boundary{}--boundary--\r\nafter --boundary",
            part("a", tricky),
            part("empty", ""),
            part("ü", &"x".repeat(300)),
        );
        let want = vec![
            ("a".to_owned(), tricky.to_owned()),
            ("empty".to_owned(), String::new()),
            ("ü".to_owned(), "x".repeat(300)),
        ];
        assert_eq!(whole("boundary", &form), Ok(want.clone()));
        assert_eq!(read("boundary", form.as_bytes().chunks(1)), Ok(want.clone()));
        for at in 0..form.len() {
            let (before, after) = form.as_bytes().split_at(at);
            assert_eq!(read("boundary", [before, after].into_iter()), Ok(want.clone()), "cut at {at}");
        }
    }

    #[test]
    fn what_is_cut_off_is_refused_wherever_that_is() {
        let form = format!("--b{}--b{}--b--", part("a", "1"), part("c", "2"));
        for end in 0..form.len() {
            assert_eq!(whole("b", &form[..end]), Err(400), "{end}");
        }
        assert_eq!(whole("b", &form).map(|parts| parts.len()), Ok(2));
    }

    #[test]
    fn boundaries_are_told_from_content() {
        let long = "x".repeat(70);
        assert!(is_boundary(&long) && is_boundary("a b") && is_boundary("'()+_,-./:=?"));
        for bad in ["", "a ", "ü", "a\"b", &"x".repeat(71)] {
            assert!(!is_boundary(bad), "{bad}");
        }
        assert_eq!(whole(&long, &format!("--{long}{}--{long}--", part("a", "1"))).map(|parts| parts.len()), Ok(1));
        assert_eq!(whole("b", "--b--"), Ok(vec![]));
        // Not at the beginning of a line, and not the whole of it.
        assert_eq!(whole("b", &format!("x--b{}--b--", part("a", "1"))), Ok(vec![]));
        assert_eq!(whole("b", &format!("--b{}--bc--", part("a", "1"))), Err(400));
        assert_eq!(whole("b", &format!("--b{}--b-\r\n", part("a", "1"))), Err(400));
    }

    #[test]
    fn fields_have_an_end() {
        let endless = format!("--b\r\nContent-Disposition: form-data; name=\"{}", "x".repeat(9000));
        assert_eq!(whole("b", &endless), Err(413));
        assert_eq!(read("b", endless.as_bytes().chunks(1)), Err(413));
        assert_eq!(whole("b", "--b\r\n\r\nx\r\n--b--"), Err(400));
    }
}
