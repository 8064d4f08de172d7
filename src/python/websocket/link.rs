//! Where a handler and its socket meet.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use http::HeaderValue;
use tokio::sync::oneshot;

use super::close::{ABNORMAL, Close};
use super::handshake::Accepted;
use super::message::{Decision, Message, Received, Stage, Unable};
use super::settings::Settings;
use super::waiter::Waiter;
use crate::Response;
use crate::python::pyloop;

/// How many messages wait for the handler at most, before the socket is left alone.
const WAITING: usize = 64;
pub(in crate::python) struct Link {
    settings: Arc<Settings>,
    /// What the client offers, the best first.
    pub(in crate::python) offered: Vec<String>,
    /// What the route chose of it.
    pub(super) agreed: Option<String>,
    /// What was accepted.
    pub(super) chosen: OnceLock<HeaderValue>,
    // Never locked while Python runs, nor while a waiter is dropped.
    state: Mutex<State>,
    pump: AtomicWaker,
}

struct State {
    /// Taken when the handler decides.
    decide: Option<oneshot::Sender<Decision>>,
    accepted: bool,
    incoming: VecDeque<Message>,
    incoming_cost: usize,
    /// The socket is left alone until the handler has caught up.
    held_up: bool,
    /// Nobody will receive any more.
    deserted: bool,
    receiving: bool,
    receiver: Option<Waiter>,
    outgoing: VecDeque<Message>,
    outgoing_cost: usize,
    senders: Vec<Waiter>,
    /// The handler, or the server in its place, wants it closed when all has been sent.
    closing: Option<Close>,
    by_handler: bool,
    /// It is over for the handler.
    over: Option<Close>,
}

impl State {
    /// What the decision about the handshake is told to, once, unless the client has gone.
    fn decide(&mut self) -> Result<oneshot::Sender<Decision>, Unable> {
        if let (Some(_), Some(over)) = (&self.decide, &self.over) {
            return Err(Unable::Over(over.clone()));
        }
        self.decide.take().ok_or(if self.accepted { Unable::Accepted } else { Unable::Refused })
    }
}

impl Link {
    pub(super) fn new(
        settings: Arc<Settings>,
        offered: Vec<String>,
        agreed: Option<String>,
    ) -> (Arc<Self>, oneshot::Receiver<Decision>) {
        let (decide, decision) = oneshot::channel();
        let state = State {
            decide: Some(decide),
            accepted: false,
            incoming: VecDeque::new(),
            incoming_cost: 0,
            held_up: false,
            deserted: false,
            receiving: false,
            receiver: None,
            outgoing: VecDeque::new(),
            outgoing_cost: 0,
            senders: Vec::new(),
            closing: None,
            by_handler: false,
            over: None,
        };
        let (state, pump) = (Mutex::new(state), AtomicWaker::new());
        let link = Self { settings, offered, agreed, chosen: OnceLock::new(), state, pump };
        (Arc::new(link), decision)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The handler's side.

    /// Accepts the handshake.
    pub(super) fn accept(&self, accepted: Accepted) -> Result<(), Unable> {
        let mut state = self.state();
        let decide = state.decide()?;
        state.accepted = true;
        if let Some(chosen) = &accepted.subprotocol {
            let _ = self.chosen.set(chosen.clone());
        }
        if decide.send(Decision::Accept(accepted)).is_err() {
            let over = Close::new(ABNORMAL, "the client went before it was accepted");
            state.over = Some(over.clone());
            return Err(Unable::Over(over));
        }
        Ok(())
    }

    /// Whether the handshake was accepted, so that it cannot be answered in another way.
    pub(in crate::python) fn is_accepted(&self) -> bool {
        self.state().accepted
    }

    /// Whether nothing was decided of the handshake.
    pub(in crate::python) fn is_undecided(&self) -> bool {
        self.state().decide.is_some()
    }

    /// Whether nothing is received or sent any more.
    pub(in crate::python) fn is_over(&self) -> bool {
        self.state().over.is_some()
    }

    /// Refuses the handshake with an answer.
    pub(super) fn deny(&self, answer: Response) -> Result<(), Unable> {
        let mut state = self.state();
        let decide = state.decide()?;
        // Where the client has gone nobody gets it.
        let _ = decide.send(Decision::Deny(Box::new(answer)));
        self.tell(state);
        Ok(())
    }

    /// How far it is: as far as the client goes, and the handler.
    pub(super) fn stages(&self) -> (Stage, Stage) {
        let state = self.state();
        let stage = |is_over: bool| match (state.decide.is_some(), is_over || !state.accepted) {
            (true, _) => Stage::Connecting,
            (false, true) => Stage::Closed,
            (false, false) => Stage::Open,
        };
        (stage(state.over.is_some()), stage(state.over.is_some() || state.closing.is_some()))
    }

    /// Begins to receive; false when somebody does already.
    pub(super) fn begin_receiving(&self) -> bool {
        !mem::replace(&mut self.state().receiving, true)
    }

    pub(super) fn end_receiving(&self) {
        let mut state = self.state();
        state.receiving = false;
        let waiter = state.receiver.take();
        drop(state);
        drop(waiter);
    }

    pub(super) fn receive(&self) -> Result<Received, Unable> {
        let mut state = self.state();
        if let Some(message) = state.incoming.pop_front() {
            state.incoming_cost -= message.cost();
            let catches_up = state.held_up && state.incoming.len() <= WAITING / 2;
            if catches_up {
                state.held_up = false;
            }
            drop(state);
            if catches_up {
                self.wake_pump();
            }
            return Ok(Received::Message(message));
        }
        if let Some(over) = &state.over {
            return Ok(Received::Over(over.clone()));
        }
        if !state.accepted {
            return Err(if state.decide.is_some() { Unable::NotAccepted } else { Unable::Refused });
        }
        Ok(Received::Nothing)
    }

    /// Has `waiter` woken when there is something to receive; gives it back when there is already.
    pub(super) fn wait_for_message(&self, waiter: Waiter) -> Option<Waiter> {
        let mut state = self.state();
        let is_refused = state.decide.is_none() && !state.accepted;
        if !state.incoming.is_empty() || state.over.is_some() || is_refused {
            return Some(waiter);
        }
        let before = state.receiver.replace(waiter);
        drop(state);
        drop(before);
        None
    }

    /// Queues a message, in the order of the calls.
    pub(super) fn send(&self, message: Message) -> Result<(), Unable> {
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(if state.by_handler { Unable::Closed } else { Unable::Over(over.clone()) });
        }
        if !state.accepted {
            return Err(if state.decide.is_some() { Unable::NotAccepted } else { Unable::Refused });
        }
        state.outgoing_cost += message.cost();
        state.outgoing.push_back(message);
        drop(state);
        self.wake_pump();
        Ok(())
    }

