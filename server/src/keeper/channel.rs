//! A non-blocking stream of messages with descriptors (SCM_RIGHTS, unix(7)) between keeper and
//! server. Owns the socket and the bytes under way; waits for nothing: the keeper polls the
//! socket, the server registers it with its runtime.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use super::encoding::{Encoding, HEADER, MAX_BODY};
use super::protocol::{ToKeeper, ToServer};

/// The keeper's end.
pub type KeeperChannel = Channel<ToServer, ToKeeper>;

/// The server's end.
pub type ServerChannel = Channel<ToKeeper, ToServer>;

/// The most descriptors that go with one message.
const MAX_DESCRIPTORS: usize = 8;

/// One end: sends `Out`, receives `In`.
#[derive(Debug)]
pub struct Channel<Out, In> {
    socket: OwnedFd,
    /// Messages not sent yet, the first perhaps in part. Bounded by who sends: the keeper takes
    /// no request while much is queued, the server sends no more than its sessions need.
    outgoing: VecDeque<Outgoing>,
    /// What arrived and is not decoded yet.
    incoming: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
    messages: PhantomData<fn(Out) -> In>,
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

impl Channel<ToServer, ToKeeper> {
    /// The keeper's end, and the descriptor that the server gets as its standard input.
    ///
    /// # Errors
    /// Those of socketpair(2): out of descriptors.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::new(ours), theirs))
    }
}

impl Channel<ToKeeper, ToServer> {
    /// Whether standard input may be what a keeper made it.
    #[must_use]
    pub fn is_standard_input() -> bool {
        rustix::net::sockopt::socket_type(rustix::stdio::stdin()).is_ok()
    }

    /// The server's end, which the keeper made its standard input. /dev/null takes its place
    /// there.
    ///
    /// # Errors
    /// When standard input is no socket: the server was not started by a keeper.
    pub fn from_standard_input() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        rustix::net::sockopt::socket_type(stdin).map_err(|error| {
            io::Error::new(
                io::Error::from(error).kind(),
                "standard input is not the keeper's channel",
            )
        })?;
        let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(null)?;
        Ok(Self::new(socket))
    }
}

