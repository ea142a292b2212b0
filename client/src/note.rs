//! The note of a server that writes to a terminal which we lent it. See [`psess_protocol::lending`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use psess_descriptor::mapping::ReadOnlyMapping;
use psess_protocol::lending::PASS;
use psess_protocol::offset::Offset;
use rustix::fs::fstat;
use rustix::io::pread;

/// A file that holds less than a position is no note.
const LEAST_BYTES: i64 = 8;

/// What is mapped: the note lies in one page.
const LENGTH: usize = PASS as usize + 1;

/// The note, which its server may change at any moment.
#[derive(Debug)]
pub(crate) struct Note {
    file: OwnedFd,
    /// The file has that page, as it is not empty and no server shortens it.
    mapping: ReadOnlyMapping,
}

impl Note {
    /// Maps what a server handed over.
    ///
    /// # Errors
    /// As fstat(2) and mmap(2), or when the file is too short.
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        if fstat(&file)?.st_size < LEAST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mapping = ReadOnlyMapping::new(file.as_fd(), LENGTH)?;
        Ok(Self { file, mapping })
    }

    /// The position that was noted last.
    pub(crate) fn position(&self) -> Option<Offset> {
        let mut noted = [0; 8];
        let read = pread(&self.file, &mut noted, 0);
        (read == Ok(noted.len())).then(|| Offset(u64::from_le_bytes(noted)))
    }

    /// Whether keys may pass the server by.
    pub(crate) fn lets_pass(&self) -> bool {
        let word = self.mapping.byte(PASS as usize);
        fence(Ordering::Acquire);
        word == 1
    }
}

impl AsFd for Note {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
