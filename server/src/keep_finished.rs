//! How long a finished session is kept that nobody has looked at.

use std::time::Duration;

use psess_protocol::retention::Retention;

const DEFAULT: Duration = Duration::from_secs(7 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// How often it is looked whether a session has been kept for long enough: a machine that sleeps
/// stops the timers, but not the time of day.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// How long a finished session is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepFinished(Duration);

impl KeepFinished {
    /// As configured, else 7 days.
    pub(crate) fn new(configured: &Retention) -> Self {
        Self(configured.finished.unwrap_or(DEFAULT))
    }

    /// After which pause to look again at a session that finished at `finished`, now that it is
    /// `now`, both in seconds since 1970; `None`: it has been kept for long enough.
    pub(crate) fn next_look(self, finished: u64, now: u64) -> Option<Duration> {
        let due = finished.saturating_add(self.0.as_secs());
        let left = Duration::from_secs(due.saturating_sub(now));
        (!left.is_zero()).then_some(left.min(LOOK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_session_is_kept_for_as_long_as_the_time_of_day_says() {
        const MONDAY: u64 = 1_700_000_000;
        let keep = KeepFinished(DEFAULT);
        assert_eq!(keep.next_look(MONDAY, MONDAY), Some(LOOK));
        // A server that starts later goes by when the session finished.
        assert_eq!(
            keep.next_look(MONDAY, MONDAY + 7 * DAY - 60),
            Some(Duration::from_secs(60))
        );
        assert_eq!(keep.next_look(MONDAY, MONDAY + 7 * DAY), None);
        // The clock was put back: kept longer, but looked at.
        assert_eq!(keep.next_look(MONDAY, MONDAY - 365 * DAY), Some(LOOK));
        assert_eq!(KeepFinished(Duration::ZERO).next_look(MONDAY, MONDAY), None);
        assert_eq!(keep.next_look(u64::MAX, MONDAY), Some(LOOK));
    }
}
