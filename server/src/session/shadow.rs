//! The terminal model that shadows the output, and how far behind the log it is.
//!
//! Plain output of a burst is not looked at before somebody needs the model, or the burst is over:
//! most of a flood then leaves no trace, and is skimmed. All other output may ask something, and who
//! answers must be known before it is sent: it is fed at once, after a lot of plain output only to
//! a copy of the screen, as the model with its history would take milliseconds.

use std::ops::Range;
use std::time::{Duration, Instant};

use psess_protocol::offset::Offset;
use psess_protocol::size::Size;
use psess_protocol::terminal::{PlainScan, Terminal};

use super::line_marks::LineMarks;
use super::packing::Packing;
use super::plain_runs::PlainRuns;
use crate::output_log::OutputLog;

/// Output that comes so soon after other is part of a burst.
const BURST: Duration = Duration::from_millis(1);

/// A burst is over when nothing came for so long.
const REST: Duration = Duration::from_millis(10);

/// Who is behind by so much is in a burst, even where the machine has others to run in between.
const MUCH: u64 = 64 << 10;

/// So much output is fed to a copy of the screen before the model is fed as well: more than follows
/// a flood, as a prompt, before there is time for that.
const MOST_AHEAD: u64 = 8 << 10;

/// The model falls behind by no more than this. It is what the log keeps anyway.
const MOST_BEHIND: u64 = 4 << 20;

/// So much of a flood is skimmed at once: others wait meanwhile, some 0.1 ms.
const SKIMMED_AT_ONCE: u64 = 512 << 10;

/// Where less than this can be skimmed, feeding all there is makes room for longer.
const LEAST_SKIMMED: usize = 256 << 10;

/// A terminal model that follows a log.
#[derive(Debug)]
pub(super) struct Shadow {
    terminal: Terminal,
    /// The terminal was fed the log up to here.
    position: Offset,
    is_behind: bool,
    /// Something was skimmed: what the terminal shows is nonsense until it is fed the rest.
    is_hollow: bool,
    /// Where what the terminal is behind by is not all plain: what it will show.
    ahead: Option<Box<Ahead>>,
    scan: PlainScan,
    plain: PlainRuns,
    /// The ends of lines in what it is behind by, as far as that is plain.
    lines: LineMarks,
    /// Behind this there is no control sequence in that.
    colored: Offset,
    last_output: Option<Instant>,
    /// When it is fed what it is behind by, unless it is needed before.
    due: Option<Instant>,
    packing: Packing,
}

/// What a terminal shows that was fed all of the log, without the history.
#[derive(Debug)]
struct Ahead {
    terminal: Terminal,
    /// Up to here what the model is behind by is plain.
    from: Offset,
}

/// What is to be done about output that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing yet.
    Wait,
    /// The terminal is to be fed.
    Feed,
    /// The terminal is far behind.
    Skim,
}

impl Shadow {
    /// A terminal that was fed everything before `position`.
    pub(super) fn new(now: Instant, terminal: Terminal, position: Offset) -> Self {
        Self {
            terminal,
            position,
            is_behind: false,
            is_hollow: false,
            ahead: None,
            scan: PlainScan::default(),
            plain: PlainRuns::new(position),
            lines: LineMarks::new(position),
            colored: position,
            last_output: None,
            due: None,
            packing: Packing::new(now),
        }
    }

    /// `bytes` came at the end of the log.
    pub(super) fn handle_output(&mut self, now: Instant, bytes: &[u8], log: &OutputLog) -> Next {
        let is_burst = self
            .last_output
            .replace(now)
            .is_some_and(|last| now.saturating_duration_since(last) < BURST);
        let until = self.plain_until(Offset(log.end().0 - bytes.len() as u64));
        if !self.is_behind {
            self.scan = PlainScan::default();
        }
        if self.scan.begun_bytes() > 0 || memchr::memchr(0x1b, bytes).is_some() {
            self.colored = log.end();
        }
        let between = self.is_behind || self.terminal.is_at_ground();
        self.is_behind = true;
        if self.ahead.is_some() || !between || !self.scan.is_plain(bytes) {
            self.plain.end(until, log.end());
            self.scan = PlainScan::default();
            return self.look_ahead(now, bytes, log);
        }
        self.lines.add(bytes, log.end());
        let behind = log.end().bytes_since(self.position);
        let is_burst = is_burst || behind >= MUCH;
        self.due = Some(if is_burst { now + REST } else { now });
        if behind < MOST_BEHIND {
            return Next::Wait;
        }
        Next::Skim
    }

