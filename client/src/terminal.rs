//! The modes of the user's terminal: raw while attached, and as they were found afterwards,
//! whatever happens. The only file that names crossterm.
//!
//! What goes over the terminal is the business of `tty`, and what the program in the session
//! left there that of `attached_screen`; only a panic, which skips both, is cleaned up here.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Once;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode, is_raw_mode_enabled};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Takes back what programs commonly switch on: the alternate screen; reports of mouse and focus;
/// bracketed paste; the kitty keyboard protocol and modifyOtherKeys; application keys; a hidden
/// cursor; no wrapping; line drawing; colours; and the title (xterm ctlseqs). It leaves the cursor
/// where it is.
pub const CLEAN: &[u8] = b"\x18\x1b[?1049l\x1b[?9;1000;1002;1003;1004;1005;1006;1015;1016l\
    \x1b[?2004;2026l\x1b[=0u\x1b[>4;0m\x1b[?1l\x1b>\x1b[?25h\x1b[?7h\x1b[4l\x1b(B\x0f\x1b[m\x1b[23;0t";

/// The user's terminal in raw mode: keys come singly and unchanged, and nothing is echoed.
/// Dropping it, and any panic before that, gives back the modes that were found.
#[derive(Debug)]
pub struct RawTerminal(());

impl RawTerminal {
    /// Puts the terminal on stdin, or the controlling one, into raw mode.
    ///
    /// # Errors
    /// When there is no terminal, or it is gone.
    pub fn enter() -> io::Result<Self> {
        static PANIC_HOOK: Once = Once::new();
        PANIC_HOOK.call_once(restore_at_panic);
        enable_raw_mode()?;
        Ok(Self(()))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal is gone, and its modes with it.
        let _ = disable_raw_mode();
    }
}

/// The modes of the user's terminal before another program asks something on it. One that is killed at
/// that, as ssh is at a password, leaves it without echo.
#[derive(Debug)]
pub struct FoundModes(Termios);

impl FoundModes {
    /// Those that `terminal` has; `None` where it is gone.
    pub fn of(terminal: impl AsFd) -> Option<Self> {
        tcgetattr(terminal).ok().map(Self)
    }

    /// Gives them back, where `terminal` has others. (A process in the background that sets any is
    /// stopped for that: SIGTTOU, termios(3).)
    pub fn restore(&self, terminal: impl AsFd) {
        let flags = |modes: &Termios| {
            let output = (modes.output_modes, modes.control_modes);
            (modes.input_modes, modes.local_modes, output)
        };
        let is_other = |now: Termios| flags(&now) != flags(&self.0);
        if tcgetattr(&terminal).is_ok_and(is_other) {
            // It has gone in this moment.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &self.0);
        }
    }
}

/// Whether a person sits at both ends of this process: one who can be asked something.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The panic's message is written by the hook before, so it must find a clean terminal.
fn restore_at_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if matches!(is_raw_mode_enabled(), Ok(true)) {
            // Errors: there is nobody left to tell. A terminal that takes nothing now must not hold
            // up the panic.
            let _ = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open("/dev/tty")
                .and_then(|mut screen| screen.write_all(&[CLEAN, b"\r\n"].concat()));
            let _ = disable_raw_mode();
        }
        before(panic);
    }));
}
