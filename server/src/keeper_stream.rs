//! The server's end of the channel to its keeper, as the runtime sees it.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll};

use anyhow::Context as _;
use psess_descriptor::{Blockage, Source};

use crate::keeper::channel::{ChannelError, ServerChannel};
use crate::keeper::protocol::{ToKeeper, ToServer};

/// A message of the keeper with its descriptors.
pub(crate) type FromKeeper = (ToServer, Vec<OwnedFd>);

/// Messages of the keeper, as they come, and to it.
#[derive(Debug)]
pub(crate) struct KeeperStream {
    channel: ServerChannel,
    /// The channel's socket, to wait on.
    ready: Source,
    blockage: Blockage,
}

impl KeeperStream {
    /// On a channel, and its socket once more.
    ///
    /// # Errors
    /// When the socket cannot be polled.
    pub(crate) fn new(channel: ServerChannel, socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            channel,
            ready: Source::new(socket)?,
            blockage: Blockage::default(),
        })
    }

    /// Sends a message, or queues it: what is queued goes while [`KeeperStream::next`] waits.
    ///
    /// # Errors
    /// When the keeper is gone, or the message too long.
    pub(crate) fn send(&mut self, message: &ToKeeper) -> anyhow::Result<()> {
        self.channel
            .send(message, &[])
            .context("cannot reach the keeper")
    }

    /// Whether something is queued for the keeper.
    pub(crate) fn wants_write(&self) -> bool {
        self.channel.wants_write()
    }

    /// The next message of the keeper, `None` once it is gone. May be
    /// dropped and called again without loss.
    ///
    /// # Errors
    /// When the keeper breaks its protocol.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<FromKeeper>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<Option<FromKeeper>>> {
        let channel = &mut self.channel;
        if channel.wants_write() {
            let flushed = self.blockage.poll_io(self.ready.as_fd(), cx, |_| {
                channel.flush().map_err(io::Error::other)?;
                if channel.wants_write() {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            if let Poll::Ready(Err(error)) = flushed {
                return Poll::Ready(Err(error.into()));
            }
        }
        let received = self.ready.poll_io(cx, |_| match channel.receive() {
            Ok(Some(received)) => Ok(Ok(Some(received))),
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Err(ChannelError::Closed) => Ok(Ok(None)),
            Err(error) => Ok(Err(error)),
        });
        received.map(|received| Ok(received??))
    }
}
