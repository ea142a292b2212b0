//! The replay: bytes that recreate a terminal.
//!
//! A pure function of the state. The order matters, as many sequences move the cursor or change
//! what others mean: reset · history · main screen · its saved cursor · alternate screen · its
//! saved cursor · tabs · modes · margins · cursor · pen · character sets · the rest.

use super::cell::Cell;
use super::cursor::SavedCursor;
use super::legend::Piece;
use super::margins::Margins;
use super::paint::Painter;
use super::row::Row;
use super::screen::Screen;
use super::state::{ScreenState, State};
use super::style::Style;
use super::width;

/// Brings a terminal in any state to a blank screen. CAN ends what the terminal may be in the
/// middle of, without carrying it out. The scrollback is left alone, and so is what the
/// user may have set before: title, colours, tab stops.
pub(super) const RESET: &str = concat!(
    "\x18\x1b[?2026l\x1b[?1049l",
    "\x1b[<99u\x1b[=0;1u\x1b[>4;0m",
    "\x1b[r\x1b[?69l\x1b[4l\x1b[20l\x1b[?7h",
    "\x1b[?1;5;6;9;45;66;1000;1001;1002;1003;1004;1005;1006;1015;1016;2004;2027;2031;2048l",
    "\x1b>\x1b(B\x1b)B\x1b*B\x1b+B\x0f\x1b]8;;\x1b\\\x1b[0\"q\x1b[m\x1b[0 q\x1b[?25h",
);

/// Empties the screen, from the last row backwards, and goes to the first cell. Alacritty, VTE,
/// Windows Terminal and tmux take ED 2 for a wish to keep the screen in the scrollback, tmux also
/// ED 0 in the first cell: there the user would find it again, once for each replay. And xterm.js 6
/// does not survive ED 1 in the last cell.
pub(super) const BLANK: &str = "\x1b[9999;1H\x1b[1J\x1b[2K\x1b[H";

impl State {
    /// The replay; `lines` of history go before the screen, `pending` after it. Without `lines` the
    /// rows of the main screen are left out as well.
    pub(super) fn replay(&self, lines: Option<usize>, pending: &[u8]) -> Vec<u8> {
        let mut painter = Painter::new(&self.content);
        painter.out.extend_from_slice(RESET.as_bytes());
        painter.out.extend_from_slice(BLANK.as_bytes());
        if let Some(lines) = lines {
            let lines = lines.min(self.history.line_count());
            let joins = self.main.row(0).continuation;
            let start = self.write_history(&mut painter, lines, joins);
            self.write_screen(&mut painter, &self.main, start);
        }
        let fixed = self.write_saved(&mut painter, &self.main, &self.main_state);
        if let Some(alternate) = &self.alternate {
            // 1049 saves the cursor as well, which is in its place but for a repair.
            painter.out.extend_from_slice(if fixed {
                b"\x1b[?1047h"
            } else {
                b"\x1b[?1049h"
            });
            self.end_saved(&mut painter, &self.main_state.saved);
            painter.out.extend_from_slice(BLANK.as_bytes());
            self.write_screen(&mut painter, alternate, Start::Fresh);
            self.write_saved(&mut painter, alternate, &self.alternate_state);
            self.end_saved(&mut painter, &self.alternate_state.saved);
        } else {
            self.end_saved(&mut painter, &self.main_state.saved);
        }
        self.write_tabs(&mut painter);
        self.write_saved_modes(&mut painter);
        self.write_modes(&mut painter);
        self.titles.write(&mut painter.out);
        self.colors.write(&mut painter.out);
        if let Some(directory) = &self.directory {
            painter
                .out
                .extend_from_slice(format!("\x1b]7;{directory}\x1b\\").as_bytes());
        }
        self.write_position(&mut painter);
        painter.out.extend_from_slice(pending);
        painter.out
    }

