//! A terminal that a client of this machine lent: plain output is written to it straight from the
//! log, past the client. See [`psess_protocol::lending`] for how the client knows how far.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use psess_descriptor::Blockage;
use psess_protocol::lending::{PASS, Ring};
use psess_protocol::offset::Offset;
use rustix::fs::{
    MemfdFlags, OFlags, SeekFrom, fcntl_getfl, fcntl_setfl, memfd_create, seek, sendfile,
};
use rustix::io::{Errno, pwrite};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use rustix::termios::{OutputModes, isatty, tcgetattr};

use crate::output_log;

/// A position is noted at least each so many bytes: a small part of the ring.
const NOTED_EACH: u64 = 1 << 20;

/// Written at once, at most.
const CHUNK: usize = 16 << 10;

/// What a client hands over.
#[derive(Debug)]
pub(crate) struct Loan {
    /// The terminal.
    pub(crate) terminal: OwnedFd,
    /// Where the client is told how far its terminal was written. When its end is closed, the
    /// terminal is no longer lent.
    pub(crate) progress: OwnedFd,
}

/// A terminal that is written from a log.
#[derive(Debug)]
pub(crate) struct LentTerminal {
    terminal: OwnedFd,
    progress: OwnedFd,
    blockage: Blockage,
    ring: Ring,
    /// The log's file, opened for this: its offset is how far the terminal was written.
    log: OwnedFd,
    /// The position that belongs to that offset.
    position: Offset,
    /// The position that is noted for the client, and where.
    noted: Offset,
    note: OwnedFd,
    /// Whether the client is told that keys may pass us by.
    lets_pass: bool,
    /// The terminal takes nothing for now.
    is_blocked: bool,
}

impl LentTerminal {
    /// Takes over what was lent, for output of `log`: a file that is open for nobody else. So far
    /// nothing was written; what the client is told must never be more than it knows to be shown.
    /// In return it is lent the `pty`, if any.
    ///
    /// # Errors
    /// When what was lent is no terminal, a file cannot be had, or the client does not take its part.
    pub(crate) fn new(
        loan: Loan,
        log: OwnedFd,
        ring: Ring,
        pty: Option<BorrowedFd<'_>>,
    ) -> io::Result<Self> {
        if !isatty(&loan.terminal) {
            return Err(Errno::NOTTY.into());
        }
        let flags = fcntl_getfl(&loan.terminal)? | OFlags::NONBLOCK;
        fcntl_setfl(&loan.terminal, flags)?;
        let note = memfd_create("psess-note", MemfdFlags::CLOEXEC)?;
        let mut lent = Self {
            terminal: loan.terminal,
            progress: loan.progress,
            blockage: Blockage::default(),
            ring,
            log,
            position: Offset(0),
            noted: Offset(0),
            note,
            lets_pass: false,
            is_blocked: false,
        };
        lent.move_to(Offset(0))?;
        let files: Vec<_> = [lent.log.as_fd(), lent.note.as_fd()]
            .into_iter()
            .chain(pty)
            .collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let ring = told(ring).encode();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(
            lent.progress.as_fd(),
            &[IoSlice::new(&ring)],
            &mut ancillary,
            flags,
        )?;
        Ok(lent)
    }

    /// Whether the terminal took less than it was given last.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// There is nothing to write for now.
    pub(crate) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Writes the output from `position` on, at most `length` bytes of it, which the log has, in its
    /// `ring` of now: as much as the terminal takes, when that is something.
    ///
    /// # Errors
    /// When the client took the terminal back, or a shell took it from the client, or it is gone or
    /// cannot be written in this way.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        ring: Ring,
        position: Offset,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let in_ring = position.0 % ring.length;
        // Where the ring begins again the file's offset is at its end.
        if position != self.position || ring != self.ring || in_ring == 0 {
            self.ring = ring;
            self.move_to(position)?;
        } else if position.bytes_since(self.noted) >= NOTED_EACH {
            self.note(position)?;
        }
        let before_end = (ring.length - in_ring).min(CHUNK as u64);
        let count = length.min(before_end as usize);
        let (log, progress) = (&self.log, &self.progress);
        let written = self
            .blockage
            .poll_io(self.terminal.as_fd(), cx, |terminal| {
                if was_taken_back(progress) || !is_raw(terminal) {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                match sendfile(terminal, log, None, count)? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    written => Ok(written),
                }
            });
        self.is_blocked = written.is_pending();
        if let Poll::Ready(Ok(written)) = written {
            self.position = position.advanced_by(written);
        }
        written
    }

    /// Tells the client whether keys may pass us by.
    pub(crate) fn let_pass(&mut self, lets_pass: bool) {
        if lets_pass != self.lets_pass
            && let Ok(1) = pwrite(&self.note, &[u8::from(lets_pass)], PASS)
        {
            self.lets_pass = lets_pass;
        }
    }

    /// The file's offset first: the position that is noted already stands for any place.
    #[cold]
    fn move_to(&mut self, position: Offset) -> io::Result<()> {
        seek(&self.log, SeekFrom::Start(self.ring.place(position)))?;
        self.position = position;
        self.note(position)
    }

    #[cold]
    fn note(&mut self, position: Offset) -> io::Result<()> {
        pwrite(&self.note, &position.0.to_le_bytes(), 0)?;
        self.noted = position;
        Ok(())
    }
}

/// A client that is sent away may be stopped, and reads that only later: its keys are nobody's.
impl Drop for LentTerminal {
    fn drop(&mut self) {
        self.let_pass(false);
    }
}

/// The ring of which a client is told: the one that the log has or gets is as long, or a multiple of it,
/// which is the same to [`Ring::written`].
fn told(ring: Ring) -> Ring {
    Ring {
        length: output_log::SHORT_RING_BYTES as u64,
        ..ring
    }
}

/// Whether the client has left. It may have done so without us, when we stood still: what is
/// written then goes to whoever has the terminal after it.
fn was_taken_back(progress: &OwnedFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    !matches!(
        recv(progress, &mut [0][..], flags),
        Err(Errno::AGAIN | Errno::INTR)
    )
}

/// Whether the terminal still has the modes that the client gave it. A shell that got it back from a
/// client which was stopped (SIGSTOP) sets its own, and what is written then would show among its
/// lines. None of them, as far as is known, does without the processing of output.
fn is_raw(terminal: BorrowedFd<'_>) -> bool {
    tcgetattr(terminal).is_ok_and(|modes| !modes.output_modes.contains(OutputModes::OPOST))
}
