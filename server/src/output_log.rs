//! The output log: what a session's program printed last, by offset.
//!
//! A ring in shared memory. Bytes are read from the pty right into it, and then committed by
//! moving the end. The place of the next read is filled with 0xFF beforehand: when the server
//! is killed between the read and the commit, its successor finds there what was read, up to
//! the last byte that is not 0xFF. (UTF-8 has no such byte; a program that prints one as the very
//! last of a read, at just that moment, loses it.)
//!
//! The ring is short until somebody needs more than it holds, and long then. In a flood it is written
//! again and again: fresh memory for all that is printed, and giving it back, would take a tenth of
//! its time. Once that is over, the log is tidied: it is short again if it can be, and has no
//! memory for what was forgotten.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use psess_descriptor::mapping::RingMapping;
use psess_protocol::offset::Offset;

use crate::journal_error::JournalError;
use crate::journal_header::{HEADER_BYTES, Header};

/// Bytes of a long ring: the most that is kept for a client that lags.
pub(crate) const LONG_RING_BYTES: usize = 32 << 20;

/// Bytes of a short ring: more than is kept where no client lags, for checkpoints and the terminal
/// model. It divides the other, so that a byte's place in the one tells its place in the other.
pub(crate) const SHORT_RING_BYTES: usize = 16 << 20;

/// One read from a pty: n_tty hands out at most so many bytes. Not one more, so that a read that
/// fills the place says that there may be more.
pub(crate) const READ_BYTES: usize = 4095;

/// How far ahead of its end the ring was ever filled by any version.
const MOST_FILLED: u64 = 4096;

/// Output is forgotten in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

/// Memory is kept for whole pages.
const PAGE: u64 = 4096;

/// A ring is copied to another in pieces of this many bytes; it divides the length of both.
const COPIED_AT_ONCE: u64 = 64 << 10;

const FILL: u8 = 0xff;

/// The bytes that a session's program printed, from `start` to `end`.
#[derive(Debug)]
pub struct OutputLog {
    ring: RingMapping,
    /// The ring's length, `SHORT_RING_BYTES` or `LONG_RING_BYTES`.
    length: usize,
    start: Offset,
    end: Offset,
    /// The ring is filled with 0xFF from `end` to here.
    filled: u64,
    /// Some was forgotten, or the ring laid out anew, since it was tidied.
    is_untidy: bool,
}

impl OutputLog {
    /// The log that a journal's file has.
    ///
    /// # Errors
    /// As `Journal::open`.
    pub(crate) fn recover(file: BorrowedFd<'_>, header: &Header) -> Result<Self, JournalError> {
        let length = match header.log_length.load(Ordering::Acquire) {
            // Servers before this one knew only long ones, and did not say so.
            0 => LONG_RING_BYTES as u64,
            length => length,
        };
        let start = header.log_start.load(Ordering::Acquire);
        let end = header.log_end.load(Ordering::Acquire);
        let filled = header.log_filled.load(Ordering::Acquire);
        let sound = [SHORT_RING_BYTES as u64, LONG_RING_BYTES as u64].contains(&length)
            && start <= end
            && end - start <= length
            && filled <= end.saturating_add(MOST_FILLED);
        if !sound {
            return Err(JournalError::Unreadable(format!(
                "a journal's output log contradicts itself: {start}..{end}, filled to {filled}, \
                 in {length} bytes"
            )));
        }
        let length = length as usize;
        let mut log = Self {
            ring: map(file, length)?,
            length,
            start: Offset(start),
            end: Offset(end),
            filled,
            // Whatever the server before left.
            is_untidy: end > 0,
        };
        let uncommitted = &log.ring.bytes()[log.place(filled.saturating_sub(end) as usize)];
        let read = uncommitted
            .iter()
            .rposition(|byte| *byte != FILL)
            .map_or(0, |last| last + 1);
        log.commit(read, header);
        Ok(log)
    }

    /// The length of its ring, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Whether the ring is long, and a short one would do for a while.
    pub(crate) fn is_too_long(&self) -> bool {
        self.length == LONG_RING_BYTES && self.fits(SHORT_RING_BYTES - 2 * PIECE as usize)
    }

    /// Whether some was forgotten, or the ring laid out anew, since it was tidied.
    pub(crate) fn is_untidy(&self) -> bool {
        self.is_untidy
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
        let place = self.index(offset.0);
        Some(&self.ring.bytes()[place..place + length])
    }

