//! Figures of a link, for people.

use std::time::{Duration, Instant};

use super::Link;
use super::carrier::Carrier;
use crate::heartbeat::Heartbeat;

/// Figures of a link, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The smoothed round trip; `None` without a connection.
    pub round_trip: Option<Duration>,
    /// The interval of the heartbeat now.
    pub heartbeat: Option<Duration>,
    /// How long nothing has come.
    pub silence: Duration,
    /// Typed bytes that are not confirmed.
    pub waiting_bytes: usize,
    /// How often the session was attached anew.
    pub redials: u64,
}

impl Link {
    /// Figures for people.
    #[must_use]
    pub fn stats(&self, now: Instant) -> Stats {
        let heartbeat = self.carrier.as_ref().map(|carrier| &carrier.heartbeat);
        Stats {
            round_trip: self.carrier.as_ref().map(Carrier::round_trip),
            heartbeat: heartbeat.and_then(Heartbeat::interval),
            silence: now.saturating_duration_since(self.contact()),
            waiting_bytes: self.input.waiting(),
            redials: self.redials,
        }
    }

    /// When something last came.
    pub(super) fn contact(&self) -> Instant {
        self.carrier.as_ref().map_or(self.last_contact, |carrier| {
            carrier.heartbeat.last_received()
        })
    }
}
