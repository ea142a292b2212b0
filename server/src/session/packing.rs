//! When the history is packed, a block at a time, and what that frees.
//!
//! The terminal is that of the shadow, which also knows when output came last.

use std::time::{Duration, Instant};

use psess_protocol::terminal::Terminal;

/// A block is packed in so long, which is a hundredth of the time; once the burst is over, in
/// [`EACH_AT_REST`].
const EACH_IN_BURST: Duration = Duration::from_millis(10);

/// As soon as a timer rings, which is after a millisecond: a key waits for one block at most.
const EACH_AT_REST: Duration = Duration::from_micros(250);

/// For so much that was freed the allocator is asked to let go of it.
const MUCH_FREED: usize = 128 << 10;

/// What was packed last, and what was freed.
#[derive(Debug)]
pub(super) struct Packing {
    /// When a block was packed last.
    last: Instant,
    /// What the history takes less since the allocator was last asked for it.
    freed_bytes: usize,
}

impl Packing {
    /// Nothing was packed before `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: now,
            freed_bytes: 0,
        }
    }

    /// When the next block is to be packed, where a burst is over at `rest` unless more output comes;
    /// `None`: there was none.
    pub(super) fn due(&self, rest: Option<Instant>) -> Instant {
        let at_rest = self.last + EACH_AT_REST;
        let at_rest = rest.map_or(at_rest, |rest| rest.max(at_rest));
        at_rest.min(self.last + EACH_IN_BURST)
    }

    /// Packs a block of what `terminal` keeps.
    pub(super) fn pack(&mut self, now: Instant, terminal: &mut Terminal) {
        let before = terminal.history_bytes();
        terminal.pack();
        self.count(before, terminal);
        self.last = now;
    }

    /// Counts what was freed since the history took `before` bytes.
    pub(super) fn count(&mut self, before: usize, terminal: &Terminal) {
        self.freed_bytes += before.saturating_sub(terminal.history_bytes());
    }

    /// Whether packing is over and much was freed; that is forgotten then.
    pub(super) fn take_freed(&mut self, terminal: &Terminal) -> bool {
        let much = self.freed_bytes >= MUCH_FREED && !terminal.can_pack();
        if much {
            self.freed_bytes = 0;
        }
        much
    }
}

#[cfg(test)]
mod tests {
    use psess_protocol::size::Size;
    use psess_protocol::terminal::Limits;

    use super::*;

    /// With a history of some blocks that can be packed.
    fn terminal() -> Terminal {
        let mut terminal = Terminal::new(Size::new(24, 80), Limits::default());
        terminal.feed(&b"a line like all others\r\n".repeat(20_000));
        terminal
    }

    #[test]
    fn a_block_is_packed_each_10_ms_in_a_burst_and_more_often_at_rest() {
        let now = Instant::now();
        let rest = Duration::from_millis(10);
        let mut terminal = terminal();
        let mut packing = Packing::new(now);
        assert_eq!(packing.due(None), now + EACH_AT_REST);
        // Output goes on coming.
        assert_eq!(packing.due(Some(now + rest * 7)), now + EACH_IN_BURST);
        let now = now + EACH_IN_BURST;
        packing.pack(now, &mut terminal);
        assert_eq!(packing.due(Some(now + rest * 7)), now + EACH_IN_BURST);
        // It ends.
        assert_eq!(packing.due(Some(now + rest / 2)), now + rest / 2);
        assert_eq!(packing.due(Some(now - rest)), now + EACH_AT_REST);
    }
}
