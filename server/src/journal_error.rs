//! What may be wrong with a journal, or a part of one.

use std::io;

use rustix::io::Errno;

/// Why a journal is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It contradicts itself, or is of a version not known here: it can only begin anew.
    #[error("{0}")]
    Unreadable(String),
    /// The system has no memory, say, to look at it: what it holds is still there.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl From<Errno> for JournalError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}
