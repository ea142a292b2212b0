//! Output: from the pty into the log, through the terminal model, and into the journal.

use std::time::{Duration, Instant};

use psess_protocol::identity::ClientId;
use psess_protocol::message::History;
use psess_protocol::offset::Offset;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

use super::attachment::Attachment;
use super::draft::Draft;
use super::milestone::Milestone;
use super::shadow::{Next, Shadow};
use super::{ConnectionId, Session};
use crate::input_queue::NO_CLIENT;
use crate::journal::{Handling, MAX_CHECKPOINT_BYTES};
use crate::keeper::Predecessor;

/// Output that is kept though nobody needs it, for clients that come back after a short loss. Once
/// there is no more to come it is known who may come back.
const KEEP_BYTES: u64 = 4 << 20;

/// A log that is shorter need not be replaced by a checkpoint once it is whole.
const SHORT: u64 = 64 << 10;

/// How long output is kept for a client whose link, or whose server, died: as far as the log has
/// room.
const HOLD: Duration = Duration::from_secs(60);

/// A checkpoint is written after so much output.
const CHECKPOINT_EVERY: u64 = 4 << 20;

/// Servers that may die of a session before its output is no longer looked at.
const MAX_DEATHS: u32 = 3;

/// A session that does no harm for so long is trusted again.
const PROBATION: Duration = Duration::from_secs(60);

impl Session {
    /// A place for the next read from the pty; `handle_output` says how much came.
    pub fn output_buffer(&mut self) -> &mut [u8] {
        self.journal.log_spare()
    }

    /// The program printed `bytes`, into `output_buffer`.
    pub fn handle_output(&mut self, now: Instant, bytes: usize) {
        let position = self.journal.log.end();
        self.journal.commit_output(bytes);
        self.active = now;
        self.handling(|session| session.shadow_output(now, position));
        self.forgive(now);
        self.attachments
            .values_mut()
            .for_each(|attachment| attachment.handle_change(now));
    }

    /// Looks at output from `position` on: feeds the terminal, if that cannot wait.
    fn shadow_output(&mut self, now: Instant, position: Offset) {
        let log = &self.journal.log;
        if self.set_aside {
            self.shadow.pass(log);
            return;
        }
        let bytes = log.slice(position, usize::MAX).expect("just committed");
        match self.shadow.handle_output(now, bytes, log) {
            Next::Wait => {}
            Next::Skim if self.shadow.skim(log) => {
                self.pass_milestone();
                self.write_checkpoint();
            }
            Next::Feed | Next::Skim => self.catch_up(now),
        }
    }

    /// Feeds the terminal what is due, packs some of its history, and forgets output that nobody
    /// needs any more: to be called when the clients have been sent what came.
    pub fn settle(&mut self, now: Instant) {
        if self.shadow.due().is_some_and(|due| due <= now) {
            self.handling(|session| session.catch_up(now));
        }
        if self.shadow.pack_due().is_some_and(|due| due <= now) {
            self.handling(|session| session.shadow.pack(now));
        }
        self.trim(now);
        self.tidying.observe(now, &self.journal.log);
        if self.tidy_due().is_some_and(|due| due <= now) {
            self.journal.tidy_log();
        }
    }

    /// When the log is to be tidied.
    pub(super) fn tidy_due(&self) -> Option<Instant> {
        self.tidying.due(&self.journal.log)
    }

    /// Whether the heap has free memory in its middle that may be worth giving back.
    #[must_use]
    pub fn poll_freed(&mut self) -> bool {
        self.shadow.take_freed()
    }

    /// Feeds the terminal all output there is: before it is looked at, or changed.
    pub(super) fn catch_up(&mut self, now: Instant) {
        if !self.shadow.is_behind() {
            return;
        }
        let position = self.shadow.position();
        let fed = self.shadow.fed_bytes();
        self.shadow.catch_up(&self.journal.log);
        self.pass_milestone();
        for query in self.shadow.terminal_mut().take_queries() {
            // The model counts what it was fed, the log what was printed.
            let at = |place: u64| Offset(position.0.wrapping_add(place.wrapping_sub(fed)));
            let range = at(query.range.start)..at(query.range.end);
            let answerer = self.answerer(now, range.start);
            if answerer.is_none() {
                self.type_answer(&query.answer);
            }
            self.questions.push(range, answerer, query.answer);
        }
        self.bring_checkpoint_forward();
    }

