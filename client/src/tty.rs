//! The user's terminal as a stream of bytes: typed ones in, shown ones out, neither ever
//! blocking. Modes are the business of `terminal`.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use psess_descriptor::{Sink, Source};
use psess_protocol::size::Size;
use rustix::fs::{Mode, OFlags};
use rustix::termios;

/// The user's terminal, opened anew: O_NONBLOCK on the descriptors that we were started with
/// would be there for the user's shell too.
#[derive(Debug)]
pub struct Tty {
    /// What was typed.
    pub typed: Typed,
    /// What is shown.
    pub shown: Sink,
}

/// What was typed, while we listen for it.
#[derive(Debug, Default)]
pub struct Typed(Option<Source>);

impl Tty {
    /// Opens the controlling terminal, or the one on stdin where there is none.
    ///
    /// # Errors
    /// When there is no terminal.
    pub fn open() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |path: &std::ffi::CStr| rustix::fs::open(path, flags, Mode::empty());
        let fd = open(c"/dev/tty").or_else(|error| {
            let name = termios::ttyname(io::stdin(), Vec::new()).map_err(|_| error)?;
            open(&name)
        })?;
        Ok(Self {
            shown: Sink::new(fd)?,
            typed: Typed::default(),
        })
    }

    /// From now on `typed` gets what is typed.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn listen(&mut self) -> io::Result<()> {
        if self.typed.0.is_none() {
            let terminal = self.as_fd().try_clone_to_owned()?;
            self.typed.0 = Some(Source::new(terminal)?);
        }
        Ok(())
    }

    /// Leaves what is typed to another reader: nobody is woken here for it.
    pub fn stop_listening(&mut self) {
        self.typed = Typed::default();
    }

    /// Its size, 24 × 80 when it does not know.
    #[must_use]
    pub fn size(&self) -> Size {
        size(self.as_fd())
    }

    /// Drops what was written to it and is not shown yet, as the kernel does at Ctrl-C on a terminal
    /// that is not raw (TCOFLUSH, termios(3)): behind a slow window, or a line, that is much.
    pub fn drop_unshown(&mut self) {
        // One that has gone shows nothing anyway.
        let _ = termios::tcflush(&self.shown, termios::QueueSelector::OFlush);
        self.shown.handle_dropped();
    }

    /// Whether it still passes on single keys: a shell that got it meanwhile takes that back.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        termios::tcgetattr(self)
            .is_ok_and(|modes| !modes.local_modes.contains(termios::LocalModes::ICANON))
    }
}

impl Typed {
    /// Reads it, once there is something, while we listen; 0 where the terminal is gone. May be
    /// dropped without loss.
    ///
    /// # Errors
    /// As read(2), but for `WouldBlock`.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Some(source) => source.read(buffer).await,
            None => pending().await,
        }
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shown.as_fd()
    }
}

/// A terminal's size, 24 × 80 when it does not know.
#[must_use]
pub fn size(terminal: BorrowedFd<'_>) -> Size {
    match termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => Size {
            rows: size.ws_row,
            columns: size.ws_col,
            pixel_width: size.ws_xpixel,
            pixel_height: size.ws_ypixel,
        }
        .clamped(),
        Ok(_) | Err(_) => Size::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[tokio::test]
    async fn a_full_terminal_takes_more_at_once_when_what_it_did_not_show_is_dropped() {
        // Nobody reads it, so nobody tells that there is room.
        let window = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        grantpt(&window).expect("its terminal");
        unlockpt(&window).expect("its terminal");
        let path = ptsname(&window, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        let fd = rustix::fs::open(&path, flags, Mode::empty()).expect("its terminal");
        let shown = Sink::new(fd).expect("a sink");
        let mut tty = Tty {
            typed: Typed::default(),
            shown,
        };

        let mut cx = Context::from_waker(Waker::noop());
        while tty.shown.poll_write(&mut cx, &[b'x'; 4096]).is_ready() {}
        assert!(tty.shown.poll_write(&mut cx, b"y").is_pending());
        tty.drop_unshown();
        let written = tty.shown.poll_write(&mut cx, b"z");
        assert!(matches!(written, Poll::Ready(Ok(1))), "{written:?}");
    }
}
