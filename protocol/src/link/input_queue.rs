//! What the user typed and the program may not have read yet.

use std::collections::VecDeque;

use crate::offset::InputOffset;

/// Typed bytes from the first unconfirmed one on. They stay until the server says that they
/// were written to the pty, and are sent again from there on the next connection: exactly once,
/// however often the link dies.
#[derive(Clone, Debug)]
pub struct InputQueue {
    bytes: VecDeque<u8>,
    /// Offset of the first byte kept: everything before it was confirmed.
    start: InputOffset,
    /// What was sent on this connection ends here.
    sent: InputOffset,
    /// What was ever sent on any connection ends here: the server may have it.
    ever_sent: InputOffset,
    capacity_bytes: usize,
    in_flight_bytes: usize,
}

impl InputQueue {
    /// An empty one that keeps `capacity_bytes`, of which `in_flight_bytes` are sent ahead of
    /// their confirmation.
    #[must_use]
    pub fn new(capacity_bytes: usize, in_flight_bytes: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            start: InputOffset(0),
            sent: InputOffset(0),
            ever_sent: InputOffset(0),
            capacity_bytes,
            in_flight_bytes,
        }
    }

    /// How many more bytes fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity_bytes.saturating_sub(self.bytes.len())
    }

    /// Bytes that are not confirmed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a line end is among the unconfirmed bytes.
    #[must_use]
    pub fn has_line_end(&self) -> bool {
        self.bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Where the bytes sent on this connection end.
    #[must_use]
    pub fn sent(&self) -> InputOffset {
        self.sent
    }

    /// All before this was confirmed.
    #[must_use]
    pub fn confirmed(&self) -> InputOffset {
        self.start
    }

    /// Whether bytes that were sent on this connection are not confirmed.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.sent > self.start
    }

    /// Whether [`InputQueue::take`] has something to send.
    #[must_use]
    pub fn is_sendable(&self) -> bool {
        let unsent = self.bytes.len() as u64 > self.sent.bytes_since(self.start);
        unsent && self.sent.bytes_since(self.start) < self.in_flight_bytes as u64
    }

    /// Keeps what the user typed, as far as there is room; returns how much that was.
    pub fn push(&mut self, typed: &[u8]) -> usize {
        let kept = typed.len().min(self.room());
        self.bytes.extend(&typed[..kept]);
        kept
    }

    /// The next bytes to send, at most `limit`, with their offset; none when all are sent or
    /// too much is on its way.
    pub fn take(&mut self, limit: usize) -> Option<(InputOffset, Vec<u8>)> {
        if !self.is_sendable() {
            return None;
        }
        let from = self.sent.bytes_since(self.start) as usize;
        let to = self.bytes.len().min(self.in_flight_bytes).min(from + limit);
        let chunk: Vec<u8> = self.bytes.range(from..to).copied().collect();
        let offset = self.sent;
        self.sent = self.sent.advanced_by(chunk.len());
        self.ever_sent = self.ever_sent.max(self.sent);
        Some((offset, chunk))
    }

    /// All before `written` was written to the pty. Lower ones than before, and ones beyond
    /// what was sent, are ignored.
    pub fn confirm(&mut self, written: InputOffset) {
        if written <= self.start || written > self.sent {
            return;
        }
        self.bytes.drain(..written.bytes_since(self.start) as usize);
        self.start = written;
    }

    /// A new connection to the same session goes on from `written`, the server's word. Returns
    /// how many typed bytes had to be given up: none, unless the server knows another past than
    /// this client. Then those that it may have got are not sent again.
    pub fn resume(&mut self, written: InputOffset) -> usize {
        if written >= self.start && written <= self.ever_sent {
            self.sent = self.ever_sent;
            self.confirm(written);
            self.sent = written;
            return 0;
        }
        self.restart(written)
    }

    /// Goes on in a past that is not this client's own: keeps only what was never sent, and
    /// counts it from `written` on. Returns how many bytes were given up.
    pub fn restart(&mut self, written: InputOffset) -> usize {
        let given_up = self.ever_sent.bytes_since(self.start) as usize;
        self.bytes.drain(..given_up);
        (self.start, self.sent, self.ever_sent) = (written, written, written);
        given_up
    }

    /// Gives up all that the server has not confirmed. Only right after [`InputQueue::resume`],
    /// when nothing is on its way: the next typed byte takes the offset of the first dropped.
    pub fn discard(&mut self) {
        self.bytes.clear();
        (self.sent, self.ever_sent) = (self.start, self.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &[u8]) -> InputQueue {
        let mut queue = InputQueue::new(10, 4);
        queue.push(text);
        queue
    }

    #[test]
    fn what_is_unconfirmed_is_sent_again_and_only_that() {
        let mut queue = typed(b"abcdef");
        assert_eq!(queue.take(3), Some((InputOffset(0), b"abc".to_vec())));
        assert_eq!(queue.take(9), Some((InputOffset(3), b"d".to_vec())));
        assert_eq!(queue.take(9), None, "four bytes are on their way");
        queue.confirm(InputOffset(2));
        assert_eq!(queue.take(9), Some((InputOffset(4), b"ef".to_vec())));
        assert_eq!(queue.resume(InputOffset(3)), 0);
        assert_eq!(queue.take(9), Some((InputOffset(3), b"def".to_vec())));
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut queue = typed(b"0123456789abc");
        assert_eq!((queue.waiting(), queue.room()), (10, 0));
        queue.take(4);
        queue.confirm(InputOffset(4));
        assert_eq!(queue.push(b"more!"), 4);
    }

    #[test]
    fn a_confirmation_out_of_range_changes_nothing() {
        let mut queue = typed(b"abc");
        queue.take(2);
        queue.confirm(InputOffset(3));
        queue.confirm(InputOffset(u64::MAX));
        assert_eq!(queue.waiting(), 3);
    }

    #[test]
    fn a_server_with_another_past_never_gets_a_byte_twice() {
        let mut queue = typed(b"abcd");
        queue.take(3);
        queue.confirm(InputOffset(1));
        assert_eq!(queue.resume(InputOffset(0)), 2, "b and c may be there");
        assert_eq!(queue.take(9), Some((InputOffset(0), b"d".to_vec())));
    }

    #[test]
    fn what_was_discarded_leaves_no_gap() {
        let mut queue = typed(b"rm x\r");
        queue.take(9);
        queue.resume(InputOffset(1));
        assert!(queue.has_line_end());
        queue.discard();
        queue.push(b"ls");
        assert_eq!(queue.take(9), Some((InputOffset(1), b"ls".to_vec())));
    }
}
