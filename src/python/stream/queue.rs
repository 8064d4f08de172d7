//! What was yielded and not sent yet: bounded by its size, so that pieces that are small go on their way together.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::python::pyloop;

/// How much waits for the client at most, in bytes, before the iterator waits for it. One piece may be larger.
const ROOM: usize = 64 << 10;

/// What a piece takes of it beside its bytes.
const OVERHEAD: usize = 256;

/// How long pieces wait for others of the same turn of the loop. One that goes on for longer, as it computes or blocks, holds up no more
/// than the piece that came last.
const PATIENCE: Duration = Duration::from_millis(1);

/// The two ends of an empty one.
pub(super) fn queue() -> (Sender, Receiver) {
    let state = State { pieces: VecDeque::new(), room: ROOM, is_gone: false, receiver: None, told: None, sender: None };
    let queue = Arc::new(Mutex::new(state));
    (Sender(queue.clone()), Receiver(queue))
}

struct State {
    pieces: VecDeque<Bytes>,
    /// What is left of it.
    room: usize,
    /// Nobody takes any more.
    is_gone: bool,
    /// Waits for a piece.
    receiver: Option<Waker>,
    /// When it was last told that there is one, if it did not look since.
    told: Option<Instant>,
    /// Waits for room.
    sender: Option<Waker>,
}

impl State {
    fn put(&mut self, piece: Bytes) -> Result<(), Bytes> {
        let cost = cost(&piece);
        if self.is_gone || self.room < cost {
            return Err(piece);
        }
        self.room -= cost;
        self.pieces.push_back(piece);
        Ok(())
    }

    fn take(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.room += cost(&piece);
        Some(piece)
    }
}

fn cost(piece: &Bytes) -> usize {
    piece.len().saturating_add(OVERHEAD).min(ROOM)
}

// Never locked while a waker is called.
fn lock(queue: &Mutex<State>) -> MutexGuard<'_, State> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the receiver that there is something: at the end of the turn, when all is there that the turn yields.
fn tell(mut state: MutexGuard<'_, State>) {
    match (state.receiver.take(), state.told) {
        (Some(receiver), _) => {
            state.told = Some(Instant::now());
            drop(state);
            pyloop::wake(receiver);
        }
        (None, Some(told)) if told.elapsed() > PATIENCE => {
            state.told = None;
            drop(state);
            pyloop::hurry();
        }
        _ => {}
    }
}

#[derive(Clone)]
pub(super) struct Sender(Arc<Mutex<State>>);

impl Sender {
    /// Gives the piece back where there is no room, or nobody takes any more.
    pub(super) fn try_send(&self, piece: Bytes) -> Result<(), Bytes> {
        let mut state = lock(&self.0);
        state.put(piece)?;
        tell(state);
        Ok(())
    }

    /// Waits for room; for ever when nobody takes any more.
    pub(super) async fn send(&self, piece: Bytes) {
        let mut unsent = Some(piece);
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            let Some(piece) = unsent.take() else { return Poll::Ready(()) };
            match state.put(piece) {
                Ok(()) => {
                    tell(state);
                    Poll::Ready(())
                }
                Err(piece) => {
                    unsent = Some(piece);
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
        state.told = None;
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

    use futures_util::FutureExt;

    use super::*;

    fn fill(sender: &Sender, piece: &Bytes) -> usize {
        (0..).take_while(|_| sender.try_send(piece.clone()).is_ok()).take(10_000).count()
    }

    fn recv(receiver: &mut Receiver) -> Option<Bytes> {
        poll_fn(|cx| receiver.poll_recv(cx)).now_or_never()
    }

    #[test]
    fn it_is_bounded_by_size_and_by_number() {
        let (sender, _receiver) = queue();
        assert_eq!(fill(&sender, &Bytes::from(vec![0; 1024])), 51);
        let (sender, _receiver) = queue();
        assert_eq!(fill(&sender, &Bytes::from_static(b"x")), 255);
        let (sender, _receiver) = queue();
        assert_eq!(fill(&sender, &Bytes::from(vec![0; 1 << 20])), 1, "a large one has it for itself");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_has_room_in_time_or_waits_for_ever() {
        let (sender, mut receiver) = queue();
        let large = Bytes::from(vec![0; 1 << 20]);
        sender.send(large.clone()).await;
        let waits = |sender: Sender, piece| {
            tokio::time::timeout(Duration::from_secs(1), async move { sender.send(piece).await })
        };
        assert!(waits(sender.clone(), large.clone()).await.is_err(), "it is full");
        assert_eq!(recv(&mut receiver), Some(large.clone()));
        assert!(waits(sender.clone(), large.clone()).await.is_ok());
        drop(receiver);
        assert!(waits(sender.clone(), large.clone()).await.is_err());
        assert_eq!(sender.try_send(large.clone()), Err(large));
    }

    #[test]
    fn who_waits_for_room_is_woken_when_half_of_it_is_free() {
        let (sender, mut receiver) = queue();
        let piece = Bytes::from(vec![0; 1024]);
        let sent = fill(&sender, &piece);
        let mut waiting = pin!(sender.send(piece.clone()));
        assert!(waiting.as_mut().now_or_never().is_none());
        let is_woken = |sender: &Sender| lock(&sender.0).sender.is_none();
        let taken = (1..).find(|_| recv(&mut receiver).is_none() || is_woken(&sender)).unwrap();
        assert!((sent / 2 - 1..=sent / 2 + 1).contains(&taken), "{taken} of {sent}");
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn who_waits_for_a_piece_is_woken_once() {
        let (sender, mut receiver) = queue();
        assert_eq!(recv(&mut receiver), None);
        let is_waiting = |sender: &Sender| lock(&sender.0).receiver.is_some();
        assert!(is_waiting(&sender));
        sender.try_send(Bytes::from_static(b"a")).unwrap();
        assert!(!is_waiting(&sender), "it was woken");
        sender.try_send(Bytes::from_static(b"b")).unwrap();
        assert_eq!((recv(&mut receiver), recv(&mut receiver)), (Some("a".into()), Some("b".into())));
        assert_eq!(receiver.try_recv(), None);
    }
}
