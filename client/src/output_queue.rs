//! Bytes on their way to the user's terminal.

use std::collections::VecDeque;

/// What the terminal has not taken yet. It is bounded by the credit that the server has: bytes
/// are acknowledged only when the terminal took them, and the server of each new connection is
/// told how many there are.
#[derive(Debug, Default)]
pub struct OutputQueue {
    bytes: Vec<u8>,
    /// How much of `bytes` was taken.
    taken: usize,
    /// Lengths of runs, and whether they came from the server.
    runs: VecDeque<(usize, bool)>,
    /// How much was pushed ever.
    pushed: u64,
}

impl OutputQueue {
    /// Appends bytes of the server's (`counted`), or our own: a banner, a mark.
    pub fn push(&mut self, bytes: &[u8], counted: bool) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        self.pushed += bytes.len() as u64;
        match self.runs.back_mut() {
            Some((length, kind)) if *kind == counted => *length += bytes.len(),
            Some(_) | None => self.runs.push_back((bytes.len(), counted)),
        }
    }

    /// What the terminal is to take next.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Where it ends now, among all that was ever pushed.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.pushed
    }

    /// Whether the terminal took all before `place`, an earlier [`OutputQueue::end`].
    #[must_use]
    pub fn has_taken(&self, place: u64) -> bool {
        self.pushed - self.pending().len() as u64 >= place
    }

    /// Whether the terminal took all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// The terminal took `count` bytes; returns how many of them came from the server.
    ///
    /// # Panics
    /// When that is more than was pending.
    pub fn take(&mut self, count: usize) -> usize {
        assert!(count <= self.pending().len(), "more taken than was pending");
        self.taken += count;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        } else if self.taken >= 64 * 1024 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        let (mut left, mut counted) = (count, 0);
        while left > 0
            && let Some((length, kind)) = self.runs.front_mut()
        {
            let part = left.min(*length);
            *length -= part;
            left -= part;
            counted += if *kind { part } else { 0 };
            if *length == 0 {
                self.runs.pop_front();
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_bytes_count() {
        let mut queue = OutputQueue::default();
        queue.push(b"abc", true);
        queue.push(b"<banner>", false);
        queue.push(b"de", true);
        queue.push(b"f", true);
        assert_eq!(queue.take(2), 2);
        assert_eq!(queue.take(7), 1);
        assert_eq!(queue.pending(), b"r>def".as_slice());
        assert_eq!(queue.take(5), 3);
        assert!(queue.is_empty());
    }
}
