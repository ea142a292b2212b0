//! How attaching ends: what is said, and the terminal given back.

use std::time::Duration;

use psess_protocol::link::{ClosedKind, End};

use super::{AttachEnd, AttachedClient};

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
        for connection in &mut self.connections {
            connection.flush();
            connection.take_back();
        }
        let leave = self.screen.leave();
        self.screen.queue().push(&leave, false);
        while !self.screen.queue().is_empty() {
            let write = self.tty.shown.write(self.screen.queue().pending());
            match tokio::time::timeout(LAST_WRITE, write).await {
                Ok(Ok(count @ 1..)) => {
                    self.screen.queue().take(count);
                }
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
