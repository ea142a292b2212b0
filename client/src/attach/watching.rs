//! Who only watches and types all the same: nothing of it reaches the session, and they are told
//! so, and again after a pause.

use std::time::{Duration, Instant};

use crate::keys;

/// How long that shows.
const SHOWN: Duration = Duration::from_secs(5);

/// Who has not typed for so long may have forgotten.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether what is typed is kept from the session, and what the user knows of it.
#[derive(Debug)]
pub(super) enum Watching {
    /// It is not.
    No,
    /// It is, and nothing was typed yet.
    Silently,
    /// The user is being told, until then.
    Telling(Instant),
    /// The user was told, and went on typing until then at most.
    Told(Instant),
}

impl Watching {
    pub(super) fn new(read_only: bool) -> Self {
        match read_only {
            true => Self::Silently,
            false => Self::No,
        }
    }

    /// Whether there may be something to say.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Something was typed that is none of ours.
    pub(super) fn handle_typed(&mut self, now: Instant, typed: &[u8]) {
        if !keys::is_by_hand(typed) {
            return;
        }
        match self {
            Self::No | Self::Telling(_) => {}
            Self::Told(last) if now.saturating_duration_since(*last) < PAUSE => *last = now,
            Self::Silently | Self::Told(_) => *self = Self::Telling(now + SHOWN),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            *self = Self::Told(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Telling(until) => Some(*until),
            Self::No | Self::Silently | Self::Told(_) => None,
        }
    }

    /// What shows now.
    pub(super) fn banner(&self, leave_key: &str) -> Option<String> {
        self.poll_timeout()?;
        Some(format!(
            "psess: read-only: what you type does not reach the session · {leave_key} to leave"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_types_is_told_for_a_while_and_again_after_a_pause() {
        let now = Instant::now();
        let mut watching = Watching::new(true);
        watching.handle_typed(now, b"\x1b[?62;22c");
        assert_eq!(
            watching.banner("Ctrl-\\"),
            None,
            "an answer of the terminal"
        );
        watching.handle_typed(now, b"l");
        assert!(watching.banner("Ctrl-\\").is_some());
        watching.handle_typed(now, b"s");
        assert_eq!(watching.poll_timeout(), Some(now + SHOWN));
        watching.handle_timeout(now + SHOWN);
        assert_eq!(watching.banner("Ctrl-\\"), None);
        let now = now + SHOWN;
        for seconds in [0, 30, 60] {
            watching.handle_typed(now + Duration::from_secs(seconds), b"s");
            assert_eq!(watching.banner("Ctrl-\\"), None);
        }
        watching.handle_typed(now + Duration::from_secs(60) + PAUSE, b"s");
        assert!(watching.banner("Ctrl-\\").is_some());
    }

    #[test]
    fn who_may_type_is_told_nothing() {
        let mut watching = Watching::new(false);
        watching.handle_typed(Instant::now(), b"l");
        assert_eq!(watching.banner("Ctrl-\\"), None);
    }
}