    /// Where the ring has no room for another read: what stands before this is to be forgotten then,
    /// unless the ring can grow.
    pub(crate) fn overflow(&self) -> Option<Offset> {
        let room = (self.end.0 + READ_BYTES as u64).saturating_sub(self.length as u64);
        (!self.fits(self.length)).then(|| Offset(room.next_multiple_of(PIECE)))
    }

    /// Whether a ring of so many bytes would have room for all there is, and another read.
    fn fits(&self, length: usize) -> bool {
        self.end.bytes_since(self.start) + READ_BYTES as u64 <= length as u64
    }

    /// Makes the ring a long one, if it is short.
    ///
    /// # Errors
    /// As mmap(2); it is as it was then.
    pub(crate) fn grow(&mut self, file: BorrowedFd<'_>, header: &Header) -> io::Result<()> {
        self.lay_out(file, LONG_RING_BYTES, header)
    }

    /// Lays all there is out in a ring of another length, in the same file. A byte keeps its place, or
    /// gets one that none has, so that all is well whenever the server dies.
    fn lay_out(&mut self, file: BorrowedFd<'_>, length: usize, header: &Header) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        let mut ring = map(file, length)?;
        // What is filled for the next read has a place too.
        self.filled = self.end.0;
        header.log_filled.store(self.filled, Ordering::Release);
        let mut copied = Vec::with_capacity(COPIED_AT_ONCE as usize);
        let mut offset = self.start;
        while offset < self.end {
            // In between, both rings are without a gap.
            let next = (offset.0 / COPIED_AT_ONCE + 1) * COPIED_AT_ONCE;
            let count = (next.min(self.end.0) - offset.0) as usize;
            let (from, to) = (self.index(offset.0), index(offset.0, length));
            if from != to {
                copied.clear();
                copied.extend_from_slice(&self.ring.bytes()[from..from + count]);
                ring.bytes_mut()[to..to + count].copy_from_slice(&copied);
            }
            offset = offset.advanced_by(count);
        }
        header.log_length.store(length as u64, Ordering::Release);
        (self.ring, self.length) = (ring, length);
        self.is_untidy = true;
        Ok(())
    }

    /// Makes the ring short where it can be. Returns the parts of the file's ring that have no bytes:
    /// their memory is to be given back.
    pub(crate) fn tidy(&mut self, file: BorrowedFd<'_>, header: &Header) -> [Range<usize>; 3] {
        if self.fits(SHORT_RING_BYTES) {
            // Where it cannot be, it stays long, and all is well.
            let _ = self.lay_out(file, SHORT_RING_BYTES, header);
        }
        self.is_untidy = false;
        // Offsets whose places in the ring nothing was written to after them.
        let used = self.filled.max(self.end.0).next_multiple_of(PAGE);
        let from = used.saturating_sub(self.length as u64);
        let until = (self.start.0 / PAGE * PAGE).max(from);
        let [first, second] = self.places(from, until);
        [first, second, self.length..LONG_RING_BYTES]
    }

