//! The user's terminal, lent to the server of this machine: it writes plain output to it by
//! itself, and this knows how far it is. In return the server lends the pty, to type into.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use psess_protocol::lending::Ring;
use psess_protocol::offset::Offset;
use rustix::fs::{SeekFrom, seek};
use rustix::io::write;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::note::Note;

/// The longest that a terminal sends for a key, or for a few that are hit at once.
pub(crate) const KEY_BYTES: usize = 64;

/// A terminal that is lent. Dropping it takes the terminal back.
#[derive(Debug)]
pub struct Lending {
    /// Where the server hands over what tells how far it is. It writes only while this is open.
    socket: OwnedFd,
    loan: Option<Loan>,
}

/// What the server hands over.
#[derive(Debug)]
struct Loan {
    progress: Progress,
    /// The session's pty, where this client may write to it.
    pty: Option<Arc<LentPty>>,
}

/// How far the server is: see [`psess_protocol::lending`].
#[derive(Debug)]
struct Progress {
    ring: Ring,
    log: OwnedFd,
    note: Arc<Note>,
}

/// A session's pty that the server lent us: to be dropped with its connection, or programs are not
/// hung up on.
#[derive(Debug)]
pub struct LentPty {
    pty: OwnedFd,
    note: Arc<Note>,
}

impl LentPty {
    /// A pty, and the note that says whether keys may go there.
    pub(crate) fn new(pty: OwnedFd, note: Arc<Note>) -> Self {
        Self { pty, note }
    }

    /// Whether keys may pass the server by.
    #[must_use]
    pub fn lets_pass(&self) -> bool {
        self.note.lets_pass()
    }

    /// Writes typed bytes to the pty, if they may pass the server by: how many it took. What is pasted
    /// goes through the server, as the program may not read it for long.
    #[must_use]
    pub fn type_in(&self, typed: &[u8]) -> usize {
        let is_key = (1..=KEY_BYTES).contains(&typed.len());
        if !is_key || !self.lets_pass() {
            return 0;
        }
        // What it does not take the server gets: it waits for a program that does not read, and
        // knows what to do where there is none.
        write(&self.pty, typed).unwrap_or_default()
    }
}

impl Lending {
    /// Sends `request` with the terminal to the server at the other end of `server`, a unix
    /// socket that takes it at once.
    ///
    /// # Errors
    /// As sendmsg(2); nothing is lent then.
    pub fn begin(
        server: BorrowedFd<'_>,
        request: &[u8],
        terminal: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let descriptors = [terminal, theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        let parts = [IoSlice::new(request)];
        let sent = sendmsg(server, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
        if sent < request.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(Self { socket, loan: None })
    }

    /// Up to where the server wrote output; `None` while it has not said how that is told.
    pub fn written(&mut self) -> Option<Offset> {
        if self.loan.is_none() {
            self.loan = receive(self.socket.as_fd());
        }
        let progress = &self.loan.as_ref()?.progress;
        let mut noted = progress.note.position()?;
        loop {
            let place = seek(&progress.log, SeekFrom::Current(0)).ok()?;
            // The server may have gone around the ring in between.
            let again = progress.note.position()?;
            if again == noted {
                return Some(progress.ring.written(noted, place));
            }
            noted = again;
        }
    }

    /// The session's pty, if that is lent.
    #[must_use]
    pub fn pty(&self) -> Option<&Arc<LentPty>> {
        self.loan.as_ref()?.pty.as_ref()
    }
}

fn receive(socket: BorrowedFd<'_>) -> Option<Loan> {
    let mut ring = [0; Ring::ENCODED];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut ring)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut parts, &mut ancillary, flags).ok()?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let mut descriptors = descriptors.into_iter();
    let (log, note, pty) = (descriptors.next()?, descriptors.next()?, descriptors.next());
    let ring = Ring::decode(&ring).filter(|_| received.bytes == Ring::ENCODED)?;
    let note = Arc::new(Note::new(note).ok()?);
    let pty = pty.map(|pty| Arc::new(LentPty::new(pty, note.clone())));
    let progress = Progress { ring, log, note };
    Some(Loan { progress, pty })
}