    /// `bytes` came at the end of the log, and are not plain.
    #[inline(never)] // A terminal is large, and where all is plain the stack has no room for it.
    fn look_ahead(&mut self, now: Instant, bytes: &[u8], log: &OutputLog) -> Next {
        if self.ahead.is_none() && bytes.len() as u64 <= MOST_AHEAD {
            let from = Offset(log.end().0 - bytes.len() as u64);
            let plain = from.bytes_since(self.position);
            if plain >= MUCH {
                let terminal = self.glance_over(plain as usize, log);
                self.ahead = terminal.map(|terminal| Box::new(Ahead { terminal, from }));
            }
        }
        let Some(ahead) = &mut self.ahead else {
            return Next::Feed;
        };
        ahead.terminal.feed(bytes);
        let asks = !ahead.terminal.take_queries().is_empty();
        if asks || log.end().bytes_since(ahead.from) > MOST_AHEAD {
            return Next::Feed;
        }
        self.due = Some(now + REST);
        Next::Wait
    }

    /// Output came that is not to be looked at.
    pub(super) fn pass(&mut self, log: &OutputLog) {
        self.position = log.end();
        self.plain = PlainRuns::new(log.end());
    }

    /// The run of plain output that goes on at `position`, up to where that is certain: a sequence
    /// may have begun at the log's end that is not whole yet.
    pub(super) fn plain_run(&self, position: Offset, log: &OutputLog) -> Option<Range<Offset>> {
        self.plain.at(position, self.plain_until(log.end()))
    }

    /// The log is whole: nothing in it waits for what comes next.
    pub(super) fn handle_end(&mut self, log: &OutputLog) {
        self.plain.end(self.plain_until(log.end()), log.end());
        self.scan = PlainScan::default();
    }

    /// Up to where output that ends at `end`, and of which all was found plain, is.
    fn plain_until(&self, end: Offset) -> Offset {
        Offset(end.0 - self.scan.begun_bytes() as u64)
    }

    /// When the terminal is to be fed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the log has output that the terminal was not fed.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Feeds the terminal what it is behind by.
    pub(super) fn catch_up(&mut self, log: &OutputLog) {
        self.skim_until(log.end(), log);
        self.terminal.feed(behind(self.position, log));
        self.position = log.end();
        self.lines = LineMarks::new(self.position);
        self.is_behind = false;
        self.is_hollow = false;
        self.ahead = None;
        self.due = None;
    }

    /// A terminal that shows what this one would if it had caught up, without the history: at once,
    /// where this one takes milliseconds. `None` where `screen` is that, or it cannot be had.
    pub(super) fn glance(&self, log: &OutputLog) -> Option<Terminal> {
        match self.screen() {
            Some(_) => None,
            None => self.glance_over(usize::MAX, log),
        }
    }

    /// The same of the next `length` bytes of what the terminal is behind by, which are plain.
    fn glance_over(&self, length: usize, log: &OutputLog) -> Option<Terminal> {
        let bytes = behind(self.position, log);
        let bytes = &bytes[..length.min(bytes.len())];
        let colored = self.colored.bytes_since(self.position) as usize;
        self.terminal.glance(bytes, colored.min(bytes.len()))
    }

    /// A terminal that shows what the log ends with, if there is one; it may lack the history.
    pub(super) fn screen(&self) -> Option<&Terminal> {
        match self.is_behind {
            true => self.ahead.as_ref().map(|ahead| &ahead.terminal),
            false => Some(&self.terminal),
        }
    }

    /// A mark behind `position` in what the terminal was not fed, and how many lines ended between
    /// that and the log's end; at the latest there.
    pub(super) fn next_line_mark(&self, position: Offset, log: &OutputLog) -> (Offset, u64) {
        let next = self.lines.next(position);
        next.map_or((log.end(), 0), |(mark, lines)| (mark, lines as u64))
    }

