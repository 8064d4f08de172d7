//! A body in lines, a few at a time.

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;

use crate::Body;
use crate::service::Problem;

/// Lines of one batch.
const MOST_LINES: usize = 256;
/// Bytes of one batch; a line may have more.
const MOST_BYTES: usize = 1 << 20;

/// A line that is not blank, with its number from 1 on.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Text {
        number: u64,
        text: Bytes,
    },
    /// It has more bytes than a line may have.
    TooLong {
        number: u64,
    },
}

impl Line {
    pub(super) const fn number(&self) -> u64 {
        match self {
            Self::Text { number, .. } | Self::TooLong { number } => *number,
        }
    }
}

/// Reads a body line by line.
pub(super) struct Lines {
    body: Body,
    /// The most bytes of a line.
    limit: usize,
    buffer: BytesMut,
    /// How much of the buffer holds no end of a line.
    searched: usize,
    number: u64,
    /// The rest of a line that is too long is passed over.
    skipping: bool,
    /// Why the body cannot be read on; the lines before are given out first.
    broken: Option<Problem>,
    is_over: bool,
}

impl Lines {
    pub(super) fn new(body: Body, limit: usize) -> Self {
        Self {
            body,
            limit,
            buffer: BytesMut::new(),
            searched: 0,
            number: 0,
            skipping: false,
            broken: None,
            is_over: false,
        }
    }

    /// The lines that have come, at least one; none at the end.
    ///
    /// # Errors
    /// When the body cannot be read on. Whole lines that came before have been given out.
    pub(super) async fn next(&mut self) -> Result<Vec<Line>, Problem> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            while batch.len() < MOST_LINES && bytes < MOST_BYTES {
                let Some(line) = self.take() else { break };
                if let Some(line) = line {
                    bytes += if let Line::Text { text, .. } = &line { text.len() } else { 0 };
                    batch.push(line);
                }
            }
            if self.is_over || batch.len() == MOST_LINES || bytes >= MOST_BYTES {
                return match self.broken.take_if(|_| batch.is_empty()) {
                    Some(problem) => Err(problem),
                    None => Ok(batch),
                };
            }
            let frame = if batch.is_empty() {
                self.body.frame().await
            } else {
                // Whoever sends little at a time does not wait for more of the same.
                match self.body.frame().now_or_never() {
                    Some(frame) => frame,
                    None => return Ok(batch),
                }
            };
            match frame {
                None => self.is_over = true,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    self.broken = Some(Problem::unreadable(error.as_ref()));
                    // Half a line is none.
                    self.buffer.clear();
                    self.searched = 0;
                    self.is_over = true;
                }
            }
        }
    }

    /// The next line in the buffer, which is nothing where it is blank or was told of before; none when it is not whole.
    fn take(&mut self) -> Option<Option<Line>> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n').map(|at| at + self.searched);
        let text = match end {
            Some(end) => {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                line
            }
            None if self.is_over && (self.skipping || !self.buffer.is_empty()) => self.buffer.split(),
            None => {
                self.searched = self.buffer.len();
                if self.searched > self.limit && !self.skipping {
                    self.skipping = true;
                    self.number += 1;
                    self.buffer.clear();
                    self.searched = 0;
                    return Some(Some(Line::TooLong { number: self.number }));
                }
                if self.skipping {
                    self.buffer.clear();
                    self.searched = 0;
                }
                return None;
            }
        };
        self.searched = 0;
        if std::mem::take(&mut self.skipping) {
            return Some(None);
        }
        self.number += 1;
        let number = self.number;
        if text.len() > self.limit {
            return Some(Some(Line::TooLong { number }));
        }
        let text = text.freeze();
        Some((!text.trim_ascii().is_empty()).then_some(Line::Text { number, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoxError;

    fn body(pieces: Vec<Result<&'static str, &'static str>>) -> Body {
        let pieces = pieces.into_iter().map(|piece| match piece {
            Ok(text) => Ok(Bytes::from_static(text.as_bytes())),
            Err(text) => Err(BoxError::from(text)),
        });
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    async fn read(pieces: Vec<Result<&'static str, &'static str>>, limit: usize) -> (String, Option<u16>) {
        let mut lines = Lines::new(body(pieces), limit);
        let mut told = Vec::new();
        loop {
            match lines.next().await {
                Ok(batch) if batch.is_empty() => return (told.join(" "), None),
                Ok(batch) => told.extend(batch.into_iter().map(|line| match line {
                    Line::Text { number, text } => format!("{number}:{}", String::from_utf8_lossy(&text)),
                    Line::TooLong { number } => format!("{number}!"),
                })),
                Err(problem) => return (told.join(" "), Some(problem.status().as_u16())),
            }
        }
    }

    #[tokio::test]
    async fn lines_are_told_apart_wherever_pieces_end() {
        assert_eq!(read(vec![], 9).await.0, "");
        assert_eq!(read(vec![Ok("a\nbc"), Ok("d\n\n \r\n"), Ok("e")], 9).await.0, "1:a 2:bcd 5:e");
        assert_eq!(read(vec![Ok("a\n")], 9).await.0, "1:a");
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_told_once_and_passed_over() {
        let told = read(vec![Ok("ab\nabcd"), Ok("efgh"), Ok("ij\nk\nabcd\n"), Ok("lmnop")], 3).await;
        assert_eq!(told.0, "1:ab 2! 3:k 4! 5!");
    }

    #[tokio::test]
    async fn what_came_before_a_body_breaks_is_given_out() {
        assert_eq!(read(vec![Ok("a\nb\nc"), Err("torn")], 9).await, ("1:a 2:b".into(), Some(400)));
        assert_eq!(read(vec![Err("torn")], 9).await, (String::new(), Some(400)));
    }

    #[tokio::test]
    async fn batches_are_bounded() {
        let mut lines = Lines::new(Body::from("1\n".repeat(MOST_LINES * 2 + 1)), 9);
        let mut sizes = Vec::new();
        loop {
            let batch = lines.next().await.unwrap();
            if batch.is_empty() {
                break;
            }
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [MOST_LINES, MOST_LINES, 1]);
    }
}
