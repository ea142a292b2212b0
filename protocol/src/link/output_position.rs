//! How far the user's terminal is in the session's output, and how much of it to acknowledge.

use std::time::Instant;

use crate::message::Replay;
use crate::offset::Offset;
use crate::size::Size;
use crate::timing::Timing;

/// Fewer bytes are not worth a message. An eighth of the smallest credit: so much may stay
/// without an acknowledgement.
const LEAST_ACKNOWLEDGED: u64 = 2 << 10;

/// What the user's terminal shows, across connections.
///
/// Bytes count as shown once they are queued for the terminal: the queue is never dropped
/// while the client lives.
#[derive(Clone, Debug, Default)]
pub struct OutputPosition {
    shown: Shown,
    /// Where output was when the last replay began, or the last connection that nothing goes on
    /// from.
    left: Option<Offset>,
    /// Rows that the terminal may have taken back from its scrollback since output last came.
    taken_back: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum Shown {
    /// Nothing that output could go on from.
    #[default]
    Nothing,
    /// All output before this.
    UpTo(Offset),
    /// A replay of which so many bytes are missing; then `position`.
    PartOfReplay {
        missing: u64,
        position: Option<Offset>,
    },
}

impl OutputPosition {
    /// Where a new connection may go on; `None`: only from a replay.
    #[must_use]
    pub fn resumable(&self) -> Option<Offset> {
        match self.shown {
            Shown::UpTo(offset) => Some(offset),
            Shown::Nothing | Shown::PartOfReplay { .. } => None,
        }
    }

    /// Up to where the user's scrollback has what scrolled off, whatever the terminal shows now;
    /// `None`: it has nothing of the session's yet.
    #[must_use]
    pub fn in_scrollback(&self) -> Option<Offset> {
        self.resumable().or(self.left)
    }

    /// How many rows of that the terminal may have taken back since.
    #[must_use]
    pub fn taken_back(&self) -> u32 {
        self.taken_back
    }

    /// The terminal was resized. The rows of a picture are lines of their own, which never wrap.
    pub fn handle_resized(&mut self, before: Size, now: Size) {
        let rows = match self.shown {
            Shown::Nothing => now.rows.saturating_sub(before.rows),
            Shown::UpTo(_) | Shown::PartOfReplay { .. } => before.rows_taken_back(now),
        };
        self.taken_back = self.taken_back.saturating_add(rows.into());
    }

    /// Whether a replay was announced and is not whole.
    #[must_use]
    pub fn is_in_replay(&self) -> bool {
        matches!(self.shown, Shown::PartOfReplay { .. })
    }

    /// A new connection begins; `resumed` says whether its output goes on where the last one
    /// ended.
    pub fn begin_connection(&mut self, resumed: bool) {
        if !resumed {
            self.left = self.in_scrollback();
            self.shown = Shown::Nothing;
        }
    }

    /// Output came from `offset` on. Whether it goes on where the terminal stands.
    #[must_use]
    pub fn output(&mut self, offset: Offset, length: usize) -> bool {
        let fits = self.resumable() == Some(offset);
        if fits {
            self.reach(offset.advanced_by(length));
        }
        fits
    }

    /// The server wrote output before `offset` straight to the terminal.
    pub fn advance(&mut self, offset: Offset) {
        if let Shown::UpTo(shown) = self.shown
            && shown < offset
        {
            self.reach(offset);
        }
    }

    /// A replay was announced. One that was not whole is given up: the new one draws all that
    /// it would have drawn.
    pub fn begin_replay(&mut self, replay: Replay) {
        self.left = self.in_scrollback();
        self.shown = Shown::PartOfReplay {
            missing: replay.length,
            position: replay.position,
        };
        if replay.length == 0 {
            self.end_replay(replay.position);
        }
    }

    /// Bytes of the replay came. Whether they belong to one that was announced.
    #[must_use]
    pub fn replay(&mut self, length: usize) -> bool {
        let Shown::PartOfReplay { missing, position } = &mut self.shown else {
            return false;
        };
        let Some(rest) = missing.checked_sub(length as u64) else {
            return false;
        };
        *missing = rest;
        if rest == 0 {
            let position = *position;
            self.end_replay(position);
        }
        true
    }

    fn end_replay(&mut self, position: Option<Offset>) {
        match position {
            Some(offset) => self.reach(offset),
            None => self.shown = Shown::Nothing,
        }
    }

    /// The terminal shows what all output before `offset` leaves, and its scrollback has the rest.
    fn reach(&mut self, offset: Offset) {
        self.shown = Shown::UpTo(offset);
        self.taken_back = 0;
    }
}

/// Terminal bytes of one connection that the user's terminal took, for `ClientMessage::Written`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credit {
    /// The last bytes are acknowledged as well, however few they are.
    to_the_last: bool,
    /// Bytes still in the terminal's queue that came on earlier connections, and of which the
    /// server does not know.
    earlier: u64,
    /// Terminal bytes of this connection, as the server counts them.
    received: u64,
    written: u64,
    acknowledged: u64,
    acknowledged_at: Option<Instant>,
}

