//! The signals that an attached client waits for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives them, in the place of what they would do otherwise.
#[derive(Debug)]
pub struct Signals {
    resized: Signal,
    stopped: Signal,
    continued: Signal,
    hung_up: Signal,
    terminated: Signal,
    interrupted: Signal,
    /// Ctrl-\ where the terminal is not raw yet: while ssh asks its questions.
    quit: Signal,
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// The terminal has another size.
    Resized,
    /// The client is to stop: SIGTSTP, as other processes send it, or Ctrl-Z where the terminal is
    /// not raw yet.
    Stop,
    /// The client was stopped, and goes on.
    Continued,
    /// The client is to leave: by this signal.
    Leave(i32),
}

impl Signals {
    /// From now on none of them ends or stops the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            stopped: signal(SignalKind::from_raw(libc::SIGTSTP))?,
            continued: signal(SignalKind::from_raw(libc::SIGCONT))?,
            hung_up: signal(SignalKind::hangup())?,
            terminated: signal(SignalKind::terminate())?,
            interrupted: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for the next one. May be dropped without loss.
    pub async fn next(&mut self) -> Signalled {
        tokio::select! {
            biased;
            _ = self.resized.recv() => Signalled::Resized,
            _ = self.stopped.recv() => Signalled::Stop,
            _ = self.continued.recv() => Signalled::Continued,
            _ = self.hung_up.recv() => Signalled::Leave(libc::SIGHUP),
            _ = self.terminated.recv() => Signalled::Leave(libc::SIGTERM),
            _ = self.interrupted.recv() => Signalled::Leave(libc::SIGINT),
            _ = self.quit.recv() => Signalled::Leave(libc::SIGQUIT),
        }
    }
}