    /// Adds history; says where it leaves the cursor.
    fn write_history(&self, painter: &mut Painter<'_>, lines: usize, joins: bool) -> Start {
        let columns = self.size.columns;
        let mut line = Line::default();
        let mut open = false;
        self.history.visit(lines, &mut |piece| {
            open = !matches!(piece, Piece::End);
            match piece {
                Piece::Text(text) => {
                    line.advance(text, columns);
                    if line.grapheme {
                        painter.print_cluster(text, true);
                    } else {
                        painter.out.extend_from_slice(text.as_bytes());
                    }
                }
                Piece::Style(style) => {
                    line.colored |= style != style.without_background();
                    painter.set_style(style);
                }
                Piece::Link(link) => painter.set_link(link),
                Piece::Marks(marks) => write_marks(&mut painter.out, marks),
                Piece::Graphemes(on) => {
                    line.grapheme = on;
                    painter.set_grapheme(on);
                }
                Piece::Fill => {
                    if !line.is_full(columns) {
                        painter.sequence(&[], "K");
                    }
                    line.colored = false;
                }
                Piece::End => {
                    line.end(painter, columns);
                    painter.out.extend_from_slice(b"\r\n");
                }
            }
        });
        if lines == 0 || !self.history.is_open() {
            return Start::Fresh;
        }
        // The last line has no end of its own yet, also where it is empty.
        if !joins {
            line.end(painter, columns);
            painter.out.extend_from_slice(b"\r\n");
            return Start::Fresh;
        }
        Start::Behind
    }

    fn write_screen(&self, painter: &mut Painter<'_>, screen: &Screen, start: Start) {
        let mut above: Option<&Row> = None;
        for row in screen.rows() {
            let continues = row.continuation && (above.is_some() || start != Start::Fresh);
            if continues {
                self.write_continuation(painter, above, row);
            } else {
                if above.is_some() || start != Start::Fresh {
                    end_row(painter);
                    painter.out.extend_from_slice(b"\r\n");
                }
                write_marks(&mut painter.out, row.marks);
                painter.row(row);
            }
            above = Some(row);
        }
        end_row(painter);
        painter.set_grapheme(false);
    }

    /// Paints a row through the margin of the one above, so that the terminal knows that they
    /// are one line.
    fn write_continuation(&self, painter: &mut Painter<'_>, above: Option<&Row>, row: &Row) {
        let edge = self.size.columns - 1;
        let first = row.cell(0);
        painter.dip(first);
        painter.print(first);
        let width = if first.is_wide() { 2 } else { 1 };
        // The column that was too narrow for a wide character got the background that the
        // character has now.
        let gap = above
            .map(|above| above.cell(edge))
            .filter(|cell| cell.is_empty());
        let style = |number| *self.content.styles.get(u32::from(number));
        if let Some(gap) = gap
            && style(gap.style) != style(first.style).erased()
        {
            painter.sequence(&[], "A");
            painter.sequence(&[edge + 1], "G");
            painter.dip(gap);
            painter.sequence(&[], "X");
            // The row below is to be wrapped from again, perhaps.
            painter.out.extend_from_slice(b"\x1b[B\r");
            painter.dip(first);
            painter.print(first);
        }
        write_marks(&mut painter.out, row.marks);
        if width <= edge {
            // A row that scrolled in has the background of the character that wrapped.
            end_row(painter);
            painter.sequence(&[width + 1], "G");
            painter.sequence(&[], "K");
            painter.row_from(row, width);
        }
    }

    /// Saves a cursor as `state` says; true when a cell was repaired after, so that cursor and
    /// pen are not what was saved any more.
    fn write_saved(&self, painter: &mut Painter<'_>, screen: &Screen, state: &ScreenState) -> bool {
        let SavedCursor {
            cursor,
            style,
            charsets,
            origin,
        } = state.saved;
        state.kitty.write(&mut painter.out);
        if origin {
            painter.out.extend_from_slice(b"\x1b[?6h");
        }
        let row = screen.row(cursor.row);
        let cell = row.cell(cursor.column);
        if cursor.wraps {
            self.print_at_edge(painter, cursor.row, cursor.column, row);
        } else {
            painter.go_to(cursor.row, cursor.column);
        }
        painter.set_style(style);
        painter.set_link(&super::link::Link::none());
        painter.set_grapheme(false);
        charsets.write(&mut painter.out);
        painter.out.extend_from_slice(b"\x1b7");
        let repaired = cursor.wraps && cell.is_empty();
        if repaired {
            painter.go_to(cursor.row, cursor.column);
            painter.dip(cell);
            painter.sequence(&[], "X");
        }
        repaired
    }

