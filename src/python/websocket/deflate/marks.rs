//! The bits of compressed messages, taken off before the protocol sees them.

use std::collections::VecDeque;

const FIN_AND_OTHERS: u8 = 0b1011_0000;
const COMPRESSED: u8 = 0b0100_0000;
const OPCODE: u8 = 0x0f;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// What the head of a message said of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::python::websocket) struct Mark {
    pub(super) compressed: bool,
    pub(super) text: bool,
}

/// Reads along with the protocol, no further than heads of frames go.
///
/// Every message poses as a binary one, as what is compressed is no UTF-8. A bit at another place, as at a control frame, stays where it is, and
/// the protocol refuses it.
#[derive(Debug, Default)]
pub(in crate::python::websocket) struct Marks {
    at: At,
    /// Of messages that have begun, and were not taken yet.
    begun: VecDeque<Mark>,
}

#[derive(Debug, Default, Clone, Copy)]
enum At {
    #[default]
    Head,
    Length,
    /// So many bytes of it are to come, and whether a mask follows.
    LongLength {
        left: u8,
        length: u64,
        masked: bool,
    },
    /// So many bytes of mask and payload are to come.
    Skip(u64),
}

impl Marks {
    /// Of the message that is the next to be taken.
    pub(super) fn next(&mut self) -> Mark {
        self.begun.pop_front().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn push(&mut self, compressed: bool, text: bool) {
        self.begun.push_back(Mark { compressed, text });
    }

    /// Reads bytes that have come, and changes what the protocol is not to see.
    pub(in crate::python::websocket) fn read(&mut self, bytes: &mut [u8]) {
        let mut place = 0;
        while let Some(byte) = bytes.get_mut(place) {
            place += 1;
            self.at = match self.at {
                At::Head => {
                    if matches!(*byte & OPCODE, TEXT | BINARY) {
                        let (compressed, text) = (*byte & COMPRESSED != 0, *byte & OPCODE == TEXT);
                        self.begun.push_back(Mark { compressed, text });
                        *byte = *byte & FIN_AND_OTHERS | BINARY;
                    }
                    At::Length
                }
                At::Length => {
                    let masked = *byte & 0x80 != 0;
                    match *byte & 0x7f {
                        126 => At::LongLength { left: 2, length: 0, masked },
                        127 => At::LongLength { left: 8, length: 0, masked },
                        length => Self::behind(length.into(), masked),
                    }
                }
                At::LongLength { left, length, masked } => {
                    let length = length << 8 | u64::from(*byte);
                    match left {
                        1 => Self::behind(length, masked),
                        _ => At::LongLength { left: left - 1, length, masked },
                    }
                }
                At::Skip(left) => {
                    // This byte, and what else is here of it.
                    let here = usize::try_from(left - 1).unwrap_or(usize::MAX).min(bytes.len() - place);
                    place += here;
                    match left - 1 - here as u64 {
                        0 => At::Head,
                        left => At::Skip(left),
                    }
                }
            };
        }
    }

    /// Where it is behind the length of a frame.
    fn behind(length: u64, masked: bool) -> At {
        match length.saturating_add(if masked { 4 } else { 0 }) {
            0 => At::Head,
            left => At::Skip(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut made = vec![first];
        match payload.len() {
            length @ 0..126 => made.push(0x80 | length as u8),
            length @ 126..65536 => {
                made.push(0x80 | 126);
                made.extend((length as u16).to_be_bytes());
            }
            length => {
                made.push(0x80 | 127);
                made.extend((length as u64).to_be_bytes());
            }
        }
        made.extend([0xc1; 4]);
        made.extend(payload);
        made
    }

    #[test]
    fn bits_are_taken_off_the_heads_of_messages_alone() {
        // What looks like a head stands in the payloads.
        let long = vec![0xc1; 70_000];
        let frames = [
            (0xc1, &b"\xc1\xc1"[..], 0x82),
            (0x89, b"\xc1", 0x89),
            (0x42, b"", 0x02),
            (0xc9, b"", 0xc9),
            (0x00, &long[..300], 0x00),
            (0xc0, b"x", 0xc0),
            (0x81, &long, 0x82),
            (0xf2, b"", 0xb2),
            (0x88, b"", 0x88),
        ];
        let sent: Vec<u8> = frames.iter().flat_map(|(first, payload, _)| frame(*first, payload)).collect();
        let wanted: Vec<u8> = frames.iter().flat_map(|(_, payload, first)| frame(*first, payload)).collect();
        for size in [1, 2, 3, 7, 1000, sent.len()] {
            let mut marks = Marks::default();
            let mut got = sent.clone();
            got.chunks_mut(size).for_each(|chunk| marks.read(chunk));
            assert!(got == wanted, "{size}");
            let mark = |compressed, text| Mark { compressed, text };
            let begun = [mark(true, true), mark(true, false), mark(false, true), mark(true, false)];
            assert_eq!(marks.begun, begun);
        }
    }
}
