//! The output log: what a session's program printed last, by offset.
//!
//! A ring in shared memory. Bytes are read from the pty right into it, and then committed by
//! moving the end. The place of the next read is filled with 0xFF beforehand: when the server
//! is killed between the read and the commit, its successor finds there what was read, up to
//! the last byte that is not 0xFF. (UTF-8 has no such byte; a program that prints one as the very
//! last of a read, at just that moment, loses it.)

use std::ops::Range;
use std::sync::atomic::Ordering;

use psess_descriptor::mapping::RingMapping;
use psess_protocol::offset::Offset;

use crate::journal_error::JournalError;
use crate::journal_header::Header;

/// Bytes of the output ring: the most that is kept for a client that lags.
pub(crate) const RING_BYTES: usize = 32 << 20;

/// One read from a pty: n_tty hands out at most so many bytes. Not one more, so that a read that
/// fills the place says that there may be more.
pub(crate) const READ_BYTES: usize = 4095;

/// How far ahead of its end the ring was ever filled by any version.
const MOST_FILLED: u64 = 4096;

/// Memory is given back in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

const FILL: u8 = 0xff;

/// The bytes that a session's program printed, from `start` to `end`.
#[derive(Debug)]
pub struct OutputLog {
    ring: RingMapping,
    start: Offset,
    end: Offset,
    /// The ring is filled with 0xFF from `end` to here.
    filled: u64,
}

impl OutputLog {
    pub(crate) fn recover(ring: RingMapping, header: &Header) -> Result<Self, JournalError> {
        let start = header.log_start.load(Ordering::Acquire);
        let end = header.log_end.load(Ordering::Acquire);
        let filled = header.log_filled.load(Ordering::Acquire);
        let sound = start <= end
            && end - start <= RING_BYTES as u64
            && filled <= end.saturating_add(MOST_FILLED);
        if !sound {
            return Err(JournalError::Unreadable(format!(
                "a journal's output log contradicts itself: {start}..{end}, filled to {filled}"
            )));
        }
        let mut log = Self {
            ring,
            start: Offset(start),
            end: Offset(end),
            filled,
        };
        let uncommitted = &log.ring.bytes()[log.place(filled.saturating_sub(end) as usize)];
        let read = uncommitted
            .iter()
            .rposition(|byte| *byte != FILL)
            .map_or(0, |last| last + 1);
        log.commit(read, header);
        Ok(log)
    }

    /// The first byte that is kept.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Where the next byte will stand.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// At most `max` bytes from `offset` on; `None` when that is no longer, or not yet, there.
    #[must_use]
    pub fn slice(&self, offset: Offset, max: usize) -> Option<&[u8]> {
        if offset < self.start || offset > self.end {
            return None;
        }
        let length = (self.end.bytes_since(offset) as usize).min(max);
        let place = ring_index(offset.0);
        Some(&self.ring.bytes()[place..place + length])
    }

    /// Whether the ring has no room for another read unless something is forgotten.
    pub(crate) fn is_full(&self) -> bool {
        self.end.bytes_since(self.start) + READ_BYTES as u64 > RING_BYTES as u64
    }

    pub(crate) fn spare(&mut self, header: &Header) -> &mut [u8] {
        let wanted = self.end.0 + READ_BYTES as u64;
        if self.filled < wanted {
            let from = self.filled.max(self.end.0);
            let place = ring_index(from);
            self.ring.bytes_mut()[place..place + (wanted - from) as usize].fill(FILL);
            self.filled = wanted;
            header.log_filled.store(wanted, Ordering::Release);
        }
        let place = self.place(READ_BYTES);
        &mut self.ring.bytes_mut()[place]
    }

    pub(crate) fn commit(&mut self, bytes: usize, header: &Header) {
        self.end = self.end.advanced_by(bytes);
        header.log_end.store(self.end.0, Ordering::Release);
    }