    pub(crate) fn spare(&mut self, header: &Header) -> &mut [u8] {
        let wanted = self.end.0 + READ_BYTES as u64;
        if self.filled < wanted {
            let from = self.filled.max(self.end.0);
            let place = self.index(from);
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

    /// Forgets what stands before `offset`, in whole pieces.
    pub(crate) fn trim(&mut self, offset: Offset, header: &Header) {
        let start = Offset(offset.0.min(self.end.0) / PIECE * PIECE);
        if start > self.start {
            self.start = start;
            header.log_start.store(start.0, Ordering::Release);
            self.is_untidy = true;
        }
    }

    /// Forgets all there is: nothing more is expected. To be tidied then.
    pub(crate) fn clear(&mut self, header: &Header) {
        // What is free reads as zeros: not as what was read and not committed.
        self.filled = self.end.0;
        header.log_filled.store(self.filled, Ordering::Release);
        self.start = self.end;
        header.log_start.store(self.start.0, Ordering::Release);
    }

    fn place(&self, length: usize) -> Range<usize> {
        let place = self.index(self.end.0);
        place..place + length
    }

    fn index(&self, offset: u64) -> usize {
        index(offset, self.length)
    }

    /// Where in the ring the bytes between two offsets lie, no more than it has.
    fn places(&self, from: u64, until: u64) -> [Range<usize>; 2] {
        let begin = self.index(from);
        let end = begin + ((until - from) as usize).min(self.length);
        [
            begin..end.min(self.length),
            0..end.saturating_sub(self.length),
        ]
    }
}

fn map(file: BorrowedFd<'_>, length: usize) -> io::Result<RingMapping> {
    // SAFETY: the keeper, which holds the file as well, never writes to it or shortens it
    // (`Journal::open` has seen that it is long enough), and gives it to one server at a time; clients
    // get it to read (`Journal::open_log`). The holes that we make ourselves, with what they held gone,
    // take `&mut Journal`. What we write to one half nobody looks for in the other before more was
    // read from the pty. Where a ring takes another's place, a reference lives into one of them at a
    // time, and the other is unmapped before what it got is looked for.
    unsafe { RingMapping::new(file, HEADER_BYTES, length) }
}

fn index(offset: u64, length: usize) -> usize {
    (offset % length as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, OwnedFd};

    use crate::journal::Journal;
    use crate::journal_header::header;
    use psess_descriptor::mapping::Mapping;
    use psess_protocol::offset::Offset;

    use super::*;

    fn print(journal: &mut Journal, text: &[u8]) {
        print_keeping(journal, text, 2 * PIECE);
    }

    fn print_keeping(journal: &mut Journal, text: &[u8], keep: u64) {
        for part in text.chunks(READ_BYTES) {
            journal.log_spare()[..part.len()].copy_from_slice(part);
            journal.commit_output(part.len());
            let keep = Offset(journal.log.end().0.saturating_sub(keep));
            journal.trim_log(keep);
        }
    }

    /// What is printed at offset 0 and after it: no two pieces of it are the same.
    fn text(bytes: usize) -> Vec<u8> {
        let byte = |offset: usize| ((offset % 251) ^ (offset / PIECE as usize)) as u8;
        (0..bytes).map(byte).collect()
    }

    /// The file of a journal, and its header.
    struct File {
        file: OwnedFd,
        header: Mapping,
    }

    impl File {
        fn of(journal: &Journal) -> Self {
            let (file, _) = journal.descriptors().unwrap();
            let header = Mapping::new(file.as_fd(), HEADER_BYTES as usize).unwrap();
            Self { file, header }
        }

        fn header(&self) -> &Header {
            header(&self.header)
        }

        /// The log as a successor finds it.
        fn log(&self) -> OutputLog {
            OutputLog::recover(self.file.as_fd(), self.header()).unwrap()
        }
    }

    #[test]
    fn what_was_printed_is_found_by_its_offset_also_across_the_rings_end() {
        let mut journal = Journal::unshared().unwrap();
        let total = LONG_RING_BYTES as u64 + 3 * PIECE + 17;
        let text = text(total as usize);
        print(&mut journal, &text);
        let (start, end) = (journal.log.start(), journal.log.end());
        assert_eq!(end, Offset(total));
        assert!(end.bytes_since(start) >= 2 * PIECE && end.bytes_since(start) <= 3 * PIECE);
        let kept = journal.log.slice(start, usize::MAX).unwrap();
        assert!(kept == &text[start.0 as usize..], "from {start:?}");
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
        for _ in 0..LONG_RING_BYTES / READ_BYTES + 300 {
            journal.log_spare().fill(b'x');
            journal.commit_output(READ_BYTES);
        }
        let kept = journal.log.end().bytes_since(journal.log.start());
        assert!(kept + READ_BYTES as u64 <= LONG_RING_BYTES as u64);
    }

    #[test]
    fn a_ring_is_long_only_while_more_is_needed_than_a_short_one_holds() {
        let mut journal = Journal::unshared().unwrap();
        let text = text(LONG_RING_BYTES + 4 * SHORT_RING_BYTES);
        let mut printed = 0;
        let mut next = |bytes: usize| {
            printed += bytes;
            (&text[printed - bytes..printed], printed)
        };
        let is = |journal: &Journal, length: usize, kept: usize, from: usize| {
            let log = File::of(journal).log();
            assert_eq!(log.length(), length);
            let bytes = log.slice(log.start(), usize::MAX).unwrap();
            assert!(bytes.len() >= kept, "{}", bytes.len());
            assert!(bytes == &text[log.start().0 as usize..from], "to {from}");
        };
        let (part, end) = next(SHORT_RING_BYTES - 1);
        print(&mut journal, part);
        is(&journal, SHORT_RING_BYTES, 2 << 20, end);
        let (part, end) = next(SHORT_RING_BYTES + 17);
        print_keeping(&mut journal, part, u64::MAX);
        is(&journal, LONG_RING_BYTES, SHORT_RING_BYTES + 17, end);
        // Not before it is tidied.
        let (part, end) = next(LONG_RING_BYTES - 5);
        print(&mut journal, part);
        is(&journal, LONG_RING_BYTES, 2 << 20, end);
        journal.tidy_log();
        is(&journal, SHORT_RING_BYTES, 2 << 20, end);
        let (part, end) = next(SHORT_RING_BYTES);
        print(&mut journal, part);
        is(&journal, SHORT_RING_BYTES, 2 << 20, end);
    }

    #[test]
    fn what_is_laid_out_anew_is_where_it_was_too_until_that_is_done() {
        let text = text(LONG_RING_BYTES);
        for printed in [
            1,
            PIECE as usize,
            SHORT_RING_BYTES - 1,
            SHORT_RING_BYTES + 17,
            LONG_RING_BYTES - READ_BYTES,
        ] {
            for kept in [1, PIECE, SHORT_RING_BYTES as u64 - 2 * PIECE] {
                let mut journal = Journal::unshared().unwrap();
                print_keeping(&mut journal, &text[..printed], kept);
                journal.log_spare()[..9].fill(0);
                let file = File::of(&journal);
                let mut log = file.log();
                let lengths = [
                    (SHORT_RING_BYTES, LONG_RING_BYTES),
                    (LONG_RING_BYTES, SHORT_RING_BYTES),
                ];
                for (old, new) in lengths {
                    assert_eq!(log.length(), old);
                    log.lay_out(file.file.as_fd(), new, file.header()).unwrap();
                    for length in [old, new] {
                        let header = file.header();
                        header.log_length.store(length as u64, Ordering::Relaxed);
                        let found = file.log();
                        let (start, end) = (found.start(), found.end());
                        let bytes = found.slice(start, usize::MAX).unwrap();
                        // What was read and not committed when the journal was opened again.
                        assert_eq!(end.0 as usize, printed + 9);
                        let expected = [&text[start.0 as usize..printed], &[0; 9]].concat();
                        assert!(bytes == expected, "{printed}, {kept}, {old} to {new}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_log_of_a_server_that_knew_only_long_rings_is_read() {
        let mut journal = Journal::unshared().unwrap();
        let text = text(SHORT_RING_BYTES + 3 * PIECE as usize);
        print_keeping(&mut journal, &text, u64::MAX);
        let file = File::of(&journal);
        file.header().log_length.store(0, Ordering::Relaxed);
        file.header().version.store(1, Ordering::Relaxed);
        let (file, input) = journal.descriptors().unwrap();
        let journal = Journal::open(file, input).unwrap();
        assert!(journal.log.slice(Offset(0), usize::MAX) == Some(&text[..]));
    }

    #[test]
    fn a_tidy_log_takes_no_memory_but_for_what_it_keeps() {
        let mut journal = Journal::unshared().unwrap();
        let memory = |journal: &Journal| journal.memory_bytes().unwrap();
        let text = text(LONG_RING_BYTES);
        let rest = 3 * PIECE + 2 * PAGE;
        for round in 1..=3 {
            print(&mut journal, &text);
            let untidy = memory(&journal);
            assert!(
                untidy <= SHORT_RING_BYTES as u64 + 2 * PAGE,
                "{round}: {untidy}"
            );
            journal.tidy_log();
            assert!(memory(&journal) <= rest, "{round}: {}", memory(&journal));
            print_keeping(&mut journal, &text[..2 * SHORT_RING_BYTES], u64::MAX);
            journal.trim_log(Offset(journal.log.end().0 - 2 * PIECE));
            journal.tidy_log();
            assert!(memory(&journal) <= rest, "{round}: {}", memory(&journal));
        }
        journal.clear_log();
        assert!(memory(&journal) <= 2 * PAGE, "{}", memory(&journal));
    }

    #[test]
    fn what_was_read_and_not_committed_is_neither_tidied_away_nor_made_up() {
        // The next read begins in one page and ends in another, or in one page; behind the ring's end.
        for printed in [
            5 * PIECE as usize - 1,
            5 * PIECE as usize,
            SHORT_RING_BYTES - 9,
            SHORT_RING_BYTES + 4000,
        ] {
            let mut journal = Journal::unshared().unwrap();
            let text = text(printed);
            print(&mut journal, &text);
            let file = File::of(&journal);
            let found = |read: &[u8]| {
                let log = file.log();
                let bytes = log.slice(log.start(), usize::MAX).unwrap();
                let expected = [&text[log.start().0 as usize..], read].concat();
                assert!(bytes == expected, "{printed}, {} read", read.len());
            };
            let _ = journal.log_spare();
            journal.tidy_log();
            found(b"");
            journal.log_spare().fill(b'x');
            journal.tidy_log();
            found(&[b'x'; READ_BYTES]);
        }
    }
}