    /// Writes a checkpoint, where the last one is long ago. In a flood that is a draft of half the
    /// way since: a history of 10,000 lines takes milliseconds to write, and all others wait.
    fn bring_checkpoint_forward(&mut self) {
        let position = self.shadow.position();
        let since = position.bytes_since(self.journal.checkpoint_offset());
        if since < CHECKPOINT_EVERY / 2 {
            return;
        }
        if since >= CHECKPOINT_EVERY {
            let draft = self.draft.take();
            match draft.filter(|draft| draft.is_enough_for(self.shadow.terminal())) {
                Some(draft) => self.store_checkpoint(draft.position, draft.size, &draft.replay),
                None => return self.write_checkpoint(),
            }
        }
        if self.draft.is_none() {
            self.draft = Draft::new(position, self.shadow.terminal());
        }
    }

    fn pass_milestone(&mut self) {
        self.milestones.pass(self.milestone());
    }

    /// Where the model is.
    pub(super) fn milestone(&self) -> Milestone {
        Milestone {
            offset: self.shadow.position(),
            size: self.shadow.size(),
            lines: self.shadow.whole_scrolled_lines(),
        }
    }

    /// Whether a client is to be sent what only the terminal model knows.
    pub(super) fn needs_model(&self, now: Instant, connection: ConnectionId) -> bool {
        let attachment = self.attachments.get(connection);
        attachment.is_some_and(|attachment| attachment.is_about_to_draw(now))
    }

    /// Whose terminal answers a query at `position`: that of the client touched last, of those
    /// whose terminal will get it.
    pub(super) fn answerer(&self, now: Instant, position: Offset) -> Option<ClientId> {
        self.attachments
            .values()
            .filter(|attachment| !attachment.read_only && !attachment.is_closing())
            .filter(|attachment| !attachment.is_suspect(now))
            .filter(|attachment| attachment.position().is_some_and(|at| at <= position))
            .max_by_key(|attachment| attachment.touched)
            .map(|attachment| attachment.client)
    }

    /// What a client's terminal was to answer behind `position`, and that client will not be sent
    /// any more, the model answers.
    pub(super) fn answer_unsent(&mut self, client: ClientId, position: Offset) {
        for answer in self.questions.take_back(client, position) {
            self.type_answer(&answer);
        }
    }

    /// The same for a client that goes on elsewhere than where it is.
    pub(super) fn answer_skipped(&mut self, connection: ConnectionId) {
        let attachment = self.attachments.get(connection);
        let whence = attachment.and_then(|client| Some((client.client, client.position()?)));
        if let Some((client, position)) = whence {
            self.answer_unsent(client, position);
        }
    }

    pub(super) fn type_answer(&mut self, answer: &[u8]) {
        // An answer for which there is no room is one that the program does not read anyway.
        let _ = self.journal.append_input(NO_CLIENT, answer);
    }

    /// Keeps no more bytes of history from now on: its part of what all sessions may keep. The
    /// oldest lines go, also from the journal.
    pub fn set_history_share(&mut self, bytes: usize) {
        self.handling(|session| {
            if session.shadow.set_history_share(bytes) {
                session.write_checkpoint();
            }
        });
    }

