//! Messages that are compressed: permessage-deflate (RFC 7692).
//!
//! It stands between the socket and the protocol. Compressed messages carry a bit that the protocol refuses; [`Marks`] takes it off as the
//! bytes are read, and remembers it. Each message is inflated once it is whole, into no more than a message may have.

mod marks;
mod offer;

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message as Wire, Utf8Bytes};

pub(super) use self::marks::Marks;
pub(super) use self::offer::Agreed;
use super::close::{self, Close};
use super::message::Message;

/// What ends each block that is flushed, and is left out of a message (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Shorter messages are sent as they are: there is nothing in them that comes twice.
const LEAST: usize = 256;
/// The same where what was sent before counts as well.
const LEAST_IN_CONTEXT: usize = 32;
/// The least room for what is made.
const ROOM: usize = 1024;

thread_local! {
    /// What compresses messages that have nothing to do with each other, by its window: some 300 KiB, which no socket need have for itself.
    static SHARED: RefCell<Option<(u8, Compress)>> = const { RefCell::new(None) };
}

/// The extension on one socket.
pub(super) struct Deflate {
    agreed: Agreed,
    limit: usize,
    pub(super) marks: Marks,
    /// Kept only where messages go on with what was before them.
    compress: Option<Compress>,
    decompress: Option<Decompress>,
}

fn compressor(bits: u8) -> Compress {
    Compress::new_with_window_bits(Compression::default(), false, bits)
}

impl Deflate {
    /// Of a socket whose messages may have `limit` bytes.
    pub(super) fn new(agreed: Agreed, limit: usize) -> Self {
        Self { agreed, limit, marks: Marks::default(), compress: None, decompress: None }
    }

    /// A message as it is sent.
    pub(super) fn outgoing(&mut self, message: Message) -> Wire {
        let least = if self.agreed.server_context { LEAST_IN_CONTEXT } else { LEAST };
        if message.len() < least {
            return message.into();
        }
        let (bytes, kind) = match &message {
            Message::Text(text) => (text.as_bytes(), Data::Text),
            Message::Binary(bytes) => (&bytes[..], Data::Binary),
        };
        let bits = self.agreed.server_bits;
        let made = if self.agreed.server_context {
            let compress = self.compress.get_or_insert_with(|| compressor(bits));
            let made = deflated(compress, bytes);
            if made.is_none() {
                // What it knows is no longer what the client knows; it begins anew with nothing to refer to.
                *compress = compressor(bits);
            }
            made
        } else {
            SHARED.with_borrow_mut(|shared| {
                let kept = shared.take().filter(|(own, _)| *own == bits);
                let (_, compress) = shared.insert(kept.unwrap_or_else(|| (bits, compressor(bits))));
                compress.reset();
                // What has become longer is sent as it was.
                deflated(compress, bytes).filter(|made| made.len() < bytes.len())
            })
        };
        match made {
            Some(made) => {
                let mut frame = Frame::message(made, OpCode::Data(kind), true);
                frame.header_mut().rsv1 = true;
                Wire::Frame(frame)
            }
            None => message.into(),
        }
    }

    /// What came as a message.
    ///
    /// # Errors
    /// How to close the socket where it is none.
    pub(super) fn incoming(&mut self, bytes: Bytes) -> Result<Message, Close> {
        let mark = self.marks.next();
        let bytes = if mark.compressed { self.inflate(&bytes)?.into() } else { bytes };
        if !mark.text {
            return Ok(Message::Binary(bytes));
        }
        let text = Utf8Bytes::try_from(bytes).map_err(|_| Close::new(close::INVALID, "a text is not UTF-8"))?;
        Ok(Message::Text(text))
    }

