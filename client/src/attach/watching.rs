//! Who only watches and types all the same: nothing of it reaches the session, and they are told
//! so, once.

use std::time::{Duration, Instant};

use crate::keys;

/// How long that shows.
const SHOWN: Duration = Duration::from_secs(5);

/// Whether what is typed is kept from the session, and what the user knows of it.
#[derive(Debug)]
pub(super) enum Watching {
    /// It is not.
    No,
    /// It is, and nothing was typed yet.
    Silently,
    /// The user is being told, until then.
    Telling(Instant),
    /// The user was told.
    Told,
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
        if matches!(self, Self::Silently) && keys::is_by_hand(typed) {
            *self = Self::Telling(now + SHOWN);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            *self = Self::Told;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Telling(until) => Some(*until),
            Self::No | Self::Silently | Self::Told => None,
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
    fn who_types_is_told_once_and_for_a_while() {
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
        watching.handle_typed(now + SHOWN, b"s");
        assert_eq!(watching.banner("Ctrl-\\"), None);
    }

    #[test]
    fn who_may_type_is_told_nothing() {
        let mut watching = Watching::new(false);
        watching.handle_typed(Instant::now(), b"l");
        assert_eq!(watching.banner("Ctrl-\\"), None);
    }
}