    /// Takes back what saving needed.
    fn end_saved(&self, painter: &mut Painter<'_>, saved: &SavedCursor) {
        painter.set_style(Style::default());
        if saved.charsets != super::charset::Charsets::default() {
            painter
                .out
                .extend_from_slice(b"\x1b(B\x1b)B\x1b*B\x1b+B\x0f");
        }
        if saved.origin {
            painter.out.extend_from_slice(b"\x1b[?6l");
        }
    }

    /// Prints the cell at `column` again, so that a wrap waits behind it.
    fn print_at_edge(&self, painter: &mut Painter<'_>, row_number: u16, column: u16, row: &Row) {
        let mut column = column;
        if row.cell(column).is_tail() {
            column -= 1;
        }
        painter.go_to(row_number, column);
        painter.dip(row.cell(column));
        painter.print(row.cell(column));
    }

    fn write_tabs(&self, painter: &mut Painter<'_>) {
        painter.out.extend_from_slice(b"\x1b[3g");
        for stop in self.tabs.stops() {
            painter.sequence(&[stop + 1], "G");
            painter.out.extend_from_slice(b"\x1bH");
        }
    }

    fn write_saved_modes(&self, painter: &mut Painter<'_>) {
        for &(mode, on) in &self.saved_modes {
            let letter = |on| if on { "h" } else { "l" };
            let now = self.modes.get(mode).unwrap_or(false);
            let sequences = format!(
                "\x1b[?{mode}{}\x1b[?{mode}s\x1b[?{mode}{}",
                letter(on),
                letter(now)
            );
            painter.out.extend_from_slice(sequences.as_bytes());
        }
        // Some of them are set in their own place.
        if !self.saved_modes.is_empty() {
            painter
                .out
                .extend_from_slice(b"\x1b[?6;45;66;69;2027l\x1b[?7;25h");
        }
    }

    /// Adds modes, margins and what else a reset terminal lacks, but for cursor and pen.
    fn write_modes(&self, painter: &mut Painter<'_>) {
        let modes = &self.modes;
        modes.write(&mut painter.out);
        if modes.reverse_wrap {
            painter.out.extend_from_slice(b"\x1b[?45h");
        }
        if modes.keypad {
            painter.out.extend_from_slice(b"\x1b=");
        }
        self.key_resources.write(&mut painter.out);
        if self.cursor_shape != 0 {
            painter.sequence(&[self.cursor_shape], " q");
        }
        self.write_margins(painter);
    }

    /// Adds margins and origin mode to a terminal without; the cursor is moved.
    pub(super) fn write_margins(&self, painter: &mut Painter<'_>) {
        let Margins {
            top,
            bottom,
            left,
            right,
        } = self.margins;
        if self.modes.margins {
            painter.out.extend_from_slice(b"\x1b[?69h");
            painter.sequence(&[left + 1, right], "s");
        }
        if (top, bottom) != (0, self.size.rows) {
            painter.sequence(&[top + 1, bottom], "r");
        }
        if self.modes.origin {
            painter.out.extend_from_slice(b"\x1b[?6h");
        }
    }

    /// Adds what belongs to the next character: cursor, pen, sets, insert and wrap mode.
    pub(super) fn write_position(&self, painter: &mut Painter<'_>) {
        let modes = &self.modes;
        let cursor = self.cursor;
        if cursor.wraps && !self.repeatable {
            let row = self.screen().row(cursor.row);
            let (top, left) = self.origin();
            let mut column = cursor.column;
            if row.cell(column).is_tail() {
                column -= 1;
            }
            painter.go_to(cursor.row - top, column - left);
            painter.dip(row.cell(column));
            painter.print(row.cell(column));
            // Any sequence: REP must not find something printed.
            painter.out.extend_from_slice(b"\x1b[?25h");
        } else {
            self.go_to_cursor(painter, cursor.column);
        }
        painter.set_style(self.pen.style);
        painter.set_link(&self.pen.link);
        painter.set_grapheme(modes.grapheme);
        self.charsets.write(&mut painter.out);
        if modes.new_line {
            painter.out.extend_from_slice(b"\x1b[20h");
        }
        if modes.insert {
            painter.out.extend_from_slice(b"\x1b[4h");
        }
        if modes.no_autowrap {
            painter.out.extend_from_slice(b"\x1b[?7l");
        }
        if modes.hidden_cursor {
            painter.out.extend_from_slice(b"\x1b[?25l");
        }
        if self.repeatable {
            self.print_again(painter);
        }
        self.charsets.write_single(&mut painter.out);
    }

