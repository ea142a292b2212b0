//! The client that started the session, until it attaches. What the program prints first waits for it,
//! so that its terminal answers what the program asks as its first act.

use std::time::{Duration, Instant};

use super::{ConnectionId, Session};

/// How long the output waits. Programs wait about as long for an answer, and take a later one for
/// keys.
const PATIENCE: Duration = Duration::from_secs(1);

/// The connection that started the session, and how long that is waited for.
#[derive(Debug)]
pub(super) struct FirstClient {
    connection: ConnectionId,
    until: Instant,
}

impl Session {
    /// The program was just started on behalf of a connection, which is about to attach: until it
    /// does, or another that may type, or it ends, or takes too long, no output is to be read.
    pub fn wait_for_first_client(&mut self, now: Instant, connection: ConnectionId) {
        self.first_client = Some(FirstClient {
            connection,
            until: now + PATIENCE,
        });
    }

    /// Whether output is to be read from the pty.
    #[must_use]
    pub fn reads_output(&self) -> bool {
        self.first_client.is_none()
    }

    /// When output is read at the latest, where it waits.
    pub(super) fn first_client_due(&self) -> Option<Instant> {
        let first = self.first_client.as_ref()?;
        Some(first.until)
    }

    /// Waits no longer for one that does not come.
    pub(super) fn give_up_first_client(&mut self, now: Instant) {
        self.first_client.take_if(|first| first.until <= now);
    }

    /// A connection ended, started another session, or attached to whichever it did.
    pub fn handle_left(&mut self, connection: ConnectionId) {
        self.first_client
            .take_if(|first| first.connection == connection);
    }
}
