//! What the scrollbacks of clients' terminals have, and what they are sent of the history.
//!
//! Lines are counted as the terminal model counts those that scrolled off. Where it is not known
//! exactly how many a terminal has, a line is rather sent twice than left out.

use std::ops::Range;

use psess_protocol::message::{History, ReplayPurpose};
use psess_protocol::offset::Offset;
use psess_protocol::size::Size;
use psess_protocol::terminal::Terminal;

use super::attachment::Attachment;
use super::milestone::Milestone;
use super::{ConnectionId, Session};
use crate::output_log::OutputLog;

/// Lines that a client is sent of what it missed, at most.
pub(super) const MAX_MISSED_LINES: u64 = 10_000;

impl Session {
    /// Shows an attachment what `terminal` shows, in the way that its size allows: so many lines of
    /// history and the screen, or, until its size is the session's, a picture.
    pub(super) fn show(
        &self,
        terminal: &Terminal,
        attachment: &mut Attachment,
        lines: u64,
        purpose: ReplayPurpose,
    ) {
        if self.fits(terminal, attachment) {
            let history = History::Lines(u32::try_from(lines).unwrap_or(u32::MAX));
            attachment.send_replay(terminal, &self.journal.log, history, purpose);
        } else {
            attachment.send_view(terminal, purpose);
        }
    }

    /// Shows an attachment what scrolled off since what its scrollback has, at most so many lines of
    /// it, and the screen, as `terminal` has them. What is left out of a picture comes later.
    pub(super) fn bring_forward(
        &self,
        terminal: &Terminal,
        attachment: &mut Attachment,
        most: u64,
    ) {
        let cleared = self.shadow.cleared_lines();
        let seen = attachment.in_scrollback.max(cleared);
        let missed = match self.fits(terminal, attachment) {
            true => self.scrolled_lines().saturating_sub(seen),
            false => 0,
        };
        let shown = missed.min(most).min(terminal.history_lines());
        let skipped_lines = missed - shown;
        attachment.in_scrollback = seen + skipped_lines;
        let purpose = ReplayPurpose::CatchUp { skipped_lines };
        self.show(terminal, attachment, shown, purpose);
    }

    /// Whether an attachment is sent what it is sent for a terminal of its own size.
    fn fits(&self, terminal: &Terminal, attachment: &Attachment) -> bool {
        attachment.size.same_cells(terminal.size()) || self.set_aside
    }

    /// Notes what the scrollback of a client has that may be shown something else than the log.
    pub(super) fn note_scrollback(&mut self, connection: ConnectionId) {
        self.with_attachment(connection, |session, attachment| {
            attachment.in_scrollback = session.scrollback_of(attachment);
        });
    }

    /// How many lines an attachment's scrollback has.
    pub(super) fn scrollback_of(&self, attachment: &Attachment) -> u64 {
        let Some(position) = attachment.in_log() else {
            return attachment.in_scrollback;
        };
        let fed = self.shadow.position();
        if position < fed {
            return self.scrollback_at(position, attachment.size);
        }
        let all = self.shadow.whole_scrolled_lines() + self.unfed_lines(fed);
        all.saturating_sub(self.unfed_lines(position))
    }

    /// How many lines have scrolled off.
    pub(super) fn scrolled_lines(&self) -> u64 {
        self.shadow.scrolled_lines() + self.unfed_lines(self.shadow.position())
    }

    /// About how many whole lines are in the scrollback of a terminal of this size that shows what
    /// the output before `position` left, rather too few than too many.
    pub(super) fn scrollback_at(&self, position: Offset, size: Size) -> u64 {
        let next = self.milestones.next(position, Some(size));
        let next = next.unwrap_or_else(|| self.milestone());
        let lines = self.lines_at(position, next);
        // Where the sizes differ it was resized since.
        let taken_back = next.size.rows_taken_back(size);
        lines.saturating_sub(taken_back.into())
    }

    /// The same of a terminal that was resized since, in a way of which the caller knows, and of which
    /// it is not known what size it had.
    pub(super) fn fewest_lines_at(&self, position: Offset) -> u64 {
        let next = self.milestones.next(position, None);
        self.lines_at(position, next.unwrap_or_else(|| self.milestone()))
    }

    /// About how many whole lines had scrolled off at `position`, where `next` is the first milestone
    /// behind it; rather too few than too many. The model passes no milestone in output that it
    /// skimmed, nor did it in the time of a server before: the line feeds are counted.
    fn lines_at(&self, position: Offset, next: Milestone) -> u64 {
        let log = &self.journal.log;
        let line_feeds = line_feeds(log, position..next.offset);
        let fewest = next.lines.saturating_sub(line_feeds);
        match self.milestones.lines_before(position) {
            Some(before) if position < log.start() => before,
            Some(before) => fewest.max(before.min(next.lines)),
            // How many ended before the log's start is not known, and more than that is never sent.
            None if position < log.start() => fewest.saturating_sub(MAX_MISSED_LINES),
            None => fewest,
        }
    }

    /// How many lines end behind `position` in output that the model was not fed yet.
    fn unfed_lines(&self, position: Offset) -> u64 {
        let log = &self.journal.log;
        let (mark, ended) = self.shadow.next_line_mark(position, log);
        ended + line_feeds(log, position..mark)
    }
}

/// How many there are in a part of the log, as far as that has it still.
fn line_feeds(log: &OutputLog, part: Range<Offset>) -> u64 {
    let start = part.start.max(log.start());
    let length = part.end.bytes_since(start) as usize;
    let bytes = log.slice(start, length).unwrap_or_default();
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
