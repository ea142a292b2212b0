//! Descriptors that come with bytes on a unix socket (SCM_RIGHTS, unix(7)).

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use psess_descriptor::Source;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// So many come at once, at most; the kernel closes others.
pub(crate) const MOST: usize = 2;

/// Reads from a socket once something is there; 0 at the end. Descriptors that come along are
/// added to `descriptors`. May be dropped without loss.
///
/// # Errors
/// As recvmsg(2), but for `WouldBlock`.
pub(crate) async fn receive(
    socket: &Source,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    poll_fn(|cx| {
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
    })
    .await
}
