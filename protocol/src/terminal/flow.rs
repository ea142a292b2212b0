//! Where text goes at the margins: wrapping, scrolling, and which rows are one line.

use super::margins::Margins;
use super::screen::Keeper;
use super::state::State;

impl State {
    /// Whether the cursor's row is part of a wrapped line: there a replay could not insert the
    /// last character again.
    pub(super) fn is_in_flow(&self) -> bool {
        let rows = self.screen().rows();
        let row = usize::from(self.cursor.row);
        rows[row].continuation || rows.get(row + 1).is_some_and(|next| next.continuation)
    }

    /// Keeps the invariant of [`State::settle`] after text came into `start..end` of the
    /// cursor's row.
    #[inline(always)]
    pub(super) fn settle_after_text(&mut self, start: u16, end: u16) {
        if start <= 1 || end + 2 >= self.size.columns {
            self.settle(self.cursor.row);
        }
    }

    /// Keeps the invariant that a row continues another only where text flows through the
    /// margin: from a printed last column, or past a last column too narrow for a wide
    /// character, to a printed first one. To be called for a row whose edges changed.
    pub(super) fn settle(&mut self, row: u16) {
        for row in [row, row + 1] {
            let screen = self.screen();
            if row >= self.size.rows || !screen.row(row).continuation {
                continue;
            }
            let first = screen.row(row).cell(0);
            let flows = match row.checked_sub(1).map(|above| screen.row(above)) {
                Some(above) => {
                    let edge = self.size.columns - 1;
                    let full = !above.cell(edge).is_empty();
                    full || first.is_wide() && edge > 0 && !above.cell(edge - 1).is_empty()
                }
                None => !self.history.ends_short() || first.is_wide(),
            };
            if first.is_empty() || !flows {
                self.screen_mut().detach(row);
            }
        }
    }

    /// To be called where the cursor may have gone up: among lines that came back from the history
    /// what is there changes.
    #[inline(always)]
    pub(super) fn settle_returned(&mut self) {
        if self.history.returned() > 0 && self.alternate.is_none() {
            self.give_up_returned_at_cursor();
        }
    }

    fn give_up_returned_at_cursor(&mut self) {
        let rows = self.main.rows().iter();
        let up_to_cursor = rows.take(usize::from(self.cursor.row) + 1);
        let begun = up_to_cursor.filter(|row| !row.continuation).count();
        if begun as u64 <= self.history.returned() {
            self.history.give_up_returned();
        }
    }

    /// The first row of the main screen continues only a line that has no end.
    pub(super) fn detach_from_history(&mut self) {
        if !self.history.is_open() {
            self.main.detach(0);
        }
    }

    /// The column that wrapped text goes on at.
    pub(super) fn left_edge(&self) -> u16 {
        if self.cursor.column >= self.margins.left {
            self.margins.left
        } else {
            0
        }
    }

    pub(super) fn column_in_margins(&self) -> bool {
        (self.margins.left..self.margins.right).contains(&self.cursor.column)
    }

    #[inline(always)]
    pub(super) fn advance(&mut self, column: u16, right: u16) {
        if column >= right {
            self.cursor.column = right - 1;
            self.cursor.wraps = true;
        } else {
            self.cursor.column = column;
        }
    }

    /// Carries out a wrap that waits; gives the limit for the columns that follow.
    #[inline(always)]
    pub(super) fn wrap_if_due(&mut self) -> u16 {
        if self.cursor.wraps {
            if !self.modes.no_autowrap {
                self.wrap(false);
            }
            self.cursor.wraps = false;
        }
        self.right_limit()
    }

    /// Goes on in the next row. `gap`: the last column was too narrow for the wide character that
    /// follows.
    pub(super) fn wrap(&mut self, gap: bool) {
        // Only text that fills whole rows flows on; columns between margins do not.
        let flows = self.right_limit() == self.size.columns && self.left_edge() == 0;
        let row = self.cursor.row;
        self.cursor.column = self.left_edge();
        self.cursor.wraps = false;
        let scrolls = row + 1 == self.margins.bottom;
        self.index_past(gap && flows);
        if flows && (scrolls || self.cursor.row > row) && self.continues_something() {
            self.current_row().continuation = true;
        }
    }

    /// Whether there is a row before the cursor's, on the screen or in the history.
    fn continues_something(&self) -> bool {
        self.cursor.row > 0 || (self.alternate.is_none() && self.history.is_open())
    }

    /// IND: down one row, scrolling at the margin.
    pub(super) fn index(&mut self) {
        self.index_past(false);
    }

    /// The same; `gap`: the row is left for the sake of a wide character.
    fn index_past(&mut self, gap: bool) {
        if self.cursor.row + 1 == self.margins.bottom {
            if self.margins.full_width(self.size) || self.column_in_margins() {
                self.scroll_up(self.margins, 1, gap);
            }
        } else if self.cursor.row + 1 < self.size.rows {
            self.cursor.row += 1;
        }
    }

    /// LF: as IND; the row that is reached continues nothing.
    #[inline]
    pub(super) fn line_feed(&mut self) {
        let row = self.cursor.row;
        self.index();
        if self.cursor.row > row {
            self.current_row().continuation = false;
        }
        if self.modes.new_line {
            self.cursor.column = self.margins_left();
        }
        self.cursor.wraps = false;
    }

    /// Where CR goes.
    pub(super) fn margins_left(&self) -> u16 {
        if self.cursor.column >= self.margins.left || self.modes.origin {
            self.margins.left
        } else {
            0
        }
    }

    /// Moves rows up within `margins`; main screen rows that leave at the top become history.
    /// `gap`: a wide character that did not fit into the cursor's row comes next.
    pub(super) fn scroll_up(&mut self, margins: Margins, count: u16, gap: bool) {
        let style = self.erased_number();
        match &mut self.alternate {
            Some(screen) => screen.scroll_up(margins, count, style, None),
            None => {
                let mut keeper = Keeper {
                    history: &mut self.history,
                    content: &self.content,
                    gap,
                };
                self.main
                    .scroll_up(margins, count, style, Some(&mut keeper));
            }
        }
    }
}