    /// Whether the client takes its time, so that who sends has to wait.
    pub(super) fn is_full(&self) -> Result<bool, Unable> {
        let state = self.state();
        match &state.over {
            Some(_) if state.by_handler => Err(Unable::Closed),
            Some(over) => Err(Unable::Over(over.clone())),
            None => Ok(state.outgoing_cost > self.settings.max_queued_bytes),
        }
    }

    /// Has `waiter` woken when there is room again; gives it back when there is already.
    pub(super) fn wait_for_room(&self, waiter: Waiter) -> Option<Waiter> {
        let mut state = self.state();
        if state.outgoing_cost <= self.settings.max_queued_bytes || state.over.is_some() {
            return Some(waiter);
        }
        state.senders.push(waiter);
        None
    }

    /// Closes the socket once all has been sent; before it was accepted, refuses it. Nothing is received any more.
    pub(super) fn close(&self, close: Close) {
        let mut state = self.state();
        if let Some(decide) = state.decide.take() {
            let _ = decide.send(Decision::Refuse);
            self.tell(state);
            return;
        }
        if state.closing.is_some() || state.over.is_some() {
            return;
        }
        state.closing = Some(close.clone());
        state.over = Some(close);
        state.by_handler = true;
        state.incoming.clear();
        state.incoming_cost = 0;
        self.tell(state);
    }

    /// Wakes whoever waits on either side, as the state of the whole has changed.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let receiver = state.receiver.take();
        let senders = mem::take(&mut state.senders);
        drop(state);
        self.wake_pump();
        receiver.into_iter().chain(senders).for_each(Waiter::wake);
    }

    /// Has the socket looked at: at the end of a turn of the loop, with all that the turn sends.
    fn wake_pump(&self) {
        match self.pump.take() {
            Some(pump) => pyloop::wake(pump),
            None => pyloop::hurry(),
        }
    }

    // The side of the socket.

    /// Has the task of `cx` woken when the handler did something.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        self.pump.register(cx.waker());
    }

    /// Whether the handler takes more messages; if not, the socket learns when it does.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state();
        let full = state.incoming.len() >= WAITING || state.incoming_cost > self.settings.max_message_bytes;
        // What comes to one that is over is thrown away, until the close frame.
        state.held_up = full && !state.deserted && state.over.is_none();
        !state.held_up
    }

    /// Leaves a message for the handler.
    pub(super) fn put(&self, message: Message) {
        let mut state = self.state();
        if !state.deserted && state.over.is_none() {
            state.incoming_cost += message.cost();
            state.incoming.push_back(message);
        }
    }

    /// Wakes the handler if it waits for what was put.
    pub(super) fn wake_receiver(&self) {
        let mut state = self.state();
        let receiver = if state.incoming.is_empty() { None } else { state.receiver.take() };
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// The next message for the client.
    pub(super) fn next_outgoing(&self) -> Option<Message> {
        let mut state = self.state();
        let message = state.outgoing.pop_front()?;
        state.outgoing_cost -= message.cost();
        if state.outgoing_cost <= self.settings.max_queued_bytes / 2 && !state.senders.is_empty() {
            let senders = mem::take(&mut state.senders);
            drop(state);
            senders.into_iter().for_each(Waiter::wake);
        }
        Some(message)
    }

    /// Why the socket is to be closed, when all has been sent.
    pub(super) fn closing(&self) -> Option<Close> {
        self.state().closing.clone()
    }

    /// Tells the handler that the connection is over; what has come before is still there to receive.
    pub(super) fn end(&self, close: Close) {
        let mut state = self.state();
        if state.over.is_none() {
            state.over = Some(close);
            state.outgoing.clear();
            state.outgoing_cost = 0;
            self.tell(state);
        }
    }

    /// Tells the handler that the server closes the socket, and has it closed; what has come before is still there to receive.
    pub(super) fn stop(&self, close: Close) {
        let mut state = self.state();
        if state.over.is_none() && state.closing.is_none() {
            state.over = Some(close.clone());
            state.closing = Some(close);
            self.tell(state);
        }
    }

    /// The handler has ended: closes the socket unless that was done already, and nobody receives any more.
    pub(super) fn desert(&self, close: Close) {
        self.state().deserted = true;
        self.close(close);
    }
}
