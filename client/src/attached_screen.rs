//! What the attached client does with the user's terminal: whatever is written there goes
//! through here.

use std::ops::Range;

use psess_protocol::message::{History, ReplayPurpose};
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

use crate::banner;
use crate::command_watch::CommandWatch;
use crate::grouped::grouped;
use crate::held_string::HeldString;
use crate::output_queue::OutputQueue;
use crate::output_watch::OutputWatch;

/// Back to what a shell expects, from whatever state a program left: used where there is no
/// model that knows better. Each is harmless where nothing is to be undone (xterm ctlseqs). A
/// soft reset (DECSTR) comes first, as it undoes most without moving the cursor.
const CLEAN_UP: &[u8] = b"\x1b[!p\
    \x1b[4l\x1b[?7h\x1b[?1l\x1b>\x1b[?5l\x1b[20l\
    \x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l\
    \x1b[?2004l\x1b[?2026l\x1b[?2031l\x1b[?2048l\
    \x1b[<8u\x1b[=0u\x1b[>4;0m\
    \x1b7\x1b[r\x1b[?69l\x1b8\x0f\x1b(B\x1b)B\x1b[0m\x1b]8;;\x1b\\\
    \x1b[0 q\x1b[?12l\x1b[?25h\r\n";

/// Puts the title aside, and takes back the one put aside last (XTPUSHTITLE, XTPOPTITLE).
const PUSH_TITLE: &[u8] = b"\x1b[22;0t";
const POP_TITLE: &[u8] = b"\x1b[23;0t";

/// Ends whatever sequence the output may have stopped in: CAN, then ST.
const END_SEQUENCE: &[u8] = b"\x18\x1b\\";

/// Ends a sequence as well and puts cursor and pen aside (DECSC), and takes them back. Insert mode
/// and what the program had put aside itself come with the next replay.
const PUT_CURSOR_ASIDE: &[u8] = b"\x18\x1b\\\x1b7";
const TAKE_CURSOR_BACK: &[u8] = b"\x1b8\x1b[?7h";

/// What scrolls off is never drawn again.
const NO_HISTORY: Limits = Limits {
    history_lines: 0,
    history_bytes: 0,
};

/// The user's terminal while attached.
#[derive(Debug)]
pub struct AttachedScreen {
    queue: OutputQueue,
    held: HeldString,
    size: Size,
    /// What the terminal shows, where a banner may have to be taken away from it.
    model: Option<Terminal>,
    watch: OutputWatch,
    commands: CommandWatch,
    /// The user's own title is put aside.
    holds_title: bool,
    /// The banner that shows, and its rows from 0.
    banner: Option<(String, Range<u16>)>,
    /// One was taken away that covers what only the server knows.
    is_covered: bool,
    /// Where in the queue the banner drawn last ends.
    drawn_to: u64,
    /// It shows the session.
    began: bool,
    /// Something was written, so that something is to be cleaned up.
    touched: bool,
    /// Another program has, or had, all but the top quarter.
    is_lent: bool,
    /// The terminal may show something else than the model.
    is_unsure: bool,
}

impl AttachedScreen {
    /// A terminal that shows something else as yet. `with_model` is for links that may be lost:
    /// they will have banners, which go without a trace. Others hardly ever have one.
    #[must_use]
    pub fn new(size: Size, with_model: bool) -> Self {
        Self {
            queue: OutputQueue::default(),
            held: HeldString::default(),
            size,
            model: with_model.then(|| Terminal::new(size, NO_HISTORY)),
            watch: OutputWatch::default(),
            commands: CommandWatch::default(),
            holds_title: false,
            banner: None,
            is_covered: false,
            drawn_to: 0,
            began: false,
            touched: false,
            is_lent: false,
            is_unsure: false,
        }
    }

    /// There will be a banner that is to go without a trace: to be called before any output comes.
    pub fn keep_model(&mut self) {
        let size = self.size;
        let blank = || Terminal::new(size, NO_HISTORY);
        self.model.get_or_insert_with(blank);
    }

