//! The journal: what a session's keeper holds so that a server can be recreated.
//!
//! It is one memfd, written through shared memory, so that it is complete at every moment and a
//! `kill -9` takes nothing with it:
//!
//! ```text
//! 0            header: offsets, checkpoint slots, the input offset of each client
//! 4 KiB        the output log: a ring
//! + ring       checkpoint slot 0: a replay that recreates the terminal at its offset
//! + slot       checkpoint slot 1
//! ```
//!
//! and a second memfd with the input that waits for the pty (see [`crate::input_queue`]).
//! The file is sparse: only what was written takes memory. The keeper never looks inside.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use psess_descriptor::mapping::Mapping;
use psess_protocol::identity::ClientId;
use psess_protocol::lending::Ring;
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::retention::MAX_HISTORY_BYTES;
use psess_protocol::size::Size;
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, fallocate, ftruncate, memfd_create};
use rustix::io::{pread, pwrite};

use crate::input_queue::InputQueue;
use crate::journal_error::JournalError;
use crate::journal_header::{HEADER_BYTES, MAGIC, OLD_VERSION, Slot, VERSION, header};
use crate::keeper::Predecessor;
use crate::output_log::{self, OutputLog};

/// Most bytes of a checkpoint: a larger replay is written with less history.
pub(crate) const MAX_CHECKPOINT_BYTES: usize = MAX_HISTORY_BYTES;

/// Bytes of the whole file, as the keeper is asked to make it; sparse.
pub const JOURNAL_BYTES: u64 =
    HEADER_BYTES + output_log::LONG_RING_BYTES as u64 + 2 * MAX_CHECKPOINT_BYTES as u64;

/// A session's journal.
#[derive(Debug)]
pub struct Journal {
    file: OwnedFd,
    header: Mapping,
    /// What the program printed.
    pub log: OutputLog,
    /// What waits to be read by the program.
    pub input: InputQueue,
    checkpoint: Offset,
    is_new: bool,
}

/// What a server is doing with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Handling {
    /// Nothing.
    Idle = 0,
    /// Its output, its clients' requests.
    Working = 1,
    /// Recreating its terminal.
    Recovering = 2,
}

/// What recreates a session's terminal: a replay, and the log from `offset` on.
#[derive(Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The end of the log when it was written.
    pub offset: Offset,
    /// The size that the terminal had.
    pub size: Size,
    /// The replay.
    pub replay: Vec<u8>,
}

impl Journal {
    /// Takes over a journal from the keeper, or begins one when its file is still empty.
    /// `input` is the file that the kernel delivers input from.
    ///
    /// # Errors
    /// [`JournalError::System`] when the file cannot be mapped; [`JournalError::Unreadable`] when
    /// it is too short, contradicts itself, or is of a version not known here.
    pub fn open(file: OwnedFd, input: OwnedFd) -> Result<Self, JournalError> {
        let length = rustix::fs::fstat(&file)?.st_size.cast_unsigned();
        if length < JOURNAL_BYTES {
            let message = format!("a journal of {length} bytes is too short");
            return Err(JournalError::Unreadable(message));
        }
        let mapping = Mapping::new(file.as_fd(), HEADER_BYTES as usize)?;
        let header = header(&mapping);
        let is_new = match (
            header.magic.load(Ordering::Relaxed),
            header.version.load(Ordering::Relaxed),
        ) {
            (0, 0) => {
                header.version.store(VERSION, Ordering::Relaxed);
                let length = output_log::SHORT_RING_BYTES as u64;
                header.log_length.store(length, Ordering::Relaxed);
                header.magic.store(MAGIC, Ordering::Release);
                true
            }
            (MAGIC, VERSION) => false,
            (MAGIC, OLD_VERSION) => {
                // An older server is not to read a ring that is short from now on.
                header.version.store(VERSION, Ordering::Release);
                false
            }
            (magic, version) => {
                return Err(JournalError::Unreadable(format!(
                    "not a journal of version {VERSION}: magic {magic:#x}, version {version}"
                )));
            }
        };
        let log = OutputLog::recover(file.as_fd(), header)?;
        let input = InputQueue::recover(input, header)?;
        let mut journal = Self {
            file,
            header: mapping,
            log,
            input,
            checkpoint: Offset(0),
            is_new,
        };
        journal.checkpoint = journal.active_slot().map_or(Offset(0), |(_, slot)| {
            Offset(slot.offset.load(Ordering::Relaxed))
        });
        Ok(journal)
    }

