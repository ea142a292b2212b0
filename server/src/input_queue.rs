//! The input queue: what clients typed and the program has not read yet.
//!
//! It is a file in memory that the keeper holds as well, and the kernel moves bytes from it to
//! the pty (sendfile(2)) while it moves the file's own offset by exactly as many. So when the
//! server is killed, at whatever moment, its successor reads from the file offset what the pty
//! got, and no key is lost or typed twice.
//!
//! Linux: sendfile(2) to a tty works since 5.11; before, `write(2)` and then `lseek(2)`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use psess_protocol::identity::ClientId;
use psess_protocol::offset::InputOffset;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, fstat, ftruncate, seek, sendfile};
use rustix::io::{Errno, pread, pwrite};

use crate::journal_error::JournalError;
use crate::journal_header::Header;

/// Most input that waits, in bytes: each client has at most 64 KiB under way.
pub const MAX_WAITING_BYTES: u64 = 4 << 20;

/// What was delivered gives its memory back in pieces of at least so many bytes.
const PIECE: u64 = 1 << 20;

/// Input that waits for the program, in the order in which it came.
#[derive(Debug)]
pub struct InputQueue {
    file: OwnedFd,
    /// Bytes that the pty took, as a position in the file.
    delivered: u64,
    /// Bytes that were appended, as a position in the file.
    end: u64,
    /// Before this position in the file its memory was given back.
    freed: u64,
    /// Which client's input ends where in the file, oldest first.
    segments: VecDeque<Segment>,
}

#[derive(Debug)]
struct Segment {
    end: u64,
    client: ClientId,
    input: InputOffset,
}

/// Whose input is typed by psess itself: answers to a program's queries.
pub const NO_CLIENT: ClientId = ClientId([0; 16]);

impl InputQueue {
    pub(crate) fn recover(file: OwnedFd, header: &Header) -> Result<Self, JournalError> {
        header.append.carry_out(header);
        let end = header.input_end.load(Ordering::Acquire);
        let delivered = seek(&file, SeekFrom::Current(0))?;
        // Written before its end was.
        let length = fstat(&file)?.st_size.cast_unsigned();
        if end > length || end.saturating_sub(delivered) > MAX_WAITING_BYTES {
            return Err(JournalError::Unreadable(format!(
                "a journal's input contradicts itself: {delivered}..{end} of {length}"
            )));
        }
        let mut queue = Self {
            file,
            delivered,
            end,
            freed: 0,
            segments: VecDeque::new(),
        };
        // The end is set back before the file offset: see `rewind`.
        if delivered > end {
            queue.rewind(header)?;
        }
        Ok(queue)
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether the program has something to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delivered == self.end
    }

    /// Takes `bytes` that `client` typed next.
    ///
    /// # Errors
    /// When memory runs out, or more than [`MAX_WAITING_BYTES`] wait: nothing was taken.
    pub(crate) fn append(
        &mut self,
        client: ClientId,
        bytes: &[u8],
        header: &Header,
    ) -> io::Result<()> {
        if self.end - self.delivered + bytes.len() as u64 > MAX_WAITING_BYTES {
            return Err(io::Error::other("too much input waits for the program"));
        }
        let mut written = 0;
        while written < bytes.len() {
            written += pwrite(&self.file, &bytes[written..], self.end + written as u64)?;
        }
        let input = self.offset_of(client, header).advanced_by(bytes.len());
        let end = self.end + bytes.len() as u64;
        header.append.commit(client, input, end, header);
        self.end = end;
        self.segments.push_back(Segment { end, client, input });
        Ok(())
    }