    /// There is no such banner any more, nor will there be.
    pub fn forget_model(&mut self) {
        self.hide_banner();
        self.model = None;
    }

    /// Whether all that is written to the terminal must come through here, as something will be
    /// taken away from it again.
    #[must_use]
    pub fn keeps_model(&self) -> bool {
        self.model.is_some()
    }

    /// The terminal's size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The queue to the terminal.
    pub fn queue(&mut self) -> &mut OutputQueue {
        &mut self.queue
    }

    /// Output or a part of a replay came.
    pub fn write(&mut self, bytes: &[u8]) {
        self.hide_banner();
        self.touched = true;
        let Self {
            queue,
            held,
            model,
            watch,
            commands,
            ..
        } = self;
        held.pass(bytes, |bytes| {
            queue.push(bytes, true);
            watch.feed(bytes);
            commands.feed(bytes);
            if let Some(model) = model {
                model.feed(bytes);
                // Queries are answered by the terminal itself, or were by the server.
                model.take_queries();
            }
        });
    }

    /// A replay comes next. `again`: the terminal shows this session already.
    pub fn begin_replay(&mut self, purpose: ReplayPurpose, again: bool) {
        self.hide_banner();
        self.is_covered &= matches!(purpose, ReplayPurpose::Update);
        self.is_unsure = false;
        self.began = true;
        self.queue.push(self.held.spoil(), false);
        self.queue.push(&self.held.give_up(), true);
        // The replay brings them again.
        let titles = self.pop_titles();
        self.queue.push(&titles, false);
        match purpose {
            ReplayPurpose::Attach => {
                self.hold_title();
                if !again {
                    self.make_way();
                }
            }
            ReplayPurpose::Update => {}
            ReplayPurpose::CatchUp { skipped_lines: 0 } => {}
            ReplayPurpose::CatchUp { skipped_lines } => self.mark(skipped_lines),
        }
    }

    /// The terminal has another size. It may show something else than the model then: it takes rows
    /// back from its scrollback, or pushes a banner, or another program's words, up into that.
    pub fn resize(&mut self, size: Size) {
        let before = std::mem::replace(&mut self.size, size);
        let has_pushed = self.is_lent || self.banner.is_some() && size.rows < before.rows;
        self.hide_banner();
        if let Some(model) = &mut self.model {
            let row = model.cursor_row();
            model.resize(size);
            let unwraps = size.columns > before.columns && model.cursor_row() != row;
            let wraps = size.columns < before.columns;
            self.is_unsure |= has_pushed || unwraps || wraps || size.rows > before.rows;
        }
    }

    /// Whether the screen is to be drawn anew by a replay, as something was drawn from a model that may
    /// not be what the terminal shows, or is going to be.
    pub fn take_unsure(&mut self) -> bool {
        (self.banner.is_some() || self.is_lent) && std::mem::take(&mut self.is_unsure)
    }

    /// Shows this line, or these, over the screen, in the place of those before, or none. They
    /// take half of it at most. Output takes them away: to be called again before the terminal gets
    /// that, so that it shows them throughout. Without a model they stay there until the whole screen
    /// is drawn anew: see [`AttachedScreen::take_covered`].
    pub fn show_banner(&mut self, text: Option<String>) {
        let Some(text) = text else {
            self.hide_banner();
            return;
        };
        if self
            .banner
            .as_ref()
            .is_some_and(|(shown, _)| *shown == text)
        {
            return;
        }
        // A terminal that takes nothing would get one line after the other when it does again.
        if !self.queue.has_taken(self.drawn_to) || !self.began {
            return;
        }
        let most = (self.size.rows / 2).max(1);
        let lines = u16::try_from(text.lines().count()).map_or(most, |lines| lines.clamp(1, most));
        let below = self.size.rows - lines;
        let mut bytes = Vec::new();
        let first = match (&self.banner, &self.model) {
            (Some((_, rows)), _) if rows.len() == usize::from(lines) => rows.start,
            (shown, Some(model)) => {
                if let Some((_, rows)) = shown {
                    bytes = model.repaint(rows.clone());
                }
                match model.cursor_row() >= below {
                    true => 0,
                    false => below,
                }
            }
            // Prompts are in the last row, mostly.
            (_, None) => 0,
        };
        self.queue.push(self.held.spoil(), false);
        if self.model.is_none() {
            bytes.extend_from_slice(PUT_CURSOR_ASIDE);
        }
        for (line, row) in text.lines().zip(first..first + lines) {
            bytes.extend_from_slice(&banner::draw(line, row + 1, self.size.columns));
        }
        match &self.model {
            Some(model) => bytes.extend_from_slice(&model.repaint(0..0)),
            None => bytes.extend_from_slice(TAKE_CURSOR_BACK),
        }
        self.queue.push(&bytes, false);
        self.drawn_to = self.queue.end();
        self.touched = true;
        self.banner = Some((text, first..first + lines));
    }