impl<Out: Encoding, In: Encoding> Channel<Out, In> {
    /// A channel over one end of a socket pair.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            outgoing: VecDeque::new(),
            incoming: Vec::new(),
            descriptors: VecDeque::new(),
            messages: PhantomData,
        }
    }

    /// Sends a message with its descriptors, in the order of earlier ones; queues what the
    /// socket does not take now, with duplicates of the descriptors.
    ///
    /// # Errors
    /// [`ChannelError::Closed`]; [`ChannelError::TooLarge`], and nothing was sent;
    /// [`ChannelError::Io`].
    ///
    /// # Panics
    /// When the number of descriptors is not the message's.
    pub fn send(
        &mut self,
        message: &Out,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let (kind, count) = message.kind();
        assert_eq!(usize::from(count), descriptors.len(), "of message {kind}");
        let mut bytes = vec![0; HEADER];
        message.encode(&mut bytes);
        let length = bytes.len() - HEADER;
        if length > MAX_BODY {
            return Err(ChannelError::TooLarge(length));
        }
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        bytes[4] = kind;
        bytes[5] = count;

        let sent = match self.outgoing.is_empty() {
            true => send_part(self.socket.as_fd(), &bytes, descriptors)?,
            false => 0,
        };
        if sent < bytes.len() {
            let descriptors = match sent {
                0 => descriptors
                    .iter()
                    .map(|fd| fd.try_clone_to_owned())
                    .collect::<io::Result<_>>()?,
                _ => Vec::new(),
            };
            self.outgoing.push_back(Outgoing {
                bytes,
                sent,
                descriptors,
            });
        }
        self.flush()
    }

    /// Sends what is queued, as far as the socket takes it.
    ///
    /// # Errors
    /// [`ChannelError::Closed`]; [`ChannelError::Io`].
    pub fn flush(&mut self) -> Result<(), ChannelError> {
        while let Some(first) = self.outgoing.front_mut() {
            let borrowed: Vec<_> = first.descriptors.iter().map(AsFd::as_fd).collect();
            let sent = send_part(self.socket.as_fd(), &first.bytes[first.sent..], &borrowed)?;
            if sent == 0 {
                return Ok(());
            }
            first.descriptors.clear();
            first.sent += sent;
            if first.sent == first.bytes.len() {
                self.outgoing.pop_front();
            }
        }
        Ok(())
    }

    /// Whether something is queued: call [`Channel::flush`] once the socket is writable.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The next message and its descriptors; `None` until the socket is readable again.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] once the other side is gone; [`ChannelError::Malformed`];
    /// [`ChannelError::Descriptors`] when this process has no room for them;
    /// [`ChannelError::Io`]. The channel is of no use after any of them.
    pub fn receive(&mut self) -> Result<Option<(In, Vec<OwnedFd>)>, ChannelError> {
        loop {
            if let Some(received) = self.decode()? {
                return Ok(Some(received));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    fn decode(&mut self) -> Result<Option<(In, Vec<OwnedFd>)>, ChannelError> {
        while let Some(header) = self.incoming.first_chunk::<HEADER>() {
            let [a, b, c, d, kind, count] = *header;
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            let count = usize::from(count);
            if length > MAX_BODY || count > MAX_DESCRIPTORS {
                return Err(ChannelError::Malformed("a frame larger than allowed"));
            }
            let Some(body) = self.incoming.get(HEADER..HEADER + length) else {
                return Ok(None);
            };
            if self.descriptors.len() < count {
                return Err(ChannelError::Malformed("descriptors are missing"));
            }
            let message = In::decode(kind, body).map_err(ChannelError::Malformed)?;
            let descriptors: Vec<OwnedFd> = self.descriptors.drain(..count).collect();
            self.incoming.drain(..HEADER + length);
            let Some(message) = message else {
                // A kind that is not known is skipped.
                continue;
            };
            if usize::from(message.kind().1) != count {
                return Err(ChannelError::Malformed("another number of descriptors"));
            }
            return Ok(Some((message, descriptors)));
        }
        Ok(None)
    }

    /// Reads once. Whether something came.
    fn read(&mut self) -> Result<bool, ChannelError> {
        let mut bytes = [0; 16 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = loop {
            match rustix::net::recvmsg(
                &self.socket,
                &mut [io::IoSliceMut::new(&mut bytes)],
                &mut control,
                flags,
            ) {
                Ok(received) => break received,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(error) => return Err(ChannelError::Io(error.into())),
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(ChannelError::Descriptors);
        }
        // The kernel ends a read behind the bytes that came with descriptors, so that no more
        // than one message's can wait here.
        if self.descriptors.len() > 2 * MAX_DESCRIPTORS {
            return Err(ChannelError::Malformed("more descriptors than allowed"));
        }
        if received.bytes == 0 {
            return Err(ChannelError::Closed);
        }
        self.incoming.extend_from_slice(&bytes[..received.bytes]);
        Ok(true)
    }
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<Out, In> AsRawFd for Channel<Out, In> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Sends the beginning of `bytes`, with all of `descriptors` on its first byte. How much went.
fn send_part(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<usize, ChannelError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(
            fits,
            "no message has more than {MAX_DESCRIPTORS} descriptors"
        );
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        match rustix::net::sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, flags) {
            Ok(sent) => return Ok(sent),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
            Err(error) => return Err(ChannelError::Io(error.into())),
        }
    }
}

/// Why a channel came to its end.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other side is gone.
    #[error("the other side of the keeper's channel is gone")]
    Closed,
    /// The other side does not keep to the protocol.
    #[error("a malformed message on the keeper's channel: {0}")]
    Malformed(&'static str),
    /// A message to send exceeds what the protocol allows.
    #[error("a message of {0} bytes is too large for the keeper: shorten command or environment")]
    TooLarge(usize),
    /// Descriptors were lost for lack of room (RLIMIT_NOFILE).
    #[error("too many open files to take more from the keeper: raise 'ulimit -n'")]
    Descriptors,
    /// The system failed.
    #[error("the keeper's channel failed: {0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests;
