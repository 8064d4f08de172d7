//! What was yielded and not sent yet: bounded by its size, with pieces that are small joined to each other.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use crate::python::pyloop;

/// How much waits for the client at most, in bytes, before the iterator waits for it. One piece may be larger.
const ROOM: usize = 128 << 10;

/// What is taken of it beside the bytes, for what is sent by itself.
const OVERHEAD: usize = 256;

/// Pieces are joined up to this length, in bytes.
const ENOUGH: usize = 16 << 10;

/// What becomes of small pieces that wait for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::python) enum Pieces {
    /// They are joined up to 16 KiB: nobody may rely on where one ends (RFC 9112, 7.1), and each would be handed on by itself through all layers.
    Joined,
    /// They stay what was yielded, for those in Python who look at each.
    Apart,
}

/// The two ends of an empty one.
pub(super) fn queue(kind: Pieces) -> (Sender, Receiver) {
    let state = State { kind, pieces: VecDeque::new(), room: ROOM, is_gone: false, receiver: None, sender: None };
    let queue = Arc::new(Mutex::new(state));
    (Sender(queue.clone()), Receiver(queue))
}

struct State {
    kind: Pieces,
    /// Only the last one has others joined to it.
    pieces: VecDeque<BytesMut>,
    /// What is left of it.
    room: usize,
    /// Nobody takes any more.
    is_gone: bool,
    /// Waits for a piece.
    receiver: Option<Waker>,
    /// Waits for room.
    sender: Option<Waker>,
}

/// Whether nobody takes any more, or there is no room for it.
struct Refused;

impl State {
    fn put(&mut self, piece: &[u8]) -> Result<(), Refused> {
        let joins = self.kind == Pieces::Joined;
        let last = self.pieces.back_mut().filter(|last| joins && last.len().saturating_add(piece.len()) <= ENOUGH);
        let cost = if last.is_some() { piece.len() } else { cost(piece.len()) };
        if self.is_gone || self.room < cost {
            return Err(Refused);
        }
        self.room -= cost;
        match last {
            None => self.pieces.push_back(BytesMut::from(piece)),
            Some(last) => {
                if last.capacity() - last.len() < piece.len() {
                    last.reserve(ENOUGH - last.len());
                }
                last.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?.freeze();
        self.room += cost(piece.len());
        Some(piece)
    }
}

fn cost(length: usize) -> usize {
    length.saturating_add(OVERHEAD).min(ROOM)
}

// Never locked while a waker is called.
fn lock(queue: &Mutex<State>) -> MutexGuard<'_, State> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the receiver that there is something: at the end of the turn, when all is there that the turn yields.
fn tell(mut state: MutexGuard<'_, State>) {
    let receiver = state.receiver.take();
    drop(state);
    match receiver {
        Some(receiver) => pyloop::wake(receiver),
        None => pyloop::hurry(),
    }
}

#[derive(Clone)]
pub(super) struct Sender(Arc<Mutex<State>>);

impl Sender {
    /// Gives the piece back where there is no room, or nobody takes any more.
    pub(super) fn try_send<'a>(&self, piece: Cow<'a, [u8]>) -> Result<(), Cow<'a, [u8]>> {
        let mut state = lock(&self.0);
        match state.put(&piece) {
            Ok(()) => {
                tell(state);
                Ok(())
            }
            Err(Refused) => {
                drop(state);
                Err(piece)
            }
        }
    }

