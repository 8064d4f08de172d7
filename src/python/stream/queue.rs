//! What was yielded and not sent yet: bounded by its size, so that pieces that are small go on their way together.

use std::future::pending;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

/// How much waits for the client at most, in bytes, before the iterator waits for it. One piece may be larger.
const ROOM: u32 = 64 << 10;

/// What a piece takes of it beside its bytes.
const OVERHEAD: usize = 256;

/// The two ends of an empty one.
pub(super) fn queue() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(ROOM as usize));
    (Sender { pieces: sender, room: room.clone() }, Receiver { pieces: receiver, room })
}

#[derive(Clone)]
pub(super) struct Sender {
    pieces: mpsc::UnboundedSender<Bytes>,
    room: Arc<Semaphore>,
}

fn cost(piece: &Bytes) -> u32 {
    u32::try_from(piece.len().saturating_add(OVERHEAD)).map_or(ROOM, |cost| cost.min(ROOM))
}

impl Sender {
    /// Gives the piece back where there is no room, or nobody takes any more.
    pub(super) fn try_send(&self, piece: Bytes) -> Result<(), Bytes> {
        let Ok(taken) = self.room.try_acquire_many(cost(&piece)) else { return Err(piece) };
        taken.forget();
        self.pieces.send(piece).map_err(|unsent| unsent.0)
    }

    /// Waits for room; for ever when nobody takes any more.
    pub(super) async fn send(&self, piece: Bytes) {
        if let Ok(taken) = self.room.acquire_many(cost(&piece)).await {
            taken.forget();
            if self.pieces.send(piece).is_ok() {
                return;
            }
        }
        pending().await
    }
}

pub(super) struct Receiver {
    pieces: mpsc::UnboundedReceiver<Bytes>,
    room: Arc<Semaphore>,
}

impl Receiver {
    /// None where nothing can come any more.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = ready!(self.pieces.poll_recv(cx));
        Poll::Ready(piece.map(|piece| self.taken(piece)))
    }

    /// None where nothing is there.
    pub(super) fn try_recv(&mut self) -> Option<Bytes> {
        self.pieces.try_recv().ok().map(|piece| self.taken(piece))
    }

    fn taken(&self, piece: Bytes) -> Bytes {
        self.room.add_permits(cost(&piece) as usize);
        piece
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // There is none to be had any more.
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fill(sender: &Sender, piece: &Bytes) -> usize {
        (0..).take_while(|_| sender.try_send(piece.clone()).is_ok()).take(10_000).count()
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
        assert_eq!(receiver.try_recv(), Some(large.clone()));
        assert!(waits(sender.clone(), large.clone()).await.is_ok());
        drop(receiver);
        assert!(waits(sender.clone(), large.clone()).await.is_err());
        assert_eq!(sender.try_send(large.clone()), Err(large));
    }
}