    /// Brings the terminal forward over some of what leaves no trace; whether that was worth it.
    pub(super) fn skim(&mut self, log: &OutputLog) -> bool {
        let limit = Offset(self.position.0 + SKIMMED_AT_ONCE);
        self.skim_until(limit, log) >= LEAST_SKIMMED
    }

    /// Brings the terminal forward over what leaves no trace, up to `limit` at most.
    fn skim_until(&mut self, limit: Offset, log: &OutputLog) -> usize {
        let lines_kept = self.terminal.lines_kept();
        let Some((until, lines_after)) = self.lines.last_before(lines_kept, limit) else {
            return 0;
        };
        let length = until.bytes_since(self.position) as usize;
        let bytes = &behind(self.position, log)[..length];
        let skimmed = self.terminal.skim(bytes, lines_after);
        self.position = self.position.advanced_by(skimmed);
        self.lines.forget_before(self.position);
        self.is_hollow |= skimmed > 0;
        skimmed
    }

    /// The terminal, for which the caller has caught up.
    pub(super) fn terminal(&self) -> &Terminal {
        debug_assert!(!self.is_behind, "the terminal is needed, and was not fed");
        &self.terminal
    }

    /// The same, for changes.
    pub(super) fn terminal_mut(&mut self) -> &mut Terminal {
        debug_assert!(!self.is_behind, "the terminal is changed, and was not fed");
        &mut self.terminal
    }

    /// Up to where the terminal was fed.
    pub(super) fn position(&self) -> Offset {
        self.position
    }

    /// The terminal as it is, for a checkpoint at `position`; and whether it shows nonsense that
    /// the log after it will scroll away.
    pub(super) fn as_it_is(&self) -> (&Terminal, bool) {
        (&self.terminal, self.is_hollow)
    }

    /// Its size, which output does not change.
    pub(super) fn size(&self) -> Size {
        self.terminal.size()
    }

    /// The title, which plain output does not change.
    pub(super) fn title(&self) -> &str {
        self.screen().unwrap_or(&self.terminal).title()
    }

    /// Whether the alternate screen shows, which plain output does not change.
    pub(super) fn is_alternate(&self) -> bool {
        self.screen().unwrap_or(&self.terminal).is_alternate()
    }

    /// About how much memory the history takes, in bytes.
    pub(super) fn history_bytes(&self) -> usize {
        self.terminal.history_bytes()
    }

    /// Has the history take no more than that from now on; whether lines were dropped for it.
    /// Where the terminal is behind, that holds for what it is fed later too.
    pub(super) fn set_history_share(&mut self, bytes: usize) -> bool {
        let before = self.terminal.history_bytes();
        let dropped = self.terminal.set_history_share(bytes);
        self.packing.count(before, &self.terminal);
        dropped
    }

    /// When to pack some of the history.
    pub(super) fn pack_due(&self) -> Option<Instant> {
        // The rest of what was skimmed pushes all of it out.
        let can_pack = self.terminal.can_pack() && !self.is_hollow;
        let rest = self.last_output.map(|last| last + REST);
        can_pack.then(|| self.packing.due(rest))
    }

    /// Packs some of the history.
    pub(super) fn pack(&mut self, now: Instant) {
        self.packing.pack(now, &mut self.terminal);
    }

    /// The same with all of it.
    pub(super) fn pack_all(&mut self, now: Instant) {
        while self.terminal.can_pack() {
            self.pack(now);
        }
    }

    /// Whether packing is over and much was freed; that is forgotten then.
    pub(super) fn take_freed(&mut self) -> bool {
        self.packing.take_freed(&self.terminal)
    }

    /// How many bytes the terminal was fed, up to `position`.
    pub(super) fn fed_bytes(&self) -> u64 {
        self.terminal.fed_bytes()
    }

    /// How many lines scrolled off, up to `position`.
    pub(super) fn scrolled_lines(&self) -> u64 {
        self.terminal.scrolled_lines()
    }

    /// How many of them are whole.
    pub(super) fn whole_scrolled_lines(&self) -> u64 {
        self.terminal.whole_scrolled_lines()
    }

    /// How many of them the program wanted cleared.
    pub(super) fn cleared_lines(&self) -> u64 {
        self.terminal.cleared_lines()
    }
}