    fn inflate(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Close> {
        let mut decompress = self.decompress.take().unwrap_or_else(|| Decompress::new(false));
        let (made, ended) = inflated(&mut decompress, bytes, self.limit)?;
        // After one that ended for good (RFC 7692, 7.2.3.4) the next begins anew.
        if self.agreed.client_context && !ended {
            self.decompress = Some(decompress);
        }
        Ok(made)
    }
}

/// None where it cannot be done.
fn deflated(compress: &mut Compress, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(bytes.len() / 2 + ROOM);
    let mut rest = bytes;
    loop {
        let before = compress.total_in();
        compress.compress_vec(rest, &mut made, FlushCompress::Sync).ok()?;
        rest = rest.get(usize::try_from(compress.total_in() - before).ok()?..)?;
        if rest.is_empty() && made.len() < made.capacity() {
            break;
        }
        made.reserve(ROOM);
    }
    let length = made.strip_suffix(&TAIL)?.len();
    made.truncate(length);
    Some(made)
}

/// What was compressed, and whether that ended for good; it is given up where it has more than `limit` bytes.
fn inflated(decompress: &mut Decompress, bytes: &[u8], limit: usize) -> Result<(Vec<u8>, bool), Close> {
    let broken = || Close::new(close::INVALID, "a message is not compressed as agreed");
    let mut made = Vec::new();
    for (part, is_tail) in [(bytes, false), (&TAIL[..], true)] {
        let mut rest = part;
        loop {
            made.reserve(ROOM);
            let before = (decompress.total_in(), made.len());
            let status = decompress.decompress_vec(rest, &mut made, FlushDecompress::Sync).map_err(|_| broken())?;
            if made.len() > limit {
                return Err(Close::too_big(limit));
            }
            let read = usize::try_from(decompress.total_in() - before.0).map_err(|_| broken())?;
            rest = rest.get(read..).ok_or_else(broken)?;
            if status == Status::StreamEnd {
                // Nothing but padding may follow.
                let is_padding = is_tail || rest.iter().all(|byte| *byte == 0);
                return if is_padding { Ok((made, true)) } else { Err(broken()) };
            }
            if rest.is_empty() && made.len() < made.capacity() {
                break;
            }
            if read == 0 && made.len() == before.1 {
                return Err(broken());
            }
        }
    }
    Ok((made, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(context: bool) -> Agreed {
        Agreed { server_context: context, client_context: context, server_bits: 15, tells_bits: false }
    }

    /// Sends `message` by `from`, and gives what `to` makes of it, with how many bytes went over.
    fn sent(from: &mut Deflate, to: &mut Deflate, message: Message) -> (Result<Message, Close>, usize, bool) {
        let text = matches!(message, Message::Text(_));
        let (bytes, compressed) = match from.outgoing(message) {
            Wire::Frame(frame) => {
                assert!(frame.header().rsv1 && frame.header().is_final);
                (frame.into_payload(), true)
            }
            Wire::Text(text) => (text.into(), false),
            Wire::Binary(bytes) => (bytes, false),
            other => panic!("{other:?}"),
        };
        to.marks.push(compressed, text);
        let length = bytes.len();
        (to.incoming(bytes), length, compressed)
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        for context in [false, true] {
            let (mut one, mut two) = (Deflate::new(agreed(context), 1 << 20), Deflate::new(agreed(context), 1 << 20));
            let digits: Vec<u8> = (0_u64..).flat_map(|n| (n * n).to_string().into_bytes()).take(1 << 20).collect();
            let mut lengths = Vec::new();
            for size in [0, 1, 31, 32, 255, 256, 5000, 5000, 1 << 20] {
                let message = Message::Text(String::from_utf8(digits[..size].to_vec()).unwrap().into());
                let (got, length, compressed) = sent(&mut one, &mut two, message.clone());
                assert_eq!(got, Ok(message));
                assert_eq!(compressed, size >= if context { LEAST_IN_CONTEXT } else { LEAST }, "{size}");
                lengths.push(length);
            }
            // With a context the second of two that are alike is next to nothing.
            assert_eq!(lengths[7] * 2 < lengths[6], context, "{lengths:?}");
        }
    }

    #[test]
    fn what_does_not_become_shorter_is_sent_as_it_is() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..2000).map(|_| next()).collect();
        let (mut one, mut two) = (Deflate::new(agreed(false), 4000), Deflate::new(agreed(false), 4000));
        let (got, length, compressed) = sent(&mut one, &mut two, Message::Binary(noise.clone().into()));
        assert_eq!((length, compressed), (2000, false));
        assert!(got == Ok(Message::Binary(noise.into())));
    }

    #[test]
    fn bombs_and_rubbish_close_the_socket() {
        let mut compress = compressor(15);
        let bomb = deflated(&mut compress, &vec![0; 50_000_000]).unwrap();
        assert!(bomb.len() < 60_000);
        let mut to = Deflate::new(agreed(false), 100_000);
        to.marks.push(true, false);
        assert_eq!(to.incoming(bomb.into()).unwrap_err().code, close::TOO_BIG);
        for rubbish in [&b"\xff\xff\xff"[..], b"\x06"] {
            to.marks.push(true, false);
            assert_eq!(to.incoming(Bytes::copy_from_slice(rubbish)).unwrap_err().code, close::INVALID, "{rubbish:?}");
        }
        let mut compress = compressor(15);
        to.marks.push(true, true);
        assert_eq!(to.incoming(deflated(&mut compress, b"\xff\xfe").unwrap().into()).unwrap_err().code, close::INVALID);
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        // RFC 7692, 7.2.3.1 to 7.2.3.4: one block, one without compression, one that is final, and two.
        let mut to = Deflate::new(agreed(true), 100);
        for example in [
            &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
            b"\xf2\x00\x11\x00\x00",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ] {
            to.marks.push(true, true);
            assert_eq!(to.incoming(Bytes::copy_from_slice(example)), Ok(Message::Text("Hello".into())), "{example:x?}");
        }
        to.marks.push(true, true);
        assert_eq!(to.incoming(Bytes::from_static(b"\0")), Ok(Message::Text("".into())));
        to.marks.push(true, true);
        assert_eq!(to.incoming(Bytes::new()), Ok(Message::Text("".into())));
    }
}
