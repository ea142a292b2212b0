//! When the log is tidied: memory of output that nobody needs any more is kept for what comes next
//! while a flood goes on.

use std::time::{Duration, Instant};

use psess_protocol::offset::Offset;

use crate::output_log::OutputLog;

/// A flood goes on as long as a piece of the log is forgotten at least so often: at more than 4 MB/s.
const CALM: Duration = Duration::from_millis(250);

/// A ring that is longer than it need be is made short after so long, if a flood goes on.
const TOO_LONG: Duration = Duration::from_secs(10);

/// What the log was when it was looked at last.
#[derive(Debug)]
pub(super) struct Tidying {
    /// Where it began, and since when.
    start: Offset,
    trimmed: Instant,
    /// When its ring was last no longer than it need be.
    fitting: Instant,
}

impl Tidying {
    /// Nothing was forgotten before `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: Offset(0),
            trimmed: now,
            fitting: now,
        }
    }

    /// Looks at the log, after it was trimmed or may have been.
    pub(super) fn observe(&mut self, now: Instant, log: &OutputLog) {
        if !log.is_too_long() {
            self.fitting = now;
        }
        if log.start() != self.start {
            self.start = log.start();
            self.trimmed = now;
        }
    }

    /// When the log is to be tidied; `None`: it is tidy.
    pub(super) fn due(&self, log: &OutputLog) -> Option<Instant> {
        let calm = self.trimmed + CALM;
        log.is_untidy().then(|| match log.is_too_long() {
            true => calm.min(self.fitting + TOO_LONG),
            false => calm,
        })
    }
}
