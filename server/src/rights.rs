//! Descriptors that come with bytes on a unix socket (SCM_RIGHTS, unix(7)).

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use psess_descriptor::Source;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// So many come at once, at most; the kernel closes others.
pub(crate) const MOST: usize = 2;

/// Reads from a socket, when something is there; 0 at the end. Descriptors that come along are
/// added to `descriptors`.
///
/// # Errors
/// As recvmsg(2), but for `WouldBlock`.
pub(crate) fn poll_receive(
    socket: &Source,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Poll<io::Result<usize>> {
    socket.poll_io(cx, |fd| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        let received = recvmsg(fd, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Ok(received.bytes)
    })
}