    /// About how much memory the history takes, in bytes.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        self.shadow.history_bytes()
    }

    pub(super) fn write_checkpoint(&mut self) {
        self.draft = None;
        if let Some(replay) = self.checkpoint_replay() {
            self.store_checkpoint(self.shadow.position(), self.shadow.size(), &replay);
        }
    }

    fn checkpoint_replay(&self) -> Option<Vec<u8>> {
        let (terminal, is_hollow) = self.shadow.as_it_is();
        if is_hollow {
            fitting(terminal.replay(History::None))
        } else {
            fitting_replay(terminal)
        }
    }

    fn store_checkpoint(&mut self, position: Offset, size: Size, replay: &[u8]) {
        // Without memory for a new one, the old one stays, and the log after it is longer.
        let _ = self.journal.write_checkpoint(position, size, replay);
    }

    /// All output is there: a checkpoint takes the log's place, where that is smaller.
    pub(super) fn conclude(&mut self, now: Instant) {
        self.catch_up(now);
        let Offset(end) = self.journal.log.end();
        let Offset(checkpoint) = self.journal.checkpoint_offset();
        let after_checkpoint = end - checkpoint.max(self.journal.log.start().0);
        if after_checkpoint >= SHORT
            && !self.set_aside
            && let Some(replay) = self.checkpoint_replay()
            && (replay.len() as u64) < after_checkpoint
        {
            self.store_checkpoint(self.shadow.position(), self.shadow.size(), &replay);
        }
        self.trim(now);
    }

    /// Keeps output from `offset` on for a client that may come back.
    pub(super) fn hold(&mut self, now: Instant, offset: Offset) {
        let held = self.held.map_or(offset, |(held, _)| held.min(offset));
        self.held = Some((held, now + HOLD));
    }

    /// When what is held is let go: the program need not print any more for that.
    pub(super) fn poll_release(&self) -> Option<Instant> {
        let (_, until) = self.held?;
        self.keeps_more_than_usual().then_some(until)
    }

    /// Forgets output that nobody needs any more.
    pub(super) fn trim(&mut self, now: Instant) {
        self.held = self.held.filter(|(_, until)| now < *until);
        if !self.keeps_more_than_usual() {
            return;
        }
        let log = &self.journal.log;
        let (start, end) = (log.start(), log.end());
        let needed = self
            .attachments
            .values()
            .filter_map(Attachment::arrived)
            .chain(self.held.map(|(offset, _)| offset))
            .chain([self.journal.checkpoint_offset(), self.shadow.position()]);
        let needed = match self.outcome() {
            None => needed
                .chain([Offset(end.0.saturating_sub(KEEP_BYTES))])
                .min(),
            Some(_) => {
                // Who is further behind cannot go on from there anyway.
                let awaited = self.past_clients.awaited_from();
                let awaited = awaited.filter(|from| *from >= start);
                let inherited = self.inherited.map(|from| from.max(start));
                needed.chain(awaited).chain(inherited).min()
            }
        };
        match needed {
            Some(needed) if needed < end => self.journal.trim_log(needed),
            Some(_) | None if start < end => self.journal.clear_log(),
            Some(_) | None => {}
        }
        self.questions.trim(self.journal.log.start());
    }

    fn keeps_more_than_usual(&self) -> bool {
        let log = &self.journal.log;
        let usual = match self.outcome() {
            None => KEEP_BYTES,
            Some(_) => 0,
        };
        log.end().bytes_since(log.start()) > usual
    }

    /// Recreates the terminal: the last checkpoint, and the log after it.
    pub(super) fn recover(&mut self, limits: Limits, predecessor: Predecessor) {
        let deaths = self.journal.count_death(predecessor);
        self.set_aside = deaths >= MAX_DEATHS;
        self.on_probation = deaths > 0;
        if !self.journal.is_new() {
            // Whoever was attached may be anywhere in the log.
            let start = self.journal.log.start();
            self.hold(self.recovered, start);
            self.inherited = Some(start);
        }
        let end = self.journal.log.end();
        let checkpoint = self.journal.read_checkpoint();
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.offset <= end);
        let mut position = self.journal.log.start();
        if let Some(checkpoint) = &checkpoint {
            self.record.size = checkpoint.size;
            // The server before this one may not have come to it.
            self.pty_size = Some(checkpoint.size);
            position = position.max(checkpoint.offset);
        }
        let mut terminal = Terminal::new(self.record.size, limits);
        if self.set_aside {
            self.shadow = Shadow::new(self.recovered, terminal, end);
            return;
        }
        self.journal.set_handling(Handling::Recovering);
        if let Some(checkpoint) = checkpoint {
            terminal.feed(&checkpoint.replay);
        }
        while let Some(bytes) = self.journal.log.slice(position, 64 << 10)
            && !bytes.is_empty()
        {
            terminal.feed(bytes);
            position = position.advanced_by(bytes.len());
        }
        // What was asked before was answered before, or its asker has given up.
        terminal.take_queries();
        self.shadow = Shadow::new(self.recovered, terminal, position);
        // What fitted into the budget before does so now.
        self.shadow.pack_all(self.recovered);
        self.journal.set_handling(Handling::Idle);
        self.journal.forgive_failed_recoveries();
    }

    /// Does something with the session; a server that dies of it is counted.
    pub(super) fn handling<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.journal.set_handling(Handling::Working);
        let result = work(self);
        self.journal.set_handling(Handling::Idle);
        result
    }

    /// A session that was handled for a while without harm did not kill anybody.
    fn forgive(&mut self, now: Instant) {
        if self.on_probation && now.saturating_duration_since(self.recovered) > PROBATION {
            self.on_probation = false;
            self.journal.forgive_deaths();
        }
    }
}

/// A replay that the journal has room for, with as many of the newest lines as that allows.
fn fitting_replay(terminal: &Terminal) -> Option<Vec<u8>> {
    let whole = terminal.replay(History::All);
    let bytes = whole.len() as u64;
    fitting(whole).or_else(|| {
        // Lines differ in length: those at the end may be longer than most.
        let lines = terminal.history_lines() * MAX_CHECKPOINT_BYTES as u64 / bytes;
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        [lines - lines / 8, lines / 4, 0]
            .into_iter()
            .find_map(|lines| fitting(terminal.replay(History::Lines(lines))))
    })
}

fn fitting(replay: Vec<u8>) -> Option<Vec<u8>> {
    (replay.len() <= MAX_CHECKPOINT_BYTES).then_some(replay)
}
