//! Output that is written straight to terminals that clients lent, past the clients.

use std::io;
use std::os::fd::OwnedFd;

use psess_protocol::lending::Ring;
use psess_protocol::offset::Offset;

use super::attachment::Direct;
use super::{ConnectionId, Session};

impl Session {
    /// The log's file for a terminal that a connection lends, opened anew, and where its ring lies
    /// in it.
    ///
    /// # Errors
    /// As `Journal::open_log`.
    pub(crate) fn open_log(&self) -> io::Result<(OwnedFd, Ring)> {
        self.journal.open_log()
    }

    /// Whether a connection's terminal is lent to us.
    pub(crate) fn set_lent(&mut self, connection: ConnectionId, is_lent: bool) {
        if let Some(attachment) = self.attachments.get_mut(&connection) {
            attachment.set_lent(is_lent);
        }
    }

    /// What is to be written straight to a connection's terminal: from where on in the log, and
    /// how many bytes. `poll_transmit` sends it no output meanwhile.
    pub(crate) fn poll_direct(&self, connection: ConnectionId) -> Option<(Offset, usize)> {
        let log = &self.journal.log;
        let attachment = self.attachments.get(&connection)?;
        match attachment.direct(log, &self.shadow) {
            Direct::Now(position, bytes) => Some((position, bytes)),
            Direct::Later | Direct::No => None,
        }
    }

    /// So many bytes of that were written.
    pub(crate) fn handle_direct(&mut self, connection: ConnectionId, bytes: usize) {
        if let Some(attachment) = self.attachments.get_mut(&connection) {
            attachment.handle_direct(bytes);
        }
    }
}