    fn hide_banner(&mut self) {
        match (self.banner.take(), &self.model) {
            (Some((_, rows)), Some(model)) => {
                self.queue.push(self.held.spoil(), false);
                self.queue.push(&model.repaint(rows), false);
            }
            (Some(_), None) => self.is_covered = true,
            (None, _) => {}
        }
    }

    /// Bytes that leave blank lines in the place of a banner whose screen is not drawn anew.
    fn erase_banner(&self) -> Vec<u8> {
        let (Some((_, rows)), None) = (&self.banner, &self.model) else {
            return Vec::new();
        };
        let mut bytes = PUT_CURSOR_ASIDE.to_vec();
        for row in rows.clone() {
            bytes.extend_from_slice(format!("\x1b[{}H\x1b[0m\x1b[2K", row + 1).as_bytes());
        }
        bytes.extend_from_slice(TAKE_CURSOR_BACK);
        bytes
    }

    /// Whether something was covered that is to be drawn anew now, by a replay: there is no model to
    /// draw it from.
    pub fn take_covered(&mut self) -> bool {
        self.banner.is_none() && std::mem::take(&mut self.is_covered)
    }

    /// Another program, which asks the user something, has the terminal for a while, but for the top
    /// quarter, which stays in sight. Nothing of ours scrolls off. To be called where there is a model.
    pub fn lend(&mut self) {
        self.hide_banner();
        if let Some(model) = &self.model {
            self.queue.push(self.held.spoil(), false);
            self.queue.push(&model.lend(), false);
            self.is_lent = true;
        }
    }

    /// What the other program said is of no interest any more: all is as it was before. Harmless when
    /// nothing was lent.
    pub fn take_back(&mut self) {
        if let (true, Some(model)) = (std::mem::take(&mut self.is_lent), &self.model) {
            let replay = model.replay(History::None);
            // The replay brings them again.
            let titles = self.pop_titles();
            self.queue.push(&titles, false);
            self.queue.push(&replay, false);
            self.watch.feed(&replay);
            self.commands.feed(&replay);
        }
    }

    /// Bytes that leave the terminal as a shell expects it; none when nothing was written.
    pub fn leave(&mut self) -> Vec<u8> {
        self.take_back();
        let erased = self.erase_banner();
        self.hide_banner();
        if !std::mem::take(&mut self.touched) {
            return Vec::new();
        }
        let commands = std::mem::take(&mut self.commands);
        let known = self.model.as_ref().map(Terminal::leave);
        let leave = known
            .filter(|bytes| !bytes.is_empty())
            .unwrap_or_else(|| self.clean_up(&commands));
        let others = commands.reset_others();
        let mut titles = self.pop_titles();
        if std::mem::take(&mut self.holds_title) {
            titles.extend_from_slice(POP_TITLE);
        }
        [self.held.spoil(), &erased, &leave, &others, &titles].concat()
    }

    /// Puts the user's title aside.
    fn hold_title(&mut self) {
        if !std::mem::replace(&mut self.holds_title, true) {
            self.queue.push(PUSH_TITLE, false);
            self.touched = true;
        }
    }