    /// Forgets what stands before `offset`, and what the ring has no room for. Returns the parts
    /// of the ring whose memory is free now, at most two.
    pub(crate) fn trim(&mut self, offset: Offset, header: &Header) -> Option<[Range<usize>; 2]> {
        let room = (self.end.0 + READ_BYTES as u64).saturating_sub(RING_BYTES as u64);
        let room = room.next_multiple_of(PIECE);
        let start = offset.0.min(self.end.0).max(room);
        let (old_piece, new_piece) = (self.start.0 / PIECE, start / PIECE);
        if new_piece <= old_piece {
            return None;
        }
        // Whole pieces only: the log begins at a piece, and is trimmed a piece at a time.
        self.start = Offset(new_piece * PIECE);
        header.log_start.store(self.start.0, Ordering::Release);
        let from = ring_index(old_piece * PIECE);
        let length = ((new_piece - old_piece) * PIECE) as usize;
        let to = from + length.min(RING_BYTES);
        Some([from..to.min(RING_BYTES), 0..to.saturating_sub(RING_BYTES)])
    }

    /// Forgets all there is: nothing more is expected. Returns the parts of the ring whose memory
    /// is free now.
    pub(crate) fn clear(&mut self, header: &Header) -> [Range<usize>; 2] {
        let from = self.start.0 / PIECE * PIECE;
        let length = (self.filled.max(self.end.0) - from) as usize;
        // What is free reads as zeros: not as what was read and not committed.
        self.filled = self.end.0;
        header.log_filled.store(self.filled, Ordering::Release);
        self.start = self.end;
        header.log_start.store(self.start.0, Ordering::Release);
        let from = ring_index(from);
        let to = from + length.min(RING_BYTES);
        [from..to.min(RING_BYTES), 0..to.saturating_sub(RING_BYTES)]
    }

    fn place(&self, length: usize) -> Range<usize> {
        let place = ring_index(self.end.0);
        place..place + length
    }
}

fn ring_index(offset: u64) -> usize {
    (offset % RING_BYTES as u64) as usize
}

#[cfg(test)]
mod tests {
    use crate::journal::Journal;
    use psess_protocol::offset::Offset;

    use super::*;

    fn print(journal: &mut Journal, text: &[u8]) {
        for part in text.chunks(READ_BYTES) {
            journal.log_spare()[..part.len()].copy_from_slice(part);
            journal.commit_output(part.len());
            let keep = Offset(journal.log.end().0.saturating_sub(2 * PIECE));
            journal.trim_log(keep);
        }
    }

    #[test]
    fn what_was_printed_is_found_by_its_offset_also_across_the_rings_end() {
        let mut journal = Journal::unshared().unwrap();
        let byte = |offset: u64| (offset % 251) as u8;
        let total = RING_BYTES as u64 + 3 * PIECE + 17;
        let text: Vec<u8> = (0..total).map(byte).collect();
        print(&mut journal, &text);
        let (start, end) = (journal.log.start(), journal.log.end());
        assert_eq!(end, Offset(total));
        assert!(end.bytes_since(start) >= 2 * PIECE && end.bytes_since(start) <= 3 * PIECE);
        let kept = journal.log.slice(start, usize::MAX).unwrap();
        assert_eq!(kept, &text[start.0 as usize..]);
        assert_eq!(journal.log.slice(Offset(start.0 - 1), 1), None);
        assert_eq!(journal.log.slice(end, 9), Some(&[][..]));
        assert_eq!(journal.log.slice(end.advanced_by(1), 9), None);
    }

    #[test]
    fn a_successor_finds_what_was_read_but_not_committed() {
        let mut journal = Journal::unshared().unwrap();
        print(&mut journal, b"committed ");
        journal.log_spare()[..9].copy_from_slice(b"and read\n");
        let (file, input) = journal.descriptors().unwrap();
        drop(journal);
        let successor = Journal::open(file, input).unwrap();
        let log = successor.log.slice(Offset(0), usize::MAX).unwrap();
        assert_eq!(log, b"committed and read\n");
    }

    #[test]
    fn a_lagging_reader_holds_no_more_than_the_ring() {
        let mut journal = Journal::unshared().unwrap();
        for _ in 0..RING_BYTES / READ_BYTES + 300 {
            journal.log_spare().fill(b'x');
            journal.commit_output(READ_BYTES);
        }
        let kept = journal.log.end().bytes_since(journal.log.start());
        assert!(kept + READ_BYTES as u64 <= RING_BYTES as u64);
    }
}