/// What the log has from `position` on.
fn behind(position: Offset, log: &OutputLog) -> &[u8] {
    log.slice(position, usize::MAX)
        .expect("the log keeps more than a terminal may be behind")
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use psess_protocol::terminal::Limits;

    use crate::journal::Journal;
    use crate::record::Record;
    use crate::session::Session;

    use super::*;

    fn size() -> Size {
        Size::new(24, 80)
    }

    fn session(now: Instant, journal: Journal) -> Session {
        Session::new(now, Record::of_size(size()), journal, Limits::default())
    }

    /// The journal as a successor of its server finds it now.
    fn opened_again(file: &OwnedFd, input: &OwnedFd) -> Journal {
        let copy = |fd: &OwnedFd| fd.try_clone().expect("a copy");
        Journal::open(copy(file), copy(input)).expect("a journal")
    }

    /// Lines that tell their number, in changing colours, some of them wrapped.
    fn flood(bytes: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for line in 0_u32.. {
            let words = "漢字 and words ".repeat((line % 8) as usize);
            text.extend_from_slice(format!("\x1b[3{}m{line} {words}\r\n", line % 8).as_bytes());
            if text.len() > bytes {
                break;
            }
        }
        text
    }

    fn print(session: &mut Session, now: Instant, text: &[u8]) {
        for part in text.chunks(4000) {
            session.output_buffer()[..part.len()].copy_from_slice(part);
            session.handle_output(now, part.len());
        }
    }

    /// How the model differs from a terminal that was fed all of `text`.
    fn difference(session: &Session, text: &[u8]) -> Option<String> {
        let mut terminal = Terminal::new(size(), Limits::default());
        terminal.feed(text);
        let model = session.shadow.terminal().snapshot();
        model.difference(&terminal.snapshot())
    }

    #[test]
    fn a_burst_is_looked_at_when_it_is_over() {
        let now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        print(&mut session, now, b"a prompt $ ");
        assert_eq!(session.poll_timeout(), Some(now));
        session.settle(now);
        assert_eq!(session.poll_timeout(), None);
        print(&mut session, now, &flood(100_000));
        session.settle(now);
        assert!(session.shadow.is_behind());
        let due = session.poll_timeout().expect("the model is behind");
        session.handle_timeout(due);
        let text = [b"a prompt $ ", &flood(100_000)[..]].concat();
        assert_eq!(difference(&session, &text), None);
    }

    /// As where two processors have more than the session to run.
    #[test]
    fn a_flood_that_comes_in_gulps_is_one_burst() {
        let mut now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        print(&mut session, now, &flood(MUCH as usize));
        for _ in 0..10 {
            now += 3 * BURST;
            print(&mut session, now, &flood(4000));
            session.settle(now);
            assert!(session.shadow.is_behind());
        }
        session.settle(now + REST);
        assert!(!session.shadow.is_behind());
    }

    #[test]
    fn a_flood_is_skimmed_and_the_model_is_exact() {
        let now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        let text = flood(30 << 20);
        print(&mut session, now, &text);
        assert!(session.shadow.as_it_is().1, "most of it was skimmed");
        session.catch_up(now);
        assert_eq!(difference(&session, &text), None);
    }

    #[test]
    fn what_a_flood_pushes_out_is_not_packed() {
        let now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        print(&mut session, now, &flood(200_000));
        session.catch_up(now);
        assert!(session.shadow.pack_due().is_some());
        print(&mut session, now, &flood(5 << 20));
        assert!(session.shadow.as_it_is().1, "most of it was skimmed");
        assert_eq!(session.shadow.pack_due(), None);
        session.catch_up(now);
        assert!(session.shadow.pack_due().is_some());
    }

    #[test]
    fn what_follows_a_flood_and_is_not_plain_does_not_count_as_lines_of_it() {
        let now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        let full_screen = [b"\x1b[?1049h", &b"\n".repeat(3000)[..], b"\x1b[?1049l"].concat();
        let text = [flood(3 << 20), full_screen].concat();
        print(&mut session, now, &text[..3 << 20]);
        assert!(session.shadow.is_behind());
        print(&mut session, now, &text[3 << 20..]);
        session.catch_up(now);
        assert_eq!(difference(&session, &text), None);
    }

    #[test]
    fn a_server_that_dies_in_a_flood_leaves_all_that_its_successor_needs() {
        let now = Instant::now();
        let journal = Journal::unshared().expect("memory");
        let (file, input) = journal.descriptors().expect("descriptors");
        let mut killed = session(now, journal);
        let text = flood(14 << 20);
        // Before anything was skimmed, right after it, and long after.
        let mut printed = 0;
        for until in [3 << 20, (4 << 20) + 4000, 6 << 20, 13 << 20] {
            print(&mut killed, now, &text[printed..until]);
            printed = until;
            let journal = opened_again(&file, &input);
            let successor = session(now, journal);
            let difference = difference(&successor, &text[..until]);
            assert_eq!(difference, None, "killed at {until}");
        }
    }

    /// As of a program that moves the cursor now and then, so that all of it is looked at.
    #[test]
    fn a_flood_that_is_not_plain_has_small_checkpoints_that_are_enough() {
        let now = Instant::now();
        let journal = Journal::unshared().expect("memory");
        let (file, input) = journal.descriptors().expect("descriptors");
        let mut killed = session(now, journal);
        let text = flood(14 << 20);
        let text: Vec<u8> = text
            .chunks(3000)
            .flat_map(|part| [part, b"\x1b[5;7H\x1b[J"].concat())
            .collect();
        let mut printed = 0;
        for mib in 1..14 {
            let until = mib << 20;
            print(&mut killed, now, &text[printed..until]);
            printed = until;
            let journal = opened_again(&file, &input);
            if let Some(checkpoint) = journal.read_checkpoint() {
                assert!(checkpoint.replay.len() < 64 << 10, "at {mib} MiB");
            }
            assert!(mib < 5 || journal.checkpoint_offset() > Offset(0));
            let log = until as u64 - journal.checkpoint_offset().0;
            assert!(log <= 4 << 20, "{log} bytes to play back at {mib} MiB");
            let successor = session(now, journal);
            let difference = difference(&successor, &text[..until]);
            assert_eq!(difference, None, "killed at {mib} MiB");
        }
    }

    /// What is kept of it is older than a draft, and not in the log after it.
    #[test]
    fn a_flood_that_does_not_scroll_keeps_the_history() {
        let now = Instant::now();
        let journal = Journal::unshared().expect("memory");
        let (file, input) = journal.descriptors().expect("descriptors");
        let mut killed = session(now, journal);
        let still = b"\x1b[Hnothing moves".repeat(700_000);
        let text = [&flood(100_000)[..], &still].concat();
        print(&mut killed, now, &text);
        let journal = Journal::open(file, input).expect("a journal");
        assert!(journal.checkpoint_offset() > Offset(4 << 20));
        let successor = session(now, journal);
        assert_eq!(difference(&successor, &text), None);
    }

    /// Such as a prompt.
    #[test]
    fn what_follows_a_flood_and_is_not_plain_does_not_wait_for_the_model() {
        let now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        let mut text = flood(30 << 20);
        print(&mut session, now, &text);
        print(&mut session, now, b"\x1b[3");
        text.extend_from_slice(b"\x1b[3");
        let parts: [&[u8]; 3] = [b"\x1b[0m\r\n\x1b[?2004h", b"\x1b]2;ti", b"tle\x07$ "];
        for part in parts {
            print(&mut session, now, part);
            text.extend_from_slice(part);
            assert!(session.shadow.is_behind());
        }
        assert_eq!(session.title(), "title");
        session.settle(now + REST);
        assert!(!session.shadow.is_behind());
        assert_eq!(difference(&session, &text), None);
    }

    #[test]
    fn a_question_behind_a_flood_is_answered_at_once() {
        let now = Instant::now();
        let mut session = session(now, Journal::unshared().expect("memory"));
        print(&mut session, now, &flood(5 << 20));
        print(&mut session, now, b"\x1b[5");
        assert!(!session.has_input());
        print(&mut session, now, b"n");
        assert_eq!(session.take_input(now).expect("input"), b"\x1b[0n");
        assert!(!session.shadow.is_behind());
    }
}