impl Credit {
    /// For a server that is lent the terminal, and writes to it when it knows that nothing else
    /// is under way: all bytes are acknowledged.
    #[must_use]
    pub fn to_the_last_byte() -> Self {
        Self {
            to_the_last: true,
            ..Self::default()
        }
    }

    /// Bytes that are still queued for the terminal.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.earlier + (self.received - self.written)
    }

    /// A new connection, whose server counts so many of the bytes that are still queued as its
    /// own: the last of them.
    #[must_use]
    pub fn next_connection(self, counted: u64) -> Self {
        let counted = counted.min(self.queued());
        Self {
            earlier: self.queued() - counted,
            received: counted,
            to_the_last: self.to_the_last,
            ..Self::default()
        }
    }

    /// Terminal bytes came and were queued for the terminal.
    pub fn handle_received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The terminal took the next `bytes` of the queue.
    pub fn handle_written(&mut self, bytes: usize) {
        let of_earlier = self.earlier.min(bytes as u64);
        self.earlier -= of_earlier;
        self.written = (self.written + bytes as u64 - of_earlier).min(self.received);
    }

    /// What to acknowledge: many bytes at once, or some when the last acknowledgement is some
    /// time ago, so that the server learns how slow the terminal is, and that it has all.
    pub fn poll(&mut self, now: Instant, timing: &Timing) -> Option<u64> {
        let much = self.unsaid() >= timing.acknowledge_bytes.max(1);
        let due = much || self.poll_timeout(now, timing).is_some_and(|at| at <= now);
        due.then(|| {
            self.acknowledged = self.written;
            self.acknowledged_at = Some(now);
            self.written
        })
    }

    /// When what is unsaid is to be acknowledged although it is not much.
    pub fn poll_timeout(&self, now: Instant, timing: &Timing) -> Option<Instant> {
        let apart = match self.unsaid() {
            0 => return None,
            LEAST_ACKNOWLEDGED.. => timing.acknowledge_apart,
            _ if self.to_the_last => timing.acknowledge_rest_apart,
            _ => return None,
        };
        Some(self.acknowledged_at.map_or(now, |at| at + apart))
    }

    /// Bytes that the terminal took since the last acknowledgement.
    fn unsaid(&self) -> u64 {
        self.written - self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ReplayPurpose;

    fn replay(length: u64, position: Option<Offset>) -> Replay {
        Replay {
            length,
            position,
            purpose: ReplayPurpose::Attach,
        }
    }

    #[test]
    fn half_a_replay_is_nothing_to_go_on_from() {
        let mut position = OutputPosition::default();
        position.begin_replay(replay(10, Some(Offset(50))));
        assert!(position.replay(9));
        assert_eq!(position.resumable(), None);
        assert!(!position.output(Offset(50), 1));
        assert!(position.replay(1));
        assert!(!position.replay(1));
        assert!(position.output(Offset(50), 3));
        assert_eq!(position.resumable(), Some(Offset(53)));
    }

    #[test]
    fn a_replay_may_be_replaced_by_a_later_one() {
        let mut position = OutputPosition::default();
        position.begin_replay(replay(10, Some(Offset(50))));
        assert!(position.replay(4));
        position.begin_replay(replay(3, Some(Offset(60))));
        assert!(!position.replay(4));
        assert!(position.replay(3));
        assert_eq!(position.resumable(), Some(Offset(60)));
    }

    #[test]
    fn the_scrollback_is_as_it_was_until_a_replay_is_whole() {
        let mut position = OutputPosition::default();
        position.begin_replay(replay(10, Some(Offset(50))));
        assert!(position.replay(9));
        position.begin_connection(false);
        assert_eq!(position.in_scrollback(), None);
        position.begin_replay(replay(1, Some(Offset(50))));
        assert!(position.replay(1));
        assert!(position.output(Offset(50), 3));
        assert_eq!(position.in_scrollback(), Some(Offset(53)));
        position.begin_replay(replay(10, Some(Offset(90))));
        assert!(position.replay(9));
        position.begin_replay(replay(0, None));
        position.begin_connection(false);
        assert_eq!(position.resumable(), None);
        assert_eq!(position.in_scrollback(), Some(Offset(53)));
    }

    #[test]
    fn what_a_terminal_took_back_counts_until_output_comes() {
        let size = Size::new;
        let mut position = OutputPosition::default();
        position.begin_replay(replay(0, Some(Offset(50))));
        position.handle_resized(size(24, 80), size(30, 70));
        position.handle_resized(size(30, 70), size(24, 70));
        position.handle_resized(size(24, 70), size(24, 80));
        assert_eq!(position.taken_back(), 6 + 24);
        assert!(position.output(Offset(50), 1));
        assert_eq!(position.taken_back(), 0);
        // A picture.
        position.begin_replay(replay(0, None));
        position.handle_resized(size(24, 80), size(30, 90));
        assert_eq!(position.taken_back(), 6);
        position.begin_replay(replay(0, None));
        assert_eq!(position.taken_back(), 6);
        position.begin_replay(replay(0, Some(Offset(60))));
        assert_eq!(position.taken_back(), 0);
    }

    #[test]
    fn an_empty_replay_moves_the_position() {
        let mut position = OutputPosition::default();
        position.begin_replay(replay(0, Some(Offset(7))));
        assert_eq!(position.resumable(), Some(Offset(7)));
    }

    #[test]
    fn output_with_a_gap_or_an_overlap_does_not_fit() {
        let mut position = OutputPosition::default();
        position.begin_replay(replay(0, Some(Offset(7))));
        assert!(!position.output(Offset(8), 1));
        assert!(!position.output(Offset(6), 1));
        assert!(position.output(Offset(7), 1));
    }

    #[test]
    fn what_the_server_wrote_itself_counts_as_shown() {
        let mut position = OutputPosition::default();
        position.advance(Offset(9));
        assert_eq!(position.resumable(), None);
        position.begin_replay(replay(1, Some(Offset(7))));
        position.advance(Offset(9));
        assert!(position.replay(1));
        assert_eq!(position.resumable(), Some(Offset(7)));
        position.advance(Offset(6));
        assert!(!position.output(Offset(9), 1));
        position.advance(Offset(9));
        assert!(position.output(Offset(9), 1));
    }

    const KIB: usize = 1 << 10;

    #[test]
    fn bytes_of_an_earlier_connection_give_no_credit() {
        let (now, timing) = (Instant::now(), Timing::default());
        let mut credit = Credit::default();
        credit.handle_received(100 * KIB);
        credit.handle_written(40 * KIB);
        let mut credit = credit.next_connection(0);
        credit.handle_received(50 * KIB);
        credit.handle_written(61 * KIB);
        assert_eq!(credit.poll(now, &timing), None);
        credit.handle_written(9 * KIB);
        assert_eq!(credit.poll(now, &timing), Some(10 << 10));
        assert_eq!(credit.poll(now, &timing), None);
        assert_eq!(credit.poll_timeout(now, &timing), None);
        credit.handle_written(40 * KIB);
        assert_eq!(credit.poll(now, &timing), Some(50 << 10));
    }

    #[test]
    fn bytes_of_an_earlier_connection_count_where_the_server_knows_of_them() {
        let (now, timing) = (Instant::now(), Timing::default());
        let mut credit = Credit::default();
        credit.handle_received(100 * KIB);
        credit.handle_written(40 * KIB);
        assert_eq!(credit.queued(), 60 << 10);
        let mut credit = credit.next_connection(60 << 10);
        credit.handle_written(20 * KIB);
        assert_eq!(credit.poll(now, &timing), Some(20 << 10));
        // The next server does not, and the one after it does.
        let mut credit = credit.next_connection(0).next_connection(40 << 10);
        credit.handle_received(5 * KIB);
        credit.handle_written(45 * KIB);
        assert_eq!(credit.poll(now, &timing), Some(45 << 10));
        assert_eq!(credit.queued(), 0);
    }

    #[test]
    fn where_the_terminal_is_lent_the_last_byte_is_acknowledged_soon() {
        let (now, timing) = (Instant::now(), Timing::default());
        let mut credit = Credit::to_the_last_byte();
        credit.handle_received(9);
        credit.handle_written(8);
        assert_eq!(credit.poll(now, &timing), Some(8));
        assert_eq!(credit.poll_timeout(now, &timing), None);
        credit.handle_written(1);
        let soon = now + timing.acknowledge_rest_apart;
        assert_eq!(credit.poll_timeout(now, &timing), Some(soon));
        assert_eq!(credit.poll(soon, &timing), Some(9));
    }

    #[test]
    fn a_fast_terminal_is_acknowledged_rarely_a_slow_one_often_and_the_last_bytes_soon() {
        let (now, timing) = (Instant::now(), Timing::default());
        let later = now + timing.acknowledge_apart;
        let mut credit = Credit::default();
        credit.handle_received(60 * KIB);
        let mut after = |at, written: usize| {
            credit.handle_written(written * KIB);
            credit.poll(at, &timing).map(|total| total >> 10)
        };
        assert_eq!(after(now, 1), None, "little");
        assert_eq!(after(now, 1), Some(2), "the first");
        assert_eq!(after(now, 15), None, "fast");
        assert_eq!(after(now, 1), Some(18), "much");
        assert_eq!(after(later, 2), Some(20), "slow");
        assert_eq!(after(later, 40), Some(60));
        credit.handle_received(3 * KIB);
        credit.handle_written(3 * KIB);
        assert_eq!(credit.poll(later, &timing), None);
        let soon = later + timing.acknowledge_apart;
        assert_eq!(credit.poll_timeout(later, &timing), Some(soon));
        assert_eq!(credit.poll(soon, &timing), Some(63 << 10), "all that came");
    }
}
