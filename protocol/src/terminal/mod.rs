//! The terminal model: what a terminal that was fed a session's output would show, and the
//! replay that recreates it.

mod answer;
mod block;
mod cell;
mod charset;
mod closed_block;
mod code;
mod colors;
mod content;
mod control;
mod csi;
mod cursor;
mod digits;
mod feed;
mod flow;
mod history;
#[cfg(test)]
mod history_properties;
mod keyboard;
mod legend;
mod link;
mod margins;
mod modes;
mod numbering;
mod osc;
mod packed;
mod paint;
mod parameters;
mod pen;
mod perform;
mod picture;
mod plain;
mod query;
mod reflow;
mod repaint;
mod replay;
mod row;
mod row_starts;
mod screen;
mod skim;
mod snapshot;
mod state;
mod style;
mod table;
mod tabs;
mod text;
mod title;
mod transcript;
mod width;

#[cfg(test)]
mod tests;

pub use picture::Picture;
pub use plain::PlainScan;
pub use query::Query;
pub use snapshot::Snapshot;
pub use width::{clipped, columns_of};

use crate::message::History;
use crate::size::Size;
use feed::Feed;
use state::State;

/// A terminal without a display.
#[derive(Debug)]
pub struct Terminal {
    feed: Feed,
    state: State,
}

/// What a model may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lines of history.
    pub history_lines: u32,
    /// Bytes of history, as many as there are before [`Terminal::pack`]: a replay of it is about as
    /// long.
    pub history_bytes: usize,
}

impl Default for Limits {
    /// 10,000 lines in at most 8 MiB.
    fn default() -> Self {
        Self {
            history_lines: 10_000,
            history_bytes: 8 << 20,
        }
    }
}

impl Terminal {
    /// A blank terminal.
    #[must_use]
    pub fn new(size: Size, limits: Limits) -> Self {
        Self {
            feed: Feed::new(),
            state: State::new(size.clamped(), limits),
        }
    }

