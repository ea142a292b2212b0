//! Input: what clients type, once and in order, to the program; and which of them may write it to the
//! pty past the server.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use psess_protocol::message::{Failure, FailureKind};
use psess_protocol::offset::InputOffset;
use psess_protocol::stop_keys;

use super::attachment::Attachment;
use super::{ConnectionId, SKIP_BYTES, Session, protocol_failure};

impl Session {
    /// An attached client typed `bytes` at `offset`. What was taken before is dropped; what is
    /// new goes to the program, and is reported by `InputWritten` when the pty took it.
    ///
    /// # Errors
    /// When bytes before `offset` are missing, or the program has far too much to read: the
    /// connection is to be closed; the client sends them again.
    pub fn handle_input(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        offset: InputOffset,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let Some(attachment) = self.attachments.get_mut(connection) else {
            return Ok(());
        };
        attachment.heartbeat.handle_received(now);
        if attachment.read_only {
            let end = offset.advanced_by(bytes.len());
            attachment.report_input(now, end);
            return Ok(());
        }
        let client = attachment.client;
        let taken = self.journal.input_offset(client);
        // What a program that has ended does not read is not taken, so gaps follow.
        let runs = self.record.outcome.is_none();
        if runs && offset > taken {
            return Err(protocol_failure("input that leaves a gap"));
        }
        let known = taken.bytes_since(offset) as usize;
        let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        if runs {
            self.journal
                .append_input(client, new)
                .map_err(|error| Failure {
                    kind: FailureKind::Limit,
                    message: format!("'{}' takes no input: {error}", self.record.name),
                })?;
        }
        attachment.touched = now;
        self.follow_size_of(now, connection);
        self.handle_typed(now, connection, || stop_keys::are_in(new));
        Ok(())
    }

    /// Whether keys of a client may reach the pty past us: they overtake no input, and come with the
    /// size of that client, whose terminal is the one that is asked. What is typed on another one
    /// first comes here.
    #[must_use]
    pub fn lets_keys_pass(&self, connection: ConnectionId) -> bool {
        let latest = self.attachments.values().map(|other| other.touched).max();
        let may_type = self.attachments.get(connection).is_some_and(|attachment| {
            let is_latest = Some(attachment.touched) == latest;
            is_latest && !attachment.read_only && !attachment.is_closing()
        });
        let is_heard = self.record.outcome.is_none() && !self.has_input();
        may_type && is_heard && self.size_owner == Some(connection)
    }

    /// The user of an attached client typed, maybe to stop the program, which got that or is about
    /// to.
    pub(super) fn handle_typed(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        stops: impl FnOnce() -> bool,
    ) {
        // Nearly always little is unsent, and then the keys do not matter.
        let skips = self.is_far_behind(connection) && stops();
        let Some(attachment) = self.attachments.get_mut(connection) else {
            return;
        };
        if !attachment.read_only {
            self.active = now;
            if skips {
                attachment.skip();
            }
        }
    }

    /// Whether so much is unsent that a key which stops the program skips it.
    pub(super) fn is_far_behind(&self, connection: ConnectionId) -> bool {
        let end = self.journal.log.end();
        self.position(connection)
            .is_some_and(|position| end.bytes_since(position) >= SKIP_BYTES)
    }

    /// Whether what is unsent to a connection is to be skipped now: much, and its user stopped the
    /// program, or the alternate screen was drawn over since.
    pub(super) fn is_to_skip(&self, connection: ConnectionId) -> bool {
        let stops_or_covers = |attachment: &Attachment| {
            let drawn_over = self.shadow.is_alternate() && attachment.credit.available() > 0;
            attachment.skips() || drawn_over
        };
        let attachment = self.attachments.get(connection);
        attachment.is_some_and(stops_or_covers) && self.is_far_behind(connection)
    }

    /// Whether output is to be skipped, for any client, at its next transmission.
    pub(crate) fn is_about_to_skip(&self) -> bool {
        self.attachments.values().any(Attachment::skips)
    }

    /// Brings a client forward to what the terminal shows now: the alternate screen is drawn over
    /// and over; after Ctrl-C in a flood the user wants to see what comes next; and the log may no
    /// longer have what the client is to be sent.
    pub(super) fn skip_ahead(&mut self, now: Instant, connection: ConnectionId) {
        let glance = self.shadow.glance(&self.journal.log);
        if glance.is_none() && self.shadow.screen().is_none() {
            self.catch_up(now);
        }
        self.answer_skipped(connection);
        self.with_attachment(connection, |session, attachment| {
            attachment.in_scrollback = match session.shadow.is_alternate() {
                true => session.scrolled_lines(),
                false => session.scrollback_of(attachment),
            };
            let terminal = glance.as_ref().or(session.shadow.screen());
            let terminal = terminal.expect("the model has caught up where there was neither");
            session.bring_forward(terminal, attachment, 0);
        });
    }

    /// Whether input waits for the program.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.journal.input.is_empty()
    }

    /// Hands input to the program, as much as the pty takes, and reports it to the clients.
    ///
    /// # Errors
    /// `WouldBlock` while the program does not read; others when the pty is gone.
    pub fn deliver_input(&mut self, now: Instant, pty: BorrowedFd<'_>) -> io::Result<()> {
        let result = self.journal.deliver_input(pty);
        self.report_input(now);
        result
    }

    /// Takes all input, as a program would read it. For simulations.
    ///
    /// # Errors
    /// As `Journal::take_input`.
    pub fn take_input(&mut self, now: Instant) -> io::Result<Vec<u8>> {
        let input = self.journal.take_input();
        self.report_input(now);
        input
    }

    pub(super) fn report_input(&mut self, now: Instant) {
        while let Some((client, offset)) = self.journal.input.next_delivered() {
            let mut attachments = self.attachments.values_mut();
            if let Some(attachment) = attachments.find(|attachment| attachment.client == client) {
                attachment.report_input(now, offset);
            }
        }
    }
}
