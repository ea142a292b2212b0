//! How attaching ends: what is said, and the terminal given back.

use std::time::{Duration, Instant};

use psess_protocol::link::{ClosedKind, End};
use rustix::process::Signal;

use super::{AttachEnd, AttachedClient};
use crate::terminal::RawTerminal;

/// How long the user's terminal may take nothing at the end before what is left is dropped.
const LAST_WRITE: Duration = Duration::from_secs(1);

impl AttachedClient {
    pub(super) fn attach_end(&self, end: End) -> AttachEnd {
        let name = self.link.session().map(|(_, name)| name.to_string());
        match end {
            End::Detached {
                reason,
                undelivered_bytes,
            } => AttachEnd::Detached {
                name,
                by: reason,
                undelivered_bytes,
                left: self.left,
                warnings: self.warnings.all(),
            },
            End::Finished(outcome) => AttachEnd::Finished {
                name: name.unwrap_or_default(),
                outcome,
            },
            End::Failed(failure) => AttachEnd::Failed(failure),
            End::Unreached(closed) | End::Gone(closed) => AttachEnd::GaveUp {
                reason: closed.words,
                needs_user: closed.kind == ClosedKind::NeedsUser,
            },
        }
    }

    /// Shows what is left to show, and gives the terminal back.
    pub(super) async fn leave(&mut self) {
        // What it read in this moment goes with the client.
        self.shortcut.close();
        if self.dials.ask_user() && self.link.session().is_none() {
            // Behind ssh's question, or the ^C that ended it.
            self.screen.queue().push(b"\r\n", false);
        }
        self.dials.close_all();
        for connection in &mut self.connections {
            connection.flush();
            connection.take_back();
        }
        self.give_terminal_back().await;
        self.restore_found_modes();
    }

    /// Has whoever sent the signal, or a shell, find the terminal as it was, stops, and takes it again
    /// when that is over.
    pub(super) async fn stop(&mut self, now: Instant) {
        self.close_shortcut(now);
        // First, as the server writes to a terminal that is raw.
        let was_raw = self.raw.take().is_some();
        self.give_terminal_back().await;
        // Cannot fail: it is this process.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        if was_raw {
            self.raw = RawTerminal::enter().ok();
        }
        // Also where ssh had the terminal: that is as a shell left it now.
        self.link.handle_disturbed(Instant::now());
    }

    /// Leaves the terminal as it was found, if something was written there.
    async fn give_terminal_back(&mut self) {
        let leave = self.screen.leave();
        self.screen.queue().push(&leave, false);
        while !self.screen.queue().is_empty() {
            let write = self.tty.shown.write(self.screen.queue().pending());
            match tokio::time::timeout(LAST_WRITE, write).await {
                Ok(Ok(count @ 1..)) => self.handle_written(count),
                // The terminal is gone, or stopped by its user: nothing can be done about it.
                Ok(Ok(_) | Err(_)) | Err(_) => break,
            }
        }
        self.raw = None;
    }

    /// Lets the server know that the outcome was seen: it closes once it does. A way that is
    /// dropped before it has carried this leaves the session listed as finished.
    pub(super) async fn say_goodbye(&mut self) {
        if let Some(connection) = self.connections.last_mut() {
            let closed = async { while let Ok(1..) = connection.run().await {} };
            // Then it stays listed, no more.
            let _ = tokio::time::timeout(LAST_WRITE, closed).await;
        }
    }
}