    /// Takes output of the program, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed.feed(bytes, &mut self.state);
    }

    /// Whether the next byte begins a character or a sequence.
    #[must_use]
    pub fn is_at_ground(&self) -> bool {
        self.feed.is_at_ground()
    }

    /// Takes as much of the beginning of `bytes` as nothing will be left of once the rest is fed;
    /// returns how much that is, often 0. Until then the terminal shows nonsense.
    ///
    /// `bytes` are what comes next, and are followed by `lines_after` ends of lines: at least
    /// [`Terminal::lines_kept`], or nothing is taken. All of it is plain as [`PlainScan`] finds it.
    #[must_use]
    pub fn skim(&mut self, bytes: &[u8], lines_after: usize) -> usize {
        self.feed.skim(bytes, lines_after, &mut self.state)
    }

    /// A terminal that shows what this one would once it were fed `bytes`, but without the history:
    /// of many lines only the last are looked at. All of it is plain as [`PlainScan`] finds it, and
    /// behind the first `colored` bytes there is no control sequence. `None` where the last lines do
    /// not tell, as of too few, or where the screen has margins.
    #[must_use]
    pub fn glance(&self, bytes: &[u8], colored: usize) -> Option<Self> {
        // None only where the history is off: what continues a line in it is another first row.
        let history_lines = self.state.history.limit_lines().min(1);
        let skimmed = self.feed.glanced_over(bytes, history_lines, &self.state)?;
        let limits = Limits {
            history_lines: u32::from(history_lines > 0),
            ..Limits::default()
        };
        let mut glance = Self::new(self.size(), limits);
        // Its rows will all have scrolled off.
        glance.feed(&self.state.replay(None, b""));
        let Self { feed, state } = &mut glance;
        feed.glance(bytes, skimmed, colored, state);
        Some(glance)
    }

    /// After so many lines of plain output nothing is left of what was before them.
    #[must_use]
    pub fn lines_kept(&self) -> usize {
        self.state.lines_kept()
    }

    /// Takes the size of the user's terminal; reflows as xterm does.
    pub fn resize(&mut self, size: Size) {
        self.state.resize(size.clamped());
    }

    /// The size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.state.size
    }

    /// Whether the alternate screen shows.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        self.state.alternate.is_some()
    }

    /// The row that the cursor stands on, from 0.
    #[must_use]
    pub fn cursor_row(&self) -> u16 {
        self.state.cursor.row
    }

    /// The title that the program set, without control characters.
    #[must_use]
    pub fn title(&self) -> &str {
        self.state.titles.window()
    }

    /// How many lines have scrolled off since the beginning, wrapped rows counted as one, and
    /// those included that are no longer kept, but not those that came back to a screen that grew:
    /// the first line on the screen has this number, or the one before where it began above. Where
    /// no history is kept, each row is a line.
    #[must_use]
    pub fn scrolled_lines(&self) -> u64 {
        self.state.history.scrolled()
    }

    /// How many of [`Terminal::scrolled_lines`] are whole: the one that goes on in the first row of
    /// the screen is not.
    #[must_use]
    pub fn whole_scrolled_lines(&self) -> u64 {
        let goes_on = self.state.history.is_open() && self.state.main.row(0).continuation;
        self.scrolled_lines() - u64::from(goes_on)
    }

    /// How many of them, the oldest, are not kept because the program wanted them cleared.
    #[must_use]
    pub fn cleared_lines(&self) -> u64 {
        self.state.history.cleared()
    }

    /// How many of the others are not kept because there were too many.
    #[must_use]
    pub fn gone_lines(&self) -> u64 {
        self.state.history.gone()
    }

    /// How many lines the history was given since the beginning, wrapped rows counted as one and
    /// skimmed ones not at all. Once that has grown by [`Terminal::lines_kept`], and the size is
    /// what it was, the history has nothing from before.
    #[must_use]
    pub fn ended_lines(&self) -> u64 {
        self.state.history.ended()
    }

    /// How many bytes were fed since the beginning.
    #[must_use]
    pub fn fed_bytes(&self) -> u64 {
        self.feed.fed()
    }

    /// How many lines of history are kept, wrapped rows counted as one.
    #[must_use]
    pub fn history_lines(&self) -> u64 {
        self.state.history.line_count() as u64
    }

    /// Bytes of memory that the history takes.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        self.state.history.bytes()
    }

    /// Has the history take at most `bytes` of memory from now on, where its own limit is not
    /// lower: its part of a budget that several terminals share. What can be packed is; then the
    /// oldest lines go at once, in blocks of what was about 32 KiB, of which the newest stays whatever
    /// `bytes` is. Whether there were any to go.
    pub fn set_history_share(&mut self, bytes: usize) -> bool {
        let dropped = self.state.history.set_share(bytes);
        self.state.detach_from_history();
        dropped
    }

    /// Whether [`Terminal::pack`] has something to do.
    #[must_use]
    pub fn can_pack(&self) -> bool {
        self.state.history.can_pack()
    }

    /// Has about 32 KiB of the history take less memory, the oldest that may, in some 0.1 ms. That
    /// changes nothing else.
    pub fn pack(&mut self) {
        self.state.history.pack();
    }

    /// The queries met since the last call, in order; at most 256.
    pub fn take_queries(&mut self) -> Vec<Query> {
        std::mem::take(&mut self.state.queries)
    }

    /// Bytes that, fed to a terminal of the same size in any state, recreate this one. They end
    /// with what was fed of a sequence or character that is not whole yet. [`History::Since`] is
    /// none: offsets are the affair of whoever fed it.
    #[must_use]
    pub fn replay(&self, history: History) -> Vec<u8> {
        let lines = match history {
            History::None | History::Since { .. } => 0,
            History::Lines(lines) => lines as usize,
            History::All => usize::MAX,
        };
        self.state.replay(Some(lines), self.feed.pending())
    }

    /// Gives `visit` what it holds as plain text, line by line without ends: the history, then what
    /// shows, the main screen or the alternate one. Rows that wrapped are one line; blanks at the end
    /// of a line are left out, as are empty lines at the end. There are no control characters in it.
    pub fn visit_lines(&self, visit: &mut dyn FnMut(&str)) {
        self.state.visit_lines(visit);
    }

    /// Bytes that turn `picture`, which an earlier call left on a terminal of `size`, into what
    /// this terminal shows now, clipped to `size`. A new `Picture` draws everything.
    #[must_use]
    pub fn draw(&self, size: Size, picture: &mut Picture) -> Vec<u8> {
        self.state.draw(size.clamped(), picture)
    }

    /// Bytes that paint the visible rows `rows` (0-based) again, and put cursor, pen and modes
    /// back as they are: they take away what was drawn over these rows.
    #[must_use]
    pub fn repaint(&self, rows: std::ops::Range<u16>) -> Vec<u8> {
        self.state.repaint(rows, self.feed.pending())
    }

    /// Bytes that take a terminal in this state back to a shell's prompt: main screen, modes,
    /// keyboard, mouse, margins, charsets, pen, cursor as a fresh terminal has them, the cursor
    /// on an empty line below what the main screen shows.
    #[must_use]
    pub fn leave(&self) -> Vec<u8> {
        self.state.leave()
    }

    /// The same for a program that has the terminal for a while: below the top quarter, where it is
    /// blank then, and scrolls by itself. A replay without history puts everything back.
    #[must_use]
    pub fn lend(&self) -> Vec<u8> {
        self.state.lend()
    }

    /// All of the state, for comparing and for looking at.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.state, self.feed.pending())
    }
}
