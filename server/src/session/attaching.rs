//! Attaching: who is let in, in whose place, and what a client is shown first.

use std::time::Instant;

use psess_protocol::capability::Capability;
use psess_protocol::hello::Hello;
use psess_protocol::identity::Generation;
use psess_protocol::message::{
    Attach, Attached, DetachReason, EndingManner, Failure, FailureKind, History, ReplayPurpose,
    ServerMessage,
};

use super::attachment::Attachment;
use super::scrollback::MAX_MISSED_LINES;
use super::{ConnectionId, Session};

impl Session {
    /// Attaches a connection. On success the caller sends what is returned, and then whatever
    /// `poll_transmit` has for this connection.
    ///
    /// # Errors
    /// `Superseded` when a later dial of this client was here already.
    pub fn attach(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        attach: &Attach,
    ) -> Result<(), Failure> {
        self.handling(|session| session.begin(now, connection, attach))
    }

    fn begin(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        attach: &Attach,
    ) -> Result<(), Failure> {
        self.supersede(now, attach)?;
        if !attach.read_only {
            self.first_client = None;
        }
        self.catch_up(now);
        if attach.detach_others {
            self.detach_all(|_| DetachReason::ByOther);
        }
        let mut attachment = Attachment::new(now, attach);
        let first_dial = attach.generation <= Generation(1);
        let columns = self.shadow.size().columns;
        if !attach.read_only && (first_dial || self.attachments.is_empty()) {
            self.size_owner = Some(connection);
            self.set_size(now, attach.size);
        }
        let log = &self.journal.log;
        // Output for a terminal that was wider would wrap, wrongly where it was drawn.
        let fits = attachment.size.columns >= columns;
        let same = attachment.size.same_cells(self.shadow.size());
        let position = attach.position.filter(|position| {
            let resumable = same && (fits || *position == log.end()) || self.set_aside;
            resumable && (log.start()..=log.end()).contains(position)
        });
        attachment.send(&ServerMessage::Attached(Attached {
            id: self.record.id,
            name: self.record.name.clone(),
            resumed: position.is_some(),
            input: self.journal.input_offset(attach.client),
            size: self.shadow.size(),
        }));
        match position {
            Some(position) => attachment.follow(position),
            None => self.show_first(&mut attachment, attach, first_dial),
        }
        self.attachments.insert(connection, attachment);
        self.lost = None;
        Ok(())
    }

    /// Shows an attachment that does not go on in the log what it asks for.
    fn show_first(&mut self, attachment: &mut Attachment, attach: &Attach, first_dial: bool) {
        if let Some(before) = attach.position {
            self.answer_unsent(attach.client, before);
        }
        let terminal = self.shadow.terminal();
        let lines = match (attach.position, attach.history) {
            (Some(position), _) => {
                attachment.in_scrollback = self.scrollback_at(position, attachment.size);
                return self.bring_forward(terminal, attachment, MAX_MISSED_LINES);
            }
            (None, History::Since { offset, taken_back }) => {
                let lines = self.fewest_lines_at(offset);
                attachment.in_scrollback = lines.saturating_sub(taken_back.into());
                return self.bring_forward(terminal, attachment, MAX_MISSED_LINES);
            }
            (None, History::None) => 0,
            (None, History::Lines(lines)) => terminal.history_lines().min(lines.into()),
            (None, History::All) => terminal.history_lines(),
        };
        let purpose = match first_dial {
            true => ReplayPurpose::Attach,
            false => ReplayPurpose::CatchUp { skipped_lines: 0 },
        };
        attachment.in_scrollback = self.scrolled_lines().saturating_sub(lines);
        self.show(terminal, attachment, lines, purpose);
    }

    /// A client that was attached said in its hello what it can do.
    pub fn handle_hello(&mut self, connection: ConnectionId, client: &Hello) {
        if let Some(attachment) = self.attachments.get_mut(connection) {
            attachment.capabilities = client.capabilities;
        }
    }

    /// Closes an older connection of the same client.
    pub(super) fn supersede(&mut self, now: Instant, attach: &Attach) -> Result<(), Failure> {
        let same = |attachment: &Attachment| attachment.client == attach.client;
        let older = self
            .attachments
            .iter()
            .find(|(_, attachment)| same(attachment))
            .map(|(connection, attachment)| (connection, attachment.generation));
        let generation = older
            .map(|(_, generation)| generation)
            .or_else(|| self.past_clients.generation(attach.client));
        if generation.is_some_and(|generation| generation >= attach.generation) {
            return Err(Failure {
                kind: FailureKind::Superseded,
                message: "a later connection of this client has taken over".to_owned(),
            });
        }
        if let Some((connection, _)) = older {
            if attach.position.is_none() {
                self.answer_skipped(connection);
            }
            if let Some(attachment) = self.attachments.remove(connection) {
                let manner = EndingManner::Replaced;
                self.past_clients.handle_ended(now, &attachment, manner);
            }
            self.closed.push(connection);
            if self.size_owner == Some(connection) {
                self.size_owner = None;
            }
        }
        self.past_clients
            .handle_attached(attach.client, attach.generation);
        Ok(())
    }

    pub(super) fn redraw(&mut self, now: Instant, connection: ConnectionId) {
        self.catch_up(now);
        self.answer_skipped(connection);
        self.with_attachment(connection, |session, attachment| {
            attachment.in_scrollback = match attachment.in_log() {
                // It has all, the beginning of a line included that the screen goes on with.
                Some(position) if position == session.journal.log.end() => session.scrolled_lines(),
                Some(_) | None => session.scrollback_of(attachment),
            };
            let terminal = session.shadow.terminal();
            session.bring_forward(terminal, attachment, MAX_MISSED_LINES);
        });
    }

    /// `psess detach`: sends every client away.
    pub fn handle_detach_all(&mut self) {
        self.detach_all(
            |attachment| match attachment.can(Capability::DetachCommand) {
                true => DetachReason::ByCommand,
                false => DetachReason::ByOther,
            },
        );
    }

    fn detach_all(&mut self, reason: impl Fn(&Attachment) -> DetachReason) {
        for attachment in self.attachments.values_mut() {
            let reason = reason(attachment);
            attachment.send_last(&ServerMessage::Detached(reason));
        }
    }

    /// A connection ended. Without a farewell the client's link was lost.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.end(now, connection, EndingManner::Closed);
    }

    pub(super) fn end(&mut self, now: Instant, connection: ConnectionId, manner: EndingManner) {
        self.answer_skipped(connection);
        if let Some(attachment) = self.attachments.remove(connection)
            && !attachment.is_closing()
        {
            self.past_clients.handle_ended(now, &attachment, manner);
            self.lost = Some(now);
            if let Some(arrived) = attachment.arrived() {
                self.hold(now, arrived);
            }
        }
        if self.size_owner == Some(connection) {
            self.size_owner = None;
        }
        self.trim(now);
    }
}
