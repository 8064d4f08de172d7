//! What clients are told when Python cannot take their request.

use super::pyloop::{Overloaded, Refused};
use crate::service::Problem;

/// All places where requests wait are taken.
pub(super) fn overloaded() -> Problem {
    Problem::unavailable("too many requests are waiting for Python", 1)
}

/// The app was not started, or has stopped.
pub(super) fn not_running() -> Problem {
    Problem::unavailable("the application's event loop does not run", 5)
}

/// The app stops before the request has its turn.
pub(super) fn stopping() -> Problem {
    Problem::unavailable("the application is stopping", 5)
}

/// The loop was closed, or the interpreter ended, with the call still open.
pub(super) fn lost() -> Problem {
    Problem::unavailable("the application stopped before it answered", 5)
}

/// For a job that the loop did not accept.
pub(super) fn of_overload(why: Overloaded) -> Problem {
    match why {
        Overloaded::InboxFull | Overloaded::TooManyInFlight => overloaded(),
        Overloaded::Closed => stopping(),
    }
}

/// For a job that was accepted and does not run; none when nobody waits for the answer.
pub(super) fn of_refusal(why: Refused) -> Option<Problem> {
    match why {
        Refused::Cancelled => None,
        Refused::Overloaded => Some(overloaded()),
        Refused::Stopped => Some(stopping()),
    }
}
