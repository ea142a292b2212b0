//! Pseudo terminals. The only file that names portable-pty, of which it uses no more than the
//! opening: its way of starting programs hides errors and leaks signals and descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context;
use portable_pty::PtySize;
use psess_protocol::size::Size;
use rustix::pty::OpenptFlags;
use rustix::termios::{InputModes, OptionalActions, Winsize};

/// Both ends of a pseudo terminal, close-on-exec.
#[derive(Debug)]
pub struct Pty {
    /// The terminal's end. Not blocking, for whoever holds a duplicate.
    pub master: OwnedFd,
    /// The program's end.
    pub slave: OwnedFd,
}

impl Pty {
    /// Opens one of this size, with input edited by UTF-8 characters (IUTF8, termios(3)).
    ///
    /// # Errors
    /// When there are no descriptors or no ptys left (`/proc/sys/kernel/pty/max`), or /dev/pts
    /// is not mounted.
    pub fn open(size: Size) -> anyhow::Result<Self> {
        let pair = portable_pty::native_pty_system().openpty(PtySize {
            rows: size.rows,
            cols: size.columns,
            pixel_width: size.pixel_width,
            pixel_height: size.pixel_height,
        })?;
        let master = duplicate_of_master(&*pair.master)?;
        // The peer by ioctl needs no path: /dev/pts may be another one in this mount namespace.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)
            .context("cannot open the program's end of a pty")?;
        // The first slave is closed only now: without any, the master reports a hang-up.
        drop(pair);
        rustix::io::ioctl_fionbio(&master, true).context("cannot make a pty non-blocking")?;
        let mut modes = rustix::termios::tcgetattr(&slave).context("cannot read pty modes")?;
        modes.input_modes |= InputModes::IUTF8;
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes)
            .context("cannot set pty modes")?;
        Ok(Self { master, slave })
    }
}

/// Gives the pty of `master` another size; its foreground programs get SIGWINCH when it differs.
///
/// # Errors
/// When `master` is no pty.
pub fn resize(master: impl AsFd, size: Size) -> std::io::Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: size.pixel_width,
        ws_ypixel: size.pixel_height,
    };
    Ok(rustix::termios::tcsetwinsize(master, size)?)
}

fn duplicate_of_master(master: &dyn portable_pty::MasterPty) -> anyhow::Result<OwnedFd> {
    let raw = master
        .as_raw_fd()
        .context("portable-pty gave a pty without a descriptor")?;
    // SAFETY: the descriptor belongs to `master`, which is borrowed for longer than this.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 3).context("cannot duplicate a pty's descriptor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pty_has_its_size_and_utf8_editing() {
        let size = Size {
            pixel_width: 640,
            pixel_height: 480,
            ..Size::new(33, 99)
        };
        let pty = Pty::open(size).unwrap();
        let winsize = rustix::termios::tcgetwinsize(&pty.slave).unwrap();
        assert_eq!((winsize.ws_row, winsize.ws_col), (33, 99));
        assert_eq!((winsize.ws_xpixel, winsize.ws_ypixel), (640, 480));
        let modes = rustix::termios::tcgetattr(&pty.slave).unwrap();
        assert!(modes.input_modes.contains(InputModes::IUTF8));

        resize(&pty.master, Size::new(5, 6)).unwrap();
        let winsize = rustix::termios::tcgetwinsize(&pty.slave).unwrap();
        assert_eq!((winsize.ws_row, winsize.ws_xpixel), (5, 0));
    }

    #[test]
    fn neither_end_is_inherited() {
        let pty = Pty::open(Size::default()).unwrap();
        for end in [&pty.master, &pty.slave] {
            let flags = rustix::io::fcntl_getfd(end).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