    /// Takes back the titles that the program has put aside.
    fn pop_titles(&mut self) -> Vec<u8> {
        POP_TITLE.repeat(std::mem::take(&mut self.watch.titles).into())
    }

    fn clean_up(&self, commands: &CommandWatch) -> Vec<u8> {
        let mut bytes = END_SEQUENCE.to_vec();
        if self.watch.shows_alternate {
            bytes.extend_from_slice(b"\x1b[?1049l");
        }
        bytes.extend_from_slice(&commands.reset_colors());
        bytes.extend_from_slice(CLEAN_UP);
        bytes
    }

    /// What stands on the user's screen goes to its scrollback: all lines up to the cursor's
    /// scroll off, what is below is erased.
    fn make_way(&mut self) {
        let rows = usize::from(self.size.rows);
        let mut bytes = b"\r\x1b[J".to_vec();
        bytes.extend(std::iter::repeat_n(b'\n', rows));
        self.queue.push(&bytes, false);
        self.touched = true;
    }

    /// A line that says how much the user did not see, scrolled off above what comes next. On
    /// the alternate screen it is gone at once, as it should be. The screen is emptied from its
    /// end: ED 2 moves it to the scrollback in some terminals, where the replay brings its lines
    /// again.
    fn mark(&mut self, skipped_lines: u64) {
        let lines = grouped(skipped_lines);
        let noun = if skipped_lines == 1 { "line" } else { "lines" };
        let rows = self.size.rows;
        let mark = format!(
            "\x1b[?6l\x1b[r\x0f\x1b(B\x1b[0m\x1b[9999;1H\x1b[1J\x1b[2K\x1b[H\
             \x1b[2m[psess: {lines} {noun} went by]\x1b[0m\x1b[{rows};1H\n"
        );
        self.queue.push(END_SEQUENCE, false);
        self.queue.push(mark.as_bytes(), false);
        self.touched = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> AttachedScreen {
        AttachedScreen::new(Size::new(4, 40), false)
    }

    #[test]
    fn the_first_replay_overwrites_nothing() {
        let mut screen = screen();
        screen.begin_replay(ReplayPurpose::Attach, false);
        assert_eq!(screen.queue().pending(), b"\x1b[22;0t\r\x1b[J\n\n\n\n");
        assert_eq!(
            screen.queue().take(8),
            0,
            "our own bytes are not acknowledged"
        );
    }

    #[test]
    fn skipped_lines_are_marked() {
        let mut screen = screen();
        screen.begin_replay(
            ReplayPurpose::CatchUp {
                skipped_lines: 1_234,
            },
            true,
        );
        let drawn = String::from_utf8(screen.queue().pending().to_vec()).unwrap();
        assert!(drawn.contains("[psess: 1,234 lines went by]"), "{drawn:?}");
    }

    #[test]
    fn a_title_cut_short_by_a_replay_is_never_seen() {
        let mut screen = screen();
        screen.write(b"text\x1b]2;half a ti");
        assert_eq!(screen.queue().pending(), b"text");
        screen.begin_replay(ReplayPurpose::Update, true);
        screen.write(b"\x18replay\x1b]2;half a title\x07$ ");
        let pending = screen.queue().pending();
        let shown: Vec<u8> = pending.iter().copied().filter(|byte| *byte != 0).collect();
        assert_eq!(shown, b"text\x18replay\x1b]2;half a title\x07$ ");
        // All that came counts.
        let (came, pending) = (4 + 13 + 7 + 17 + 2, pending.len());
        assert_eq!((screen.queue().take(pending), pending), (came, came));
    }

    #[test]
    fn a_long_command_cut_short_is_carried_out_once_and_whole() {
        let size = Size::new(4, 40);
        let long = [b"\x1b]52;c;", &[b'x'; 9000][..], b"\x07"].concat();
        for cut in [4100, 5000, 9000, 9006] {
            let mut screen = AttachedScreen::new(size, true);
            let mut server = Terminal::new(size, Limits::default());
            let (before, after) = long.split_at(cut);
            server.feed(before);
            screen.write(before);
            screen.begin_replay(ReplayPurpose::Update, true);
            screen.write(&server.replay(History::All));
            screen.write(after);
            screen.write(b"$ ");
            let written = screen.queue().pending();
            // CAN ends it, for some terminals as its end would: what it asked for is no base64.
            let cancelled = written.iter().position(|byte| *byte == 0x18).unwrap();
            assert_eq!(written[..cancelled], [before, b"!"].concat());
            let again = written.windows(long.len()).filter(|part| *part == long);
            assert_eq!(again.count(), 1);
            let mut users = Terminal::new(size, Limits::default());
            users.feed(written);
            server.feed(after);
            server.feed(b"$ ");
            assert_eq!(users.snapshot(), server.snapshot());
        }
    }

    /// Much longer ones are not kept; the rest of one is dropped by the terminal.
    #[test]
    fn nothing_of_an_endless_command_shows_as_text() {
        let size = Size::new(4, 40);
        let mut screen = AttachedScreen::new(size, true);
        let mut server = Terminal::new(size, Limits::default());
        let piece = vec![b'x'; 100_000];
        let mut write = |screen: &mut AttachedScreen, bytes: &[u8]| {
            server.feed(bytes);
            screen.write(bytes);
            server.replay(History::All)
        };
        write(&mut screen, b"\x1b]1337;File=:");
        let replay = write(&mut screen, &piece);
        screen.begin_replay(ReplayPurpose::Update, true);
        screen.write(&replay);
        screen.show_banner(Some("no contact".to_owned()));
        screen.show_banner(None);
        write(&mut screen, &piece);
        write(&mut screen, b"\x07$ ");
        let mut users = Terminal::new(size, Limits::default());
        users.feed(screen.queue().pending());
        assert_eq!(users.snapshot(), server.snapshot());
        assert_eq!(users.scrolled_lines(), 0);
    }

    #[test]
    fn the_users_title_comes_back() {
        let size = Size::new(4, 40);
        for with_model in [false, true] {
            let mut screen = AttachedScreen::new(size, with_model);
            let mut users = Terminal::new(size, Limits::default());
            users.feed(b"\x1b]2;mine\x07");
            screen.begin_replay(ReplayPurpose::Attach, false);
            // A shell's title, and that of a full-screen program which still runs.
            let output = b"\x1b]2;shell\x07\x1b[?1049h\x1b[22;0;0t\x1b]2;editor\x07";
            let mut server = Terminal::new(size, Limits::default());
            server.feed(output);
            screen.write(output);
            for _ in 0..20 {
                screen.begin_replay(ReplayPurpose::Update, true);
                screen.write(&server.replay(History::All));
            }
            users.feed(screen.queue().pending());
            assert_eq!(users.title(), "editor");
            let leave = screen.leave();
            users.feed(&leave);
            assert_eq!(users.title(), "mine");
        }
    }

    #[test]
    fn colors_pointer_and_progress_are_taken_back() {
        let output = b"\x1b]11;#ff0000\x07\x1b]4;1;red\x07\x1b]22;text\x07\x1b]9;4;1;50\x07";
        let mut server = Terminal::new(Size::new(4, 40), Limits::default());
        server.feed(output);
        let replay = server.replay(psess_protocol::message::History::All);
        for with_model in [false, true] {
            for (shown, others) in [(&output[..], true), (&replay, false)] {
                let mut screen = AttachedScreen::new(Size::new(4, 40), with_model);
                screen.write(shown);
                let leave = String::from_utf8(screen.leave()).unwrap();
                let resets = |command: &str| leave.matches(command).count() == 1;
                assert!(
                    resets("\x1b]111\x1b\\") && resets("\x1b]104;1\x1b\\"),
                    "{leave:?}"
                );
                assert_eq!(resets("\x1b]22;\x1b\\"), others, "{leave:?}");
                assert_eq!(resets("\x1b]9;4;0\x1b\\"), others, "{leave:?}");
                screen.write(b"text");
                let again = String::from_utf8(screen.leave()).unwrap();
                assert!(with_model || !again.contains("\x1b]1"), "{again:?}");
            }
        }
    }

    #[test]
    fn the_banner_keeps_off_the_cursor_and_vanishes_without_a_trace() {
        let size = Size::new(4, 40);
        for (text, row) in [(&b"$ "[..], 3), (b"a\r\nb\r\nc\r\n$ ", 0)] {
            let mut screen = AttachedScreen::new(size, true);
            screen.begin_replay(ReplayPurpose::Update, true);
            screen.write(text);
            let mut users = Terminal::new(size, Limits::default());
            let mut show = |screen: &mut AttachedScreen| {
                users.feed(screen.queue().pending());
                let all = screen.queue().pending().len();
                screen.queue().take(all);
                users.snapshot()
            };
            let before = show(&mut screen);
            for second in 3..6 {
                screen.show_banner(Some(format!("no contact for {second} s")));
                let shown = show(&mut screen).entries;
                let line = &shown
                    .iter()
                    .find(|(name, _)| *name == format!("main {row}"));
                assert!(line.expect("a row").1.contains("no contact"), "{line:?}");
                screen.show_banner(None);
                assert_eq!(show(&mut screen), before);
            }
        }
    }

    #[test]
    fn output_beside_a_banner_is_one_piece_in_which_that_goes_and_comes_back() {
        let size = Size::new(4, 40);
        let mut screen = AttachedScreen::new(size, true);
        let mut users = Terminal::new(size, Limits::default());
        let mut without = Terminal::new(size, Limits::default());
        screen.begin_replay(ReplayPurpose::Update, true);
        let text = "no contact for 3 s";
        let mut written = 0;
        for output in [
            &b"1\r\n2"[..],
            b"\r\n3\r\n",
            b"4\r\n5\r\n6",
            b"\x1b[2J\x1b[H",
        ] {
            screen.write(&output[..1]);
            screen.write(&output[1..]);
            without.feed(output);
            screen.show_banner(Some(text.to_owned()));
            let pending = screen.queue().pending().to_vec();
            users.feed(&pending);
            let shown = users.snapshot().entries;
            let lines = shown.iter().filter(|(_, entry)| entry.contains(text));
            assert_eq!(lines.count(), 1, "{shown:?}");
            written += screen.queue().take(pending.len());
        }
        assert_eq!(written, 4 + 5 + 7 + 7, "the program's bytes, and no others");
        screen.show_banner(None);
        users.feed(screen.queue().pending());
        assert_eq!(users.snapshot(), without.snapshot());
    }

    #[test]
    fn a_terminal_that_takes_nothing_gets_one_banner_when_it_does() {
        let mut screen = AttachedScreen::new(Size::new(4, 40), true);
        screen.begin_replay(ReplayPurpose::Update, true);
        for second in 3..100 {
            screen.write(b"x\r\n");
            screen.show_banner(Some(format!("no contact for {second} s")));
        }
        let pending = String::from_utf8(screen.queue().pending().to_vec()).unwrap();
        assert_eq!(pending.matches("no contact").count(), 1, "{pending:?}");
        let all = pending.len();
        screen.queue().take(all);
        screen.show_banner(Some("no contact for 100 s".to_owned()));
        assert!(!screen.queue().is_empty());
    }

    #[test]
    fn lines_that_cover_several_rows_vanish_without_a_trace_and_take_the_model_along() {
        let size = Size::new(4, 40);
        let mut screen = AttachedScreen::new(size, false);
        let mut users = Terminal::new(size, Limits::default());
        let mut show = |screen: &mut AttachedScreen| {
            users.feed(screen.queue().pending());
            let all = screen.queue().pending().len();
            screen.queue().take(all);
            users.snapshot()
        };
        let shows = |row: u16, text: &str, screen: &psess_protocol::terminal::Snapshot| {
            let row = format!("main {row}");
            let mut entries = screen.entries.iter();
            entries.any(|(name, entry)| *name == row && entry.contains(text))
        };
        screen.keep_model();
        screen.show_banner(Some("too early".to_owned()));
        assert!(screen.queue().is_empty());
        screen.begin_replay(ReplayPurpose::Attach, false);
        screen.write(b"\x1b[H\x1b[J1\r\n2\r\n3\r\n4\x1b[2;1H");
        let before = show(&mut screen);
        screen.show_banner(Some("five\nsix\nseven".to_owned()));
        let shown = show(&mut screen);
        assert!(
            shows(2, "five", &shown) && shows(3, "six", &shown),
            "half of it"
        );
        // Fewer lines leave nothing of more.
        screen.show_banner(Some("eight".to_owned()));
        let shown = show(&mut screen);
        assert!(shows(2, "3", &shown) && shows(3, "eight", &shown));
        screen.forget_model();
        assert_eq!(show(&mut screen), before);
        assert!(!screen.take_covered());
    }

    #[test]
    fn without_a_model_a_banner_keeps_the_cursor_and_calls_for_a_replay() {
        let mut screen = screen();
        let mut users = Terminal::new(Size::new(4, 40), Limits::default());
        let mut show = |screen: &mut AttachedScreen| {
            users.feed(screen.queue().pending());
            let all = screen.queue().pending().len();
            screen.queue().take(all);
            users.snapshot().entries
        };
        let of = |name: &str, entries: &[(String, String)]| {
            let found = entries.iter().find(|(other, _)| other == name);
            found.expect("an entry").1.clone()
        };
        screen.begin_replay(ReplayPurpose::Attach, false);
        screen.write(b"\x1b[H\x1b[J1\r\n2\r\n3\r\n\x1b[31m4");
        let before = show(&mut screen);
        for second in 3..6 {
            screen.show_banner(Some(format!("no contact for {second} s")));
            let shown = show(&mut screen);
            assert!(of("main 0", &shown).contains(&format!("for {second} s")));
            for same in ["main 1", "main 3", "cursor", "pen"] {
                assert_eq!(of(same, &shown), of(same, &before), "{same}");
            }
            assert!(!screen.take_covered(), "it shows");
        }
        screen.show_banner(None);
        assert!(screen.take_covered());
        assert!(!screen.take_covered(), "once");
        // Output may come before that is noticed, and the banner is to be shown still.
        screen.show_banner(Some("no contact for 6 s".to_owned()));
        show(&mut screen);
        screen.write(b"x");
        screen.show_banner(Some("no contact for 6 s".to_owned()));
        assert!(!screen.take_covered());
        show(&mut screen);
        screen.show_banner(None);
        assert!(screen.take_covered());
        // A replay, and leaving, see to it themselves.
        screen.show_banner(Some("no contact for 7 s".to_owned()));
        screen.begin_replay(ReplayPurpose::Attach, true);
        assert!(!screen.take_covered());
        show(&mut screen);
        screen.show_banner(Some("no contact for 8 s".to_owned()));
        assert!(of("main 0", &show(&mut screen)).contains("no contact"));
        let leave = screen.leave();
        screen.queue().push(&leave, false);
        assert!(!of("main 0", &show(&mut screen)).contains("no contact"));
    }

    #[test]
    fn what_is_lent_to_another_program_comes_back_and_nothing_scrolls_off() {
        let size = Size::new(6, 40);
        let limits = Limits::default();
        let texts: [&[u8]; 3] = [
            b"1\r\n2\r\n3\r\n4\r\n5\r\n\x1b[31m$ ",
            b"\x1b[?2004h1\r\n\x1b[?1049h\x1b[22;0;0t\x1b]2;editor\x07\x1b[2;5Hfile",
            b"1\r\n\x1b]52;c;half of a command",
        ];
        for text in texts {
            for leaves in [false, true] {
                let mut screen = AttachedScreen::new(size, true);
                screen.begin_replay(ReplayPurpose::Update, true);
                screen.write(text);
                screen.show_banner(Some("Enter dials again".to_owned()));
                screen.lend();
                screen.take_back();
                screen.lend();
                let mut users = Terminal::new(size, limits);
                users.feed(screen.queue().pending());
                let all = screen.queue().pending().len();
                screen.queue().take(all);
                assert!(!users.is_alternate());
                assert_eq!(users.cursor_row(), 1);
                users.feed(b"Password: \r\nno\r\nPassword: \r\nno\r\nPassword: \r\n");
                let mut without = Terminal::new(size, limits);
                without.feed(text);
                if leaves {
                    let leave = screen.leave();
                    screen.queue().push(&leave, false);
                    without.feed(&without.leave());
                } else {
                    screen.take_back();
                    screen.write(b"\x07$ ");
                    without.feed(b"\x07$ ");
                }
                screen.take_back();
                users.feed(screen.queue().pending());
                let both = [users, without].map(|terminal| {
                    let lines = terminal.scrolled_lines();
                    (lines, terminal.snapshot())
                });
                assert_eq!(both[0].0, both[1].0);
                if !leaves {
                    assert_eq!(both[0].1.difference(&both[1].1), None);
                }
            }
        }
    }

    /// Scrollback and screen, whatever wraps there.
    fn all_text(terminal: &Terminal) -> String {
        let snapshot = terminal.snapshot();
        let shown = |name: &str| name.starts_with("history ") || name.starts_with("main ");
        let entries = snapshot.entries.iter().filter(|(name, _)| shown(name));
        let text: String = entries.map(|(_, text)| text.as_str()).collect();
        text.replace("{continues}", "").replace("{open}", "")
    }

    #[test]
    fn where_a_resized_terminal_may_not_show_what_the_model_does_a_replay_is_called_for() {
        let before = Size::new(8, 40);
        let short = "a line\r\n".repeat(30);
        let wrapped = format!("{}\r\n", "wrapped ".repeat(6)).repeat(30);
        let banner = || Some("no contact".to_owned());
        let mut sure = 0;
        for (text, size, [is_covered, is_lent]) in [short, wrapped].iter().flat_map(|text| {
            let sizes = [(8, 40), (8, 60), (8, 30), (4, 40), (12, 40), (4, 60)];
            let covers = [[false, false], [true, false], [true, true]];
            let size = |(rows, columns)| Size::new(rows, columns);
            let both = move |size| covers.map(|cover| (text, size, cover));
            sizes.map(size).into_iter().flat_map(both)
        }) {
            let mut screen = AttachedScreen::new(before, true);
            let mut users = Terminal::new(before, Limits::default());
            let mut without = Terminal::new(before, Limits::default());
            screen.begin_replay(ReplayPurpose::Update, true);
            screen.write(text.as_bytes());
            without.feed(text.as_bytes());
            screen.show_banner(banner().filter(|_| is_covered));
            if is_lent {
                screen.lend();
            }
            let mut show = |screen: &mut AttachedScreen| {
                users.feed(screen.queue().pending());
                let all = screen.queue().pending().len();
                screen.queue().take(all);
                users.resize(size);
            };
            show(&mut screen);
            without.resize(size);
            screen.resize(size);
            if !is_lent {
                screen.show_banner(banner());
            }
            let is_unsure = screen.take_unsure();
            screen.take_back();
            screen.write(b"more\r\n");
            without.feed(b"more\r\n");
            show(&mut screen);
            let same = all_text(&users) == all_text(&without)
                && users.cursor_row() == without.cursor_row();
            assert!(is_unsure || same, "{size:?}: {}", all_text(&users));
            sure += usize::from(!is_unsure);
        }
        assert!(sure > 6, "{sure}");
    }

    #[test]
    fn a_terminal_that_got_nothing_is_left_alone() {
        let mut screen = screen();
        assert_eq!(screen.leave(), b"");
        screen.write(b"hello");
        assert_ne!(screen.leave(), b"");
        assert_eq!(screen.leave(), b"");
    }
}
