//! Attaching: who is let in, in whose place, and what a client is shown first.

use std::ops::Range;
use std::time::Instant;

use psess_protocol::capability::Capability;
use psess_protocol::hello::Hello;
use psess_protocol::identity::Generation;
use psess_protocol::message::{
    Attach, Attached, DetachReason, EndingManner, Failure, FailureKind, History, ReplayPurpose,
    ServerMessage,
};
use psess_protocol::offset::Offset;
use psess_protocol::terminal::Terminal;

use super::attachment::Attachment;
use super::{ConnectionId, Session};
use crate::output_log::OutputLog;

/// Lines that a client which comes back is shown of what it missed, at most.
const MAX_MISSED_LINES: u64 = 10_000;

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
        if !attach.read_only && (first_dial || self.attachments.is_empty()) {
            self.size_owner = Some(connection);
            self.set_size(now, attach.size);
        }
        let log = &self.journal.log;
        let resumable = attach.size.same_cells(self.shadow.size()) || self.set_aside;
        let position = attach
            .position
            .filter(|position| resumable && (log.start()..=log.end()).contains(position));
        attachment.send(&ServerMessage::Attached(Attached {
            id: self.record.id,
            name: self.record.name.clone(),
            resumed: position.is_some(),
            input: self.journal.input_offset(attach.client),
            size: self.shadow.size(),
        }));
        match (position, attach.position) {
            (Some(position), _) => attachment.follow(position),
            (None, Some(before)) => {
                self.answer_unsent(attach.client, before);
                let terminal = self.shadow.terminal();
                self.bring_forward(terminal, &mut attachment, before, MAX_MISSED_LINES);
            }
            (None, None) => {
                let purpose = if first_dial {
                    ReplayPurpose::Attach
                } else {
                    ReplayPurpose::CatchUp { skipped_lines: 0 }
                };
                let terminal = self.shadow.terminal();
                self.show(terminal, &mut attachment, attach.history, purpose);
            }
        }
        self.attachments.insert(connection, attachment);
        self.lost = None;
        Ok(())
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

    /// Shows an attachment all there is, in the way that its size allows: what `terminal` shows.
    pub(super) fn show(
        &self,
        terminal: &Terminal,
        attachment: &mut Attachment,
        history: History,
        purpose: ReplayPurpose,
    ) {
        if attachment.size.same_cells(terminal.size()) || self.set_aside {
            attachment.send_replay(terminal, &self.journal.log, history, purpose);
        } else {
            attachment.send_view(terminal, purpose);
        }
    }

    /// Shows an attachment that saw everything before `position` what it missed: at most so many
    /// lines of history, and the screen, as `terminal` has them.
    pub(super) fn bring_forward(
        &self,
        terminal: &Terminal,
        attachment: &mut Attachment,
        position: Offset,
        lines: u64,
    ) {
        let missed = self.lines_since(position);
        let shown = missed.min(lines).min(terminal.history_lines());
        let history = History::Lines(u32::try_from(shown).unwrap_or(u32::MAX));
        let purpose = ReplayPurpose::CatchUp {
            skipped_lines: missed - shown,
        };
        self.show(terminal, attachment, history, purpose);
    }

    /// About how many lines scrolled off since `position`. The model passes no milestone in output
    /// that it skimmed, nor did it in the time of a server before: up to the next one the line feeds
    /// are counted, and in output that it was not fed yet up to the next mark.
    fn lines_since(&self, position: Offset) -> u64 {
        let log = &self.journal.log;
        let fed = self.shadow.position();
        let unfed = position.max(fed);
        let (mark, ended) = self.shadow.next_line_mark(unfed, log);
        let ended = ended + line_feeds(log, unfed..mark);
        if position >= fed {
            return ended;
        }
        let (_, scrolled) = self.shadow.counts();
        let next = self.milestones.next(position);
        let (milestone, then) = next.unwrap_or((fed, scrolled));
        scrolled.saturating_sub(then) + line_feeds(log, position..milestone) + ended
    }

    pub(super) fn redraw(&mut self, now: Instant, connection: ConnectionId) {
        self.catch_up(now);
        self.answer_skipped(connection);
        self.with_attachment(connection, |session, attachment| {
            let purpose = ReplayPurpose::CatchUp { skipped_lines: 0 };
            let terminal = session.shadow.terminal();
            session.show(terminal, attachment, History::None, purpose);
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

/// How many there are in a part of the log, as far as that has it still.
fn line_feeds(log: &OutputLog, part: Range<Offset>) -> u64 {
    let start = part.start.max(log.start());
    let length = part.end.bytes_since(start) as usize;
    let bytes = log.slice(start, length).unwrap_or_default();
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
