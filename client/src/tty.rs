//! The user's terminal as a stream of bytes: typed ones in, shown ones out, neither ever
//! blocking. Modes are the business of `terminal`.

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
    pub typed: Source,
    /// What is shown.
    pub shown: Sink,
}

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
            shown: Sink::new(fd.try_clone()?)?,
            typed: Source::new(fd)?,
        })
    }

    /// Its size, 24 × 80 when it does not know.
    #[must_use]
    pub fn size(&self) -> Size {
        match termios::tcgetwinsize(self) {
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

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.typed.as_fd()
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
        let shown = Sink::new(fd.try_clone().expect("a descriptor")).expect("a sink");
        let typed = Source::new(fd).expect("a source");
        let mut tty = Tty { typed, shown };

        let mut cx = Context::from_waker(Waker::noop());
        while tty.shown.poll_write(&mut cx, &[b'x'; 4096]).is_ready() {}
        assert!(tty.shown.poll_write(&mut cx, b"y").is_pending());
        tty.drop_unshown();
        let written = tty.shown.poll_write(&mut cx, b"z");
        assert!(matches!(written, Poll::Ready(Ok(1))), "{written:?}");
    }
}