    /// Moves waiting input to the pty, as much as it takes.
    ///
    /// # Errors
    /// `WouldBlock` when the program does not read; others when the pty is gone.
    pub(crate) fn deliver(&mut self, pty: BorrowedFd<'_>, header: &Header) -> io::Result<()> {
        while self.delivered < self.end {
            let waiting = (self.end - self.delivered) as usize;
            let moved = match sendfile(pty, &self.file, None, waiting) {
                Err(Errno::INVAL | Errno::NOSYS) => self.write(pty, waiting)?,
                result => result?,
            };
            self.delivered += moved as u64;
            self.give_back();
            if moved == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.rewind(header)
    }

    /// The next client whose input was delivered up to an offset.
    pub fn next_delivered(&mut self) -> Option<(ClientId, InputOffset)> {
        let delivered = self.delivered;
        let segment = self
            .segments
            .pop_front_if(|segment| segment.end <= delivered)?;
        Some((segment.client, segment.input))
    }

    pub(crate) fn offset_of(&self, client: ClientId, header: &Header) -> InputOffset {
        let slot = header.clients.iter().find(|slot| slot.is(client));
        InputOffset(slot.map_or(0, |slot| slot.input.load(Ordering::Relaxed)))
    }

    pub(crate) fn take(&mut self, header: &Header) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; (self.end - self.delivered) as usize];
        let read = pread(&self.file, &mut bytes, self.delivered)?;
        bytes.truncate(read);
        self.delivered = seek(&self.file, SeekFrom::Current(read as i64))?;
        self.rewind(header)?;
        Ok(bytes)
    }

    fn write(&mut self, pty: BorrowedFd<'_>, waiting: usize) -> io::Result<usize> {
        let mut bytes = vec![0; waiting.min(4096)];
        let read = pread(&self.file, &mut bytes, self.delivered)?;
        let written = rustix::io::write(pty, &bytes[..read])?;
        seek(&self.file, SeekFrom::Current(written as i64))?;
        Ok(written)
    }

    /// Gives back the memory of what was delivered, for a program that always has something left
    /// to read, so that the file never begins anew.
    fn give_back(&mut self) {
        if self.delivered - self.freed < PIECE {
            return;
        }
        let length = (self.delivered - self.freed) / PIECE * PIECE;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A hole that cannot be made costs memory, and nothing else.
        let _ = fallocate(&self.file, flags, self.freed, length);
        self.freed += length;
    }

    /// Begins the file anew once all of it is delivered and it has grown. First the end, then
    /// the file offset: a successor that finds the offset beyond the end goes on from here.
    fn rewind(&mut self, header: &Header) -> io::Result<()> {
        const WORTH_IT: u64 = 64 << 10;
        if self.delivered < self.end || self.end < WORTH_IT && self.delivered <= self.end {
            return Ok(());
        }
        header.input_end.store(0, Ordering::Release);
        seek(&self.file, SeekFrom::Start(0))?;
        ftruncate(&self.file, 0)?;
        for segment in &mut self.segments {
            segment.end = 0;
        }
        (self.delivered, self.end, self.freed) = (0, 0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::Journal;

    use super::*;

    const ANN: ClientId = ClientId([1; 16]);
    const BOB: ClientId = ClientId([2; 16]);

    fn successor(journal: Journal) -> Journal {
        let (file, input) = journal.descriptors().unwrap();
        drop(journal);
        Journal::open(file, input).unwrap()
    }

    #[test]
    fn input_is_delivered_in_order_and_reported_by_client() {
        let mut journal = Journal::unshared().unwrap();
        journal.append_input(ANN, b"ls").unwrap();
        journal.append_input(BOB, b"x").unwrap();
        journal.append_input(ANN, b"\r").unwrap();
        assert_eq!(journal.input.next_delivered(), None);
        assert_eq!(journal.take_input().unwrap(), b"lsx\r");
        let reported = std::iter::from_fn(|| journal.input.next_delivered()).collect::<Vec<_>>();
        assert_eq!(
            reported,
            [
                (ANN, InputOffset(2)),
                (BOB, InputOffset(1)),
                (ANN, InputOffset(3))
            ]
        );
    }

    #[test]
    fn a_successor_types_what_waits_and_nothing_twice() {
        let mut journal = Journal::unshared().unwrap();
        journal.append_input(ANN, b"typed").unwrap();
        journal.take_input().unwrap();
        journal.append_input(ANN, b" waiting").unwrap();
        let mut journal = successor(journal);
        assert_eq!(journal.input_offset(ANN), InputOffset(13));
        assert_eq!(journal.take_input().unwrap(), b" waiting");
        assert!(successor(journal).input.is_empty());
    }

    #[test]
    fn the_file_begins_anew_once_it_is_delivered() {
        let mut journal = Journal::unshared().unwrap();
        for _ in 0..300 {
            journal.append_input(ANN, &[b'k'; 60_000]).unwrap();
            assert_eq!(journal.take_input().unwrap().len(), 60_000);
        }
        assert_eq!(journal.input_offset(ANN), InputOffset(300 * 60_000));
        assert_eq!(
            successor(journal).input_offset(ANN),
            InputOffset(300 * 60_000)
        );
    }

    #[test]
    fn a_program_that_never_catches_up_may_be_sent_any_amount() {
        let mut journal = Journal::unshared().unwrap();
        journal.append_input(ANN, &[b'k'; 1000]).unwrap();
        let mut taken = 0;
        for _ in 0..200 {
            journal.append_input(ANN, &[b'k'; 60_000]).unwrap();
            let file = journal.input.file().try_clone_to_owned().unwrap();
            // As the pty takes it: all but a rest.
            taken += seek(&file, SeekFrom::Current(60_000)).unwrap() - taken;
            journal.input.delivered = taken;
            journal.input.give_back();
        }
        let stat = fstat(journal.input.file()).unwrap();
        assert!(stat.st_size > 2 * MAX_WAITING_BYTES as i64);
        assert!(stat.st_blocks * 512 < MAX_WAITING_BYTES as i64);
        let mut journal = successor(journal);
        assert_eq!(journal.take_input().unwrap(), [b'k'; 1000]);
    }

    #[test]
    fn waiting_input_is_bounded() {
        let mut journal = Journal::unshared().unwrap();
        let appended = (0..100).filter(|_| journal.append_input(ANN, &[0; 65_536]).is_ok());
        assert_eq!(appended.count() as u64, MAX_WAITING_BYTES / 65_536);
    }

    #[test]
    fn a_forgotten_client_makes_room_for_a_new_one() {
        let mut journal = Journal::unshared().unwrap();
        for client in 0..=255_u8 {
            journal.append_input(ClientId([client; 16]), b"x").unwrap();
        }
        assert_eq!(journal.input_offset(ClientId([255; 16])), InputOffset(1));
        assert_eq!(journal.input_offset(ANN), InputOffset(0));
    }
}