    /// Begins a journal anew that cannot be taken over, because it is damaged or of a version
    /// not known here: the session goes on without its past. Its log begins at an offset that
    /// no client can have seen, so that none resumes in the wrong place.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn begin_anew(file: OwnedFd, input: OwnedFd, unix_time: u64) -> Result<Self, JournalError> {
        ftruncate(&input, 0)?;
        rustix::fs::seek(&input, rustix::fs::SeekFrom::Start(0))?;
        let blank = [0; HEADER_BYTES as usize];
        if pwrite(&file, &blank, 0)? < blank.len() {
            return Err(JournalError::System(io::ErrorKind::WriteZero.into()));
        }
        {
            let mapping = Mapping::new(file.as_fd(), HEADER_BYTES as usize)?;
            let header = header(&mapping);
            // A program would have to print a gigabyte a second for as long to get there.
            let start = (unix_time % (1 << 32)) << 30;
            for offset in [&header.log_start, &header.log_end, &header.log_filled] {
                offset.store(start, Ordering::Relaxed);
            }
        }
        Self::open(file, input)
    }

    /// A journal that no keeper holds: it ends with this process. For simulations.
    ///
    /// # Errors
    /// When memfd_create(2) or mmap(2) fail.
    pub fn unshared() -> Result<Self, JournalError> {
        let file = memfd_create("psess-journal", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, JOURNAL_BYTES)?;
        Self::open(file, memfd_create("psess-input", MemfdFlags::CLOEXEC)?)
    }

    /// Whether no server opened it before this one: so no client was ever shown anything of it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The descriptors again, as a successor would get them from the keeper.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn descriptors(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        Ok((
            self.file.try_clone()?,
            self.input.file().try_clone_to_owned()?,
        ))
    }

    /// The file with the log's ring, opened anew, so that its offset is its own.
    ///
    /// # Errors
    /// When it cannot be opened: there is no /proc, say.
    pub(crate) fn open_log(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(file)
    }

    /// Where in that file the log's ring lies, until there is more to read or it is tidied.
    pub(crate) fn ring(&self) -> Ring {
        Ring {
            start: HEADER_BYTES,
            length: self.log.length() as u64,
        }
    }

    /// Memory that its files take now, in bytes.
    ///
    /// # Errors
    /// When fstat(2) fails.
    pub fn memory_bytes(&self) -> io::Result<u64> {
        const BLOCK: u64 = 512;
        let [file, input] = [self.file.as_fd(), self.input.file()].map(rustix::fs::fstat);
        let blocks = file?.st_blocks.cast_unsigned() + input?.st_blocks.cast_unsigned();
        Ok(blocks * BLOCK)
    }

    /// A place for the next read from the pty: see `OutputLog::spare`.
    pub fn log_spare(&mut self) -> &mut [u8] {
        if self.log.overflow().is_some() {
            // Where it cannot grow, the oldest goes.
            let _ = self.log.grow(self.file.as_fd(), header(&self.header));
            if let Some(rest) = self.log.overflow() {
                self.trim_log(rest);
            }
        }
        self.log.spare(header(&self.header))
    }

    /// `bytes` of output were read into `log_spare`.
    pub fn commit_output(&mut self, bytes: usize) {
        self.log.commit(bytes, header(&self.header));
    }

    /// Forgets output before `offset`: see `OutputLog::trim`.
    pub fn trim_log(&mut self, offset: Offset) {
        self.log.trim(offset, header(&self.header));
    }

    /// Forgets all output, of which no more is expected, and gives its memory back. What the
    /// program prints all the same is kept from here on.
    pub fn clear_log(&mut self) {
        self.log.clear(header(&self.header));
        self.tidy_log();
    }

    /// Gives the memory of forgotten output back: see `OutputLog`.
    pub(crate) fn tidy_log(&mut self) {
        let freed = self.log.tidy(self.file.as_fd(), header(&self.header));
        for range in freed.into_iter().filter(|range| !range.is_empty()) {
            self.give_back(HEADER_BYTES + range.start as u64, range.len() as u64);
        }
    }

    /// Where the last checkpoint stands.
    #[must_use]
    pub fn checkpoint_offset(&self) -> Offset {
        self.checkpoint
    }

    /// Writes what recreates the terminal as it was at `offset` of the log. The one before stays
    /// valid until this one is whole, and gives its memory back then.
    ///
    /// # Errors
    /// When memory for it runs out; the one before is still there.
    ///
    /// # Panics
    /// When `replay` is larger than `MAX_CHECKPOINT_BYTES`.
    pub fn write_checkpoint(
        &mut self,
        offset: Offset,
        size: Size,
        replay: &[u8],
    ) -> io::Result<()> {
        assert!(
            replay.len() <= MAX_CHECKPOINT_BYTES,
            "a checkpoint that does not fit its slot"
        );
        let index = match self.active_slot() {
            Some((0, _)) => 1,
            Some(_) | None => 0,
        };
        let mut written = 0;
        while written < replay.len() {
            written += pwrite(
                &self.file,
                &replay[written..],
                slot_place(index) + written as u64,
            )?;
        }
        let header = header(&self.header);
        let slot = &header.slots[index];
        slot.offset.store(offset.0, Ordering::Relaxed);
        slot.length.store(replay.len() as u64, Ordering::Relaxed);
        slot.rows.store(size.rows.into(), Ordering::Relaxed);
        slot.columns.store(size.columns.into(), Ordering::Relaxed);
        header
            .active_slot
            .store(index as u32 + 1, Ordering::Release);
        self.checkpoint = offset;
        self.give_back(slot_place(1 - index), MAX_CHECKPOINT_BYTES as u64);
        Ok(())
    }

    /// Reads the last checkpoint; `None` when there is none yet, or it makes no sense.
    #[must_use]
    pub fn read_checkpoint(&self) -> Option<Checkpoint> {
        let (index, slot) = self.active_slot()?;
        let length = usize::try_from(slot.length.load(Ordering::Relaxed)).ok()?;
        if length > MAX_CHECKPOINT_BYTES {
            return None;
        }
        let mut replay = vec![0; length];
        let mut read = 0;
        while read < length {
            match pread(
                &self.file,
                &mut replay[read..],
                slot_place(index) + read as u64,
            ) {
                Ok(0) | Err(_) => return None,
                Ok(count) => read += count,
            }
        }
        let rows = slot.rows.load(Ordering::Relaxed).try_into().ok()?;
        let columns = slot.columns.load(Ordering::Relaxed).try_into().ok()?;
        let offset = Offset(slot.offset.load(Ordering::Relaxed));
        Some(Checkpoint {
            offset,
            size: Size::new(rows, columns),
            replay,
        })
    }

    /// Notes what is being done with the session.
    pub fn set_handling(&self, handling: Handling) {
        header(&self.header)
            .handling
            .store(handling as u32, Ordering::Relaxed);
    }

    /// Notes how the server before this one ended. How many servers died of this session: those
    /// that crashed while they handled it, or those that did not survive its recovery, whichever
    /// are more.
    pub fn count_death(&self, predecessor: Predecessor) -> u32 {
        let header = header(&self.header);
        let handling = header
            .handling
            .swap(Handling::Idle as u32, Ordering::Relaxed);
        let count = |deaths: &AtomicU32| {
            deaths.store(
                deaths.load(Ordering::Relaxed).saturating_add(1),
                Ordering::Relaxed,
            );
        };
        match predecessor {
            Predecessor::Left => {
                self.forgive_deaths();
                self.forgive_failed_recoveries();
            }
            Predecessor::Killed | Predecessor::Crashed
                if handling == Handling::Recovering as u32 =>
            {
                count(&header.failed_recoveries);
            }
            Predecessor::Crashed if handling != Handling::Idle as u32 => count(&header.crashes),
            Predecessor::Killed | Predecessor::Crashed => {}
        }
        let crashes = header.crashes.load(Ordering::Relaxed);
        crashes.max(header.failed_recoveries.load(Ordering::Relaxed))
    }

    /// The session was handled for a while without harm.
    pub fn forgive_deaths(&self) {
        header(&self.header).crashes.store(0, Ordering::Relaxed);
    }

    /// The session was recovered.
    pub fn forgive_failed_recoveries(&self) {
        header(&self.header)
            .failed_recoveries
            .store(0, Ordering::Relaxed);
    }

    /// All input of this client before the returned offset was taken.
    #[must_use]
    pub fn input_offset(&self, client: ClientId) -> InputOffset {
        self.input.offset_of(client, header(&self.header))
    }

    /// Takes input of a client: see `InputQueue::append`.
    ///
    /// # Errors
    /// As `InputQueue::append`.
    pub fn append_input(&mut self, client: ClientId, bytes: &[u8]) -> io::Result<()> {
        self.input.append(client, bytes, header(&self.header))
    }

    /// Hands waiting input to the program: see `InputQueue::deliver`.
    ///
    /// # Errors
    /// As `InputQueue::deliver`.
    pub fn deliver_input(&mut self, pty: BorrowedFd<'_>) -> io::Result<()> {
        self.input.deliver(pty, header(&self.header))
    }

    /// Takes all waiting input, as a program would read it. For simulations.
    ///
    /// # Errors
    /// When lseek(2) or pread(2) fail.
    pub fn take_input(&mut self) -> io::Result<Vec<u8>> {
        self.input.take(header(&self.header))
    }

    /// Gives the memory of a part of the file back to the kernel.
    fn give_back(&self, place: u64, length: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A hole that cannot be made costs memory, and nothing else.
        let _ = fallocate(&self.file, flags, place, length);
    }

    fn active_slot(&self) -> Option<(usize, &Slot)> {
        let header = header(&self.header);
        let index = (header.active_slot.load(Ordering::Acquire) as usize).checked_sub(1)?;
        header.slots.get(index).map(|slot| (index, slot))
    }
}

fn slot_place(index: usize) -> u64 {
    HEADER_BYTES + output_log::LONG_RING_BYTES as u64 + (index * MAX_CHECKPOINT_BYTES) as u64
}
