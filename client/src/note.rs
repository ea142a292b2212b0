//! The note of a server that writes to a terminal which we lent it, mapped: the only file of the
//! client that maps memory. See [`psess_protocol::lending`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering, fence};

use psess_protocol::lending::PASS;
use psess_protocol::offset::Offset;
use rustix::fs::fstat;
use rustix::io::pread;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file that holds less than a position is no note.
const LEAST_BYTES: i64 = 8;

/// What is mapped: the note lies in one page.
const LENGTH: usize = PASS as usize + 1;

/// The note, which its server may change at any moment.
#[derive(Debug)]
pub(crate) struct Note {
    file: OwnedFd,
    base: NonNull<AtomicU8>,
}

// SAFETY: the mapping belongs to this value alone, and is read as an atomic.
unsafe impl Send for Note {}
// SAFETY: as above.
unsafe impl Sync for Note {}

impl Note {
    /// Maps what a server handed over.
    ///
    /// # Errors
    /// As fstat(2) and mmap(2), or when the file is too short.
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        if fstat(&file)?.st_size < LEAST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: the kernel chooses a free address.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                LENGTH,
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { file, base })
    }

    /// The position that was noted last.
    pub(crate) fn position(&self) -> Option<Offset> {
        let mut noted = [0; 8];
        let read = pread(&self.file, &mut noted, 0);
        (read == Ok(noted.len())).then(|| Offset(u64::from_le_bytes(noted)))
    }

    /// Whether keys may pass the server by.
    pub(crate) fn lets_pass(&self) -> bool {
        // SAFETY: within what is mapped for as long as `self` lives; the file has that page, as it is
        // not empty and no server shortens it, and what lies behind its end reads as 0. Of memory
        // that cannot be written only relaxed loads are allowed (std::sync::atomic).
        let word = unsafe { self.base.add(PASS as usize).as_ref() };
        let word = word.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        word == 1
    }
}

impl AsFd for Note {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more. A failure would leak it, no more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), LENGTH) };
    }
}
