//! Both ends of the keeper's channel take any bytes.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use psess_server::keeper::channel::{KeeperChannel, ServerChannel};
use rustix::net::{SendFlags, send};

pub(crate) fn check(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(100_000)];
    let mut keeper: KeeperChannel = KeeperChannel::new(far_end(bytes));
    while let Ok(Some(_)) = keeper.receive() {}
    let mut server: ServerChannel = ServerChannel::new(far_end(bytes));
    while let Ok(Some(_)) = server.receive() {}
}

/// A socket on which these bytes have arrived.
fn far_end(bytes: &[u8]) -> OwnedFd {
    let (near, far) = UnixStream::pair().expect("there are descriptors");
    send(&near, bytes, SendFlags::DONTWAIT).expect("a socket's buffer takes 100 KB");
    far.into()
}