    /// Waits for room; for ever when nobody takes any more.
    pub(super) async fn send(&self, piece: Vec<u8>) {
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            match state.put(&piece) {
                Ok(()) => {
                    tell(state);
                    Poll::Ready(())
                }
                Err(Refused) => {
                    state.sender = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }
}

pub(super) struct Receiver(Arc<Mutex<State>>);

impl Receiver {
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut state = lock(&self.0);
        let Some(piece) = state.take() else {
            match &mut state.receiver {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        let sender = if state.room >= ROOM / 2 { state.sender.take() } else { None };
        drop(state);
        if let Some(sender) = sender {
            sender.wake();
        }
        Poll::Ready(piece)
    }

    /// None where nothing is there.
    pub(super) fn try_recv(&mut self) -> Option<Bytes> {
        lock(&self.0).take()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.is_gone = true;
        // Dropped when the lock is free again.
        let _rest = (std::mem::take(&mut state.pieces), state.receiver.take());
        drop(state);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn fill(sender: &Sender, piece: &[u8]) -> usize {
        (0..).take_while(|_| sender.try_send(piece.into()).is_ok()).take(1_000_000).count()
    }

    fn recv(receiver: &mut Receiver) -> Option<Bytes> {
        poll_fn(|cx| receiver.poll_recv(cx)).now_or_never()
    }

    #[test]
    fn it_is_bounded_by_size() {
        for (length, times) in [(1 << 10, 126), (1, 129_024), (ENOUGH, 7), (1 << 20, 1)] {
            let (sender, mut receiver) = queue(Pieces::Joined);
            assert_eq!(fill(&sender, &vec![0; length]), times, "pieces of {length}");
            let taken: usize = std::iter::from_fn(|| recv(&mut receiver)).map(|piece| piece.len()).sum();
            assert_eq!(taken, times * length);
            assert_eq!(lock(&receiver.0).room, ROOM, "what was taken is given back");
        }
    }

    #[test]
    fn small_pieces_that_wait_are_joined() {
        let (sender, mut receiver) = queue(Pieces::Joined);
        let pieces: Vec<Vec<u8>> = (0..=255_u8).map(|byte| vec![byte; usize::from(byte)]).collect();
        for piece in &pieces {
            assert!(sender.try_send(piece.into()).is_ok());
        }
        assert!(sender.try_send(vec![1; ENOUGH].into()).is_ok());
        let taken: Vec<Bytes> = std::iter::from_fn(|| recv(&mut receiver)).collect();
        let lengths: Vec<usize> = taken.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [16_290, 16_350, ENOUGH]);
        assert_eq!(taken[..2].concat(), pieces.concat());
        for piece in [b"a", b"b"] {
            assert!(sender.try_send(piece.into()).is_ok());
            assert_eq!(recv(&mut receiver).as_deref(), Some(&piece[..]), "nothing is held back");
        }
    }

    #[test]
    fn pieces_stay_apart_where_they_are_looked_at() {
        let (sender, mut receiver) = queue(Pieces::Apart);
        assert_eq!(fill(&sender, b"x"), ROOM / (1 + OVERHEAD));
        assert_eq!(recv(&mut receiver).as_deref(), Some(&b"x"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_has_room_in_time_or_waits_for_ever() {
        let (sender, mut receiver) = queue(Pieces::Joined);
        let large = vec![0; 1 << 20];
        sender.send(large.clone()).await;
        let waits = |sender: Sender, piece| {
            tokio::time::timeout(Duration::from_secs(1), async move { sender.send(piece).await })
        };
        assert!(waits(sender.clone(), large.clone()).await.is_err(), "it is full");
        assert_eq!(recv(&mut receiver).as_deref(), Some(&large[..]));
        assert!(waits(sender.clone(), large.clone()).await.is_ok());
        drop(receiver);
        assert!(waits(sender.clone(), large.clone()).await.is_err());
        assert_eq!(sender.try_send((&large).into()), Err((&large).into()));
    }

    #[test]
    fn who_waits_for_room_is_woken_when_half_of_it_is_free() {
        let (sender, mut receiver) = queue(Pieces::Joined);
        let piece = vec![0; ENOUGH];
        let sent = fill(&sender, &piece);
        let mut waiting = pin!(sender.send(piece));
        assert!(waiting.as_mut().now_or_never().is_none());
        let is_woken = |sender: &Sender| lock(&sender.0).sender.is_none();
        let taken = (1..).find(|_| recv(&mut receiver).is_none() || is_woken(&sender)).unwrap();
        assert_eq!((sent, taken), (7, 4));
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn who_waits_for_a_piece_is_woken_once() {
        let (sender, mut receiver) = queue(Pieces::Joined);
        assert_eq!(recv(&mut receiver), None);
        let is_waiting = |sender: &Sender| lock(&sender.0).receiver.is_some();
        assert!(is_waiting(&sender));
        sender.try_send(b"a".into()).unwrap();
        assert!(!is_waiting(&sender), "it was woken");
        sender.try_send(b"b".into()).unwrap();
        assert_eq!((recv(&mut receiver), recv(&mut receiver)), (Some("ab".into()), None));
        assert_eq!(receiver.try_recv(), None);
    }
}
