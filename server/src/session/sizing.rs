//! Sizing: the session's size follows the client that typed last.

use std::time::Instant;

use psess_protocol::size::Size;

use super::scrollback::MAX_MISSED_LINES;
use super::{ConnectionId, Session};

impl Session {
    /// The size that the pty must be given, once.
    pub fn poll_pty_size(&mut self) -> Option<Size> {
        self.pty_size.take()
    }

    pub(super) fn handle_resize(&mut self, now: Instant, connection: ConnectionId, size: Size) {
        self.note_scrollback(connection);
        let Some(attachment) = self.attachments.get_mut(connection) else {
            return;
        };
        attachment.handle_resize(size.clamped());
        let types = !attachment.read_only;
        let alone = self.attachments.len() == 1 && types;
        if self.size_owner == Some(connection) || alone {
            self.size_owner = Some(connection);
            self.handling(|session| session.set_size(now, size));
        }
        self.handling(|session| {
            session.catch_up(now);
            session.match_size(connection);
        });
    }

    /// The session takes the size of the client that typed last.
    pub(super) fn follow_size_of(&mut self, now: Instant, connection: ConnectionId) {
        if self.size_owner != Some(connection)
            && let Some(attachment) = self.attachments.get(connection)
        {
            let size = attachment.size;
            self.size_owner = Some(connection);
            self.set_size(now, size);
        }
    }

    pub(super) fn set_size(&mut self, now: Instant, size: Size) {
        let size = size.clamped();
        if self.shadow.size() == size {
            return;
        }
        self.catch_up(now);
        let connections: Vec<_> = self.attachments.connections().collect();
        for &connection in &connections {
            self.note_scrollback(connection);
        }
        self.milestones.mark(self.milestone());
        self.shadow.terminal_mut().resize(size);
        self.milestones.mark(self.milestone());
        self.record.size = size;
        self.pty_size = Some(size);
        self.active = now;
        // The log after a checkpoint is all of one size.
        self.write_checkpoint();
        connections
            .into_iter()
            .for_each(|connection| self.match_size(connection));
    }

    /// Shows a client the log or a picture, as its size demands after a change of either.
    pub(super) fn match_size(&mut self, connection: ConnectionId) {
        let Some(attachment) = self.attachments.get(connection) else {
            return;
        };
        let same = attachment.size.same_cells(self.shadow.size()) || self.set_aside;
        // A terminal that is resized with the session reflows by itself.
        if same && !attachment.is_view() {
            return;
        }
        self.answer_skipped(connection);
        self.with_attachment(connection, |session, attachment| {
            let terminal = session.shadow.terminal();
            session.bring_forward(terminal, attachment, MAX_MISSED_LINES);
        });
    }
}
