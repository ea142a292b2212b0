//! What a client is told of its input.

use std::time::{Duration, Instant};

use psess_protocol::offset::InputOffset;

/// Input that the pty took is reported after this, when no output came to go along with.
const AFTER: Duration = Duration::from_millis(50);

/// So much input is reported at once: the client holds back what is not.
const BYTES: u64 = 16 << 10;

/// How far the pty took a client's input, and how far the client was told. It is said with the next
/// output, which usually is the echo, or after a while: a message of its own would wake the client
/// twice for each key.
#[derive(Debug, Default)]
pub(super) struct InputReport {
    said: InputOffset,
    written: InputOffset,
    due: Option<Instant>,
}

impl InputReport {
    /// The pty took all before `written`.
    pub(super) fn handle_written(&mut self, now: Instant, written: InputOffset) {
        self.written = written;
        let due = match written.bytes_since(self.said) {
            BYTES.. => now,
            _ => now + AFTER,
        };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// When something is to be said at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be said, where that is due; or where something is said anyway.
    pub(super) fn poll(&mut self, now: Instant, anyway: bool) -> Option<InputOffset> {
        self.due.take_if(|due| anyway || *due <= now)?;
        self.said = self.written;
        Some(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_reported_with_what_is_said_anyway_or_after_a_while() {
        let now = Instant::now();
        let mut report = InputReport::default();
        assert_eq!(report.poll(now, true), None, "nothing was typed");
        report.handle_written(now, InputOffset(1));
        assert_eq!(report.poll(now, false), None);
        assert_eq!(report.poll(now, true), Some(InputOffset(1)));
        report.handle_written(now, InputOffset(2));
        report.handle_written(now + AFTER / 2, InputOffset(3));
        assert_eq!(report.due(), Some(now + AFTER));
        assert_eq!(report.poll(now + AFTER, false), Some(InputOffset(3)));
        assert_eq!(report.due(), None);
    }

    #[test]
    fn much_is_reported_at_once() {
        let now = Instant::now();
        let mut report = InputReport::default();
        report.handle_written(now, InputOffset(BYTES - 1));
        assert_eq!(report.poll(now, false), None);
        report.handle_written(now, InputOffset(BYTES));
        assert_eq!(report.poll(now, false), Some(InputOffset(BYTES)));
    }
}
