//! Descriptors that never block: the only place where any is registered in the runtime. And memory
//! that is shared through one: the only place where any is mapped.
//!
//! Both ends of a link use it, and so it is a crate of its own: `protocol` is pure. It knows
//! nothing of what the bytes mean.
//!
//! Reading and writing are registered apart, and writing only while something blocks: whoever
//! reads what was written makes the writer ready to write, and a registration would wake it for
//! that after each key. A timer that is set for each key is here for the same reason.

pub mod alarm;
pub mod mapping;

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// Writes without waiting, after which a sink is no longer taken for blocked.
const FLOWING: u32 = 64;

/// A descriptor that is read without blocking: a pty, a socket, a pipe.
#[derive(Debug)]
pub struct Source(AsyncFd<OwnedFd>);

/// A descriptor that is written without blocking.
#[derive(Debug)]
pub struct Sink {
    fd: OwnedFd,
    blockage: Blockage,
}

/// What keeps a descriptor from being written, if anything does.
#[derive(Debug, Default)]
pub struct Blockage(Option<Blocked>);

#[derive(Debug)]
struct Blocked {
    fd: AsyncFd<OwnedFd>,
    /// Writes since one had to wait.
    flowing: u32,
}

impl Source {
    /// Makes the descriptor non-blocking and registers it.
    ///
    /// # Errors
    /// When the kernel cannot poll it (a plain file), or descriptors run out.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&fd)?;
        register(fd, Interest::READABLE).map(Self)
    }

    /// Reads, when something is there; 0 at the end.
    ///
    /// # Errors
    /// As read(2), but for `WouldBlock`.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let read = rustix::io::read(&self.0, &mut *buffer);
            // What gave less than asked for is empty, and tells when more comes (epoll(7), on
            // EPOLLET): asking again would cost a system call for each key.
            if read.is_ok_and(|count| 0 < count && count < buffer.len()) {
                guard.clear_ready();
            }
            match read {
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Reads, once something is there; 0 at the end. May be dropped without loss.
    ///
    /// # Errors
    /// As read(2), but for `WouldBlock`.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// Does something that reads, when that does not block.
    ///
    /// # Errors
    /// As `read`, but for `WouldBlock`.
    pub fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            if let Ok(result) = guard.try_io(|fd| read(fd.get_ref().as_fd())) {
                return Poll::Ready(result);
            }
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl AsyncRead for Source {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(Self::poll_read(&self, cx, buffer.initialize_unfilled()))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl Sink {
    /// Makes the descriptor non-blocking.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&fd)?;
        Ok(Self {
            fd,
            blockage: Blockage::default(),
        })
    }

    /// What was on its way was dropped, so that there may be room of which the kernel tells nobody:
    /// tcflush(3) on a terminal wakes no writer (`pty_flush_buffer` of Linux).
    pub fn handle_dropped(&mut self) {
        self.blockage = Blockage::default();
    }

    /// Writes as much as fits, when that is something.
    ///
    /// # Errors
    /// As write(2), but for `WouldBlock`.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.blockage
            .poll_io(self.fd.as_fd(), cx, |fd| Ok(rustix::io::write(fd, bytes)?))
    }

    /// Writes as much as fits, once that is something. May be dropped without loss.
    ///
    /// # Errors
    /// As write(2), but for `WouldBlock`.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, bytes)).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// As write(2), but for `WouldBlock`.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Nothing is kept back, and dropping closes.
impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(self.get_mut(), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Blockage {
    /// Does something that writes to `fd`, always the same one, when that does not block.
    ///
    /// # Errors
    /// As `write`, but for `WouldBlock`.
    pub fn poll_io<T>(
        &mut self,
        fd: BorrowedFd<'_>,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut write = |fd: BorrowedFd<'_>| {
            loop {
                match write(fd) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        };
        let blocked = match &mut self.0 {
            Some(blocked) => blocked,
            None => match write(fd) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let fd = register(fd.try_clone_to_owned()?, Interest::WRITABLE)?;
                    self.0.insert(Blocked { fd, flowing: 0 })
                }
                result => return Poll::Ready(result),
            },
        };
        loop {
            let mut guard = ready!(blocked.fd.poll_write_ready(cx))?;
            match guard.try_io(|fd| write(fd.get_ref().as_fd())) {
                Ok(result) => {
                    blocked.flowing += 1;
                    if blocked.flowing >= FLOWING {
                        self.0 = None;
                    }
                    return Poll::Ready(result);
                }
                Err(_) => blocked.flowing = 0,
            }
        }
    }
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}

fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays open and the same for as long as AsyncFd owns it, and nothing
    // takes it out.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}
