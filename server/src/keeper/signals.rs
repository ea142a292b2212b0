//! The signals that end the keeper, as a descriptor (signalfd(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// Readable once the keeper is asked to end.
#[derive(Debug)]
pub(super) struct Signals(OwnedFd);

impl Signals {
    /// From now on TERM and INT arrive here, and HUP and XFSZ nowhere.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn take() -> io::Result<Self> {
        // SAFETY: zeroes are a valid set, which sigemptyset initialises all the same.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `set` is valid; the signal numbers are; the old mask is not asked for. The
        // keeper has one thread, so that its mask is the process's.
        let raw = unsafe {
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            // A journal beyond the user's limit of file sizes is an error, not an end.
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        match raw {
            0.. => {
                // SAFETY: signalfd just made it, and nobody else knows it.
                Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
            }
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
