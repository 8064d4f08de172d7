//! Parks in the poller itself: for loops made in a forked child, where Tokio must not be used.

use std::io;
use std::time::Duration;

use super::super::poller::{Event, Poller};
use super::{Driver, Local};

pub(super) struct PlainDriver {
    poller: Poller,
}

impl PlainDriver {
    pub(super) fn new(poller: Poller) -> Self {
        Self { poller }
    }
}

impl Driver for PlainDriver {
    fn park(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
        first: &mut (dyn FnMut() + Send),
    ) -> io::Result<()> {
        first();
        self.poller.collect(timeout, events)
    }

    fn local(&self) -> Option<Local> {
        None
    }
}