    /// Prints the cell before the cursor once more, so that REP can repeat it.
    fn print_again(&self, painter: &mut Painter<'_>) {
        let Some((column, cell)) = self.cell_before() else {
            return;
        };
        self.go_to_cursor(painter, column);
        // Whatever the mode, it is the one in which the cell was printed.
        let mut text = String::new();
        self.append_text(cell, &mut text);
        if self.modes.insert && self.column_in_margins() {
            // Only the first character of a cluster is inserted: one that grows overwrites.
            let inserted = text.chars().next().map_or(1, width::width);
            painter.sequence(&[u16::from(inserted)], "P");
        }
        painter.dip(cell);
        painter.out.extend_from_slice(text.as_bytes());
    }

    fn origin(&self) -> (u16, u16) {
        if self.modes.origin {
            (self.margins.top, self.margins.left)
        } else {
            (0, 0)
        }
    }

    fn go_to_cursor(&self, painter: &mut Painter<'_>, column: u16) {
        let (top, left) = self.origin();
        painter.go_to(self.cursor.row - top, column - left);
    }
}

/// Where the first row of a screen is painted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// At the start of a row.
    Fresh,
    /// Behind a line that it continues.
    Behind,
}

/// How far a line of history has come on a terminal of our width.
#[derive(Default)]
pub(super) struct Line {
    /// Columns used in the last row.
    column: u16,
    wrapped: bool,
    /// A background was used since the line began.
    colored: bool,
    /// Text is whole clusters of mode 2027.
    pub(super) grapheme: bool,
}

impl Line {
    pub(super) fn advance(&mut self, text: &str, columns: u16) {
        if text.is_ascii() {
            let all = usize::from(self.column) + text.len();
            if all > usize::from(columns) {
                self.wrapped = true;
                self.column = ((all - 1) % usize::from(columns)) as u16 + 1;
            } else {
                self.column = all as u16;
            }
            return;
        }
        if self.grapheme {
            self.step(u16::from(width::cluster_width(text)), columns);
            return;
        }
        for c in text.chars() {
            self.step(u16::from(width::width(c)), columns);
        }
    }

    fn step(&mut self, width: u16, columns: u16) {
        if self.column + width > columns {
            self.wrapped = true;
            self.column = 0;
        }
        self.column += width;
    }

    /// Whether its last row has no column left.
    pub(super) fn is_full(&self, columns: u16) -> bool {
        self.column >= columns
    }

    /// Ends the line: a row that scrolled in while a background was set has it all along.
    fn end(&mut self, painter: &mut Painter<'_>, columns: u16) {
        end_row(painter);
        if self.wrapped && self.colored && !self.is_full(columns) {
            painter.sequence(&[], "K");
        }
        *self = Self::default();
    }
}

/// Puts the pen down: a new row that scrolls in must not get its background.
fn end_row(painter: &mut Painter<'_>) {
    painter.set_style(Style::default());
    painter.set_link(&super::link::Link::none());
}

/// Adds the shell marks of a row to a cursor in it.
pub(super) fn write_marks(out: &mut Vec<u8>, marks: u8) {
    if marks & Row::OUTPUT != 0 {
        out.extend_from_slice(b"\x1b]133;C\x1b\\");
    }
    if marks & Row::PROMPT != 0 {
        out.extend_from_slice(b"\x1b]133;A\x1b\\");
    }
}

/// The cell, for readers of the model's rows.
pub(super) fn is_blank(row: &Row) -> bool {
    row.used_cells().iter().all(|cell| *cell == Cell::EMPTY)
}
