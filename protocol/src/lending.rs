//! What a client and a server on one machine lend each other, so that each key and each echo wakes
//! one process less: the client its terminal, the server the pty.
//!
//! How far a server is that writes to a lent terminal is told by two files, so that it is known
//! exactly also when the server is killed.
//!
//! The server writes with sendfile(2) from its log, a ring, so that the kernel moves the log
//! file's offset with each byte that the terminal takes. It hands that open file to the client,
//! with another that holds 8 bytes: a position in the output, as a little-endian number, that
//! changes only where the file's offset is at the place in the ring that belongs to it.
//!
//! The pty's master comes along with the two files, for a client that knows
//! [`ClientMessage::Typed`](crate::message::ClientMessage::Typed) and may type. What such a client
//! writes there is delivered, and nobody's to lose: not the server's, which is told afterwards. It
//! writes only where it would overtake nothing: while all that it sent on its connection arrived
//! ([`Link::is_passable`](crate::link::Link::is_passable)), and while the byte behind the position is
//! 1, by which the server says that no input waits, and that the session has this client's size and
//! asks this client's terminal. A server that stands still, or is killed, leaves its last word.
//!
//! A program is hung up on when nobody has its pty's master open (tty(4)), so the client closes it with
//! the connection. One that is stopped keeps it.

use crate::offset::Offset;

/// Where in the second file it is said whether keys may pass the server by: 1 or 0.
pub const PASS: u64 = 8;

/// Where a log's ring lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Where it begins, in bytes.
    pub start: u64,
    /// Its length in bytes; or, to know what was [`written`](Self::written), one that divides it.
    pub length: u64,
}

impl Ring {
    /// How long its encoding is, in bytes.
    pub const ENCODED: usize = 16;

    /// As it travels along with the two files: start and length, little endian.
    #[must_use]
    pub fn encode(self) -> [u8; Self::ENCODED] {
        let mut bytes = [0; Self::ENCODED];
        bytes[..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// The reverse; `None` when that is no ring.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::ENCODED]) -> Option<Self> {
        let (start, length) = bytes.split_first_chunk::<8>()?;
        let ring = Self {
            start: u64::from_le_bytes(*start),
            length: u64::from_le_bytes(length.try_into().ok()?),
        };
        (ring.length > 0).then_some(ring)
    }

    /// Where the byte at `offset` of the output lies in the file.
    #[must_use]
    pub fn place(self, offset: Offset) -> u64 {
        self.start + offset.0 % self.length
    }

    /// How far the output was written: `noted` is what the one file holds, `place` the offset of
    /// the other.
    #[must_use]
    pub fn written(self, noted: Offset, place: u64) -> Offset {
        let place = place.saturating_sub(self.start) % self.length;
        let noted_place = noted.0 % self.length;
        let since = (place + self.length - noted_place) % self.length;
        Offset(noted.0.saturating_add(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_at_every_place() {
        let ring = Ring {
            start: 4096,
            length: 1000,
        };
        assert_eq!(Ring::decode(&ring.encode()), Some(ring));
        for noted in [0, 7, 999, 1000, 123_456] {
            for written in [0, 1, 500, 999] {
                let (noted, end) = (Offset(noted), Offset(noted + written));
                assert_eq!(ring.written(noted, ring.place(end)), end);
            }
        }
        // In a ring four times as long.
        let long = Ring {
            length: 4000,
            ..ring
        };
        for end in [2990, 3000, 3989, 4000, 4001, 7999].map(Offset) {
            let noted = Offset(end.0 - 990);
            assert_eq!(ring.written(noted, long.place(end)), end);
        }
        // At the very end of the ring, before it begins anew.
        assert_eq!(ring.written(Offset(2990), 5096), Offset(3000));
    }

    #[test]
    fn nonsense_is_no_ring_and_no_panic() {
        assert_eq!(Ring::decode(&[0; 16]), None);
        let ring = Ring {
            start: u64::MAX,
            length: 3,
        };
        let _ = ring.written(Offset(u64::MAX), 0);
    }
}
