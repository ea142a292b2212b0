//! Controls of one byte, and escape sequences (ECMA-48, DEC STD 070).

use super::cell::Cell;
use super::margins::Margins;
use super::screen::Screen;
use super::state::State;

impl State {
    /// C0.
    pub(super) fn control(&mut self, byte: u8) {
        if byte != 0 && byte != 0x7f {
            self.repeatable = false;
        }
        match byte {
            0x08 => self.backspace(),
            0x09 => self.tab(1),
            0x0a..=0x0c => self.line_feed(),
            0x0d => self.carriage_return(),
            0x0e => self.charsets.shift(1),
            0x0f => self.charsets.shift(0),
            _ => {}
        }
    }

    pub(super) fn carriage_return(&mut self) {
        self.cursor.column = self.margins_left();
        self.cursor.wraps = false;
    }

    fn backspace(&mut self) {
        let left = self.margins.left;
        if self.cursor.wraps && self.modes.reverse_wrap {
            self.cursor.wraps = false;
            return;
        }
        self.cursor.wraps = false;
        let column = self.cursor.column;
        if column == left || column == 0 {
            // Reverse wraparound (mode 45) goes back over a soft wrap only, as xterm.js and
            // recent xterm do.
            let wrapped = self.screen().row(self.cursor.row).continuation;
            if self.modes.reverse_wrap && wrapped && self.cursor.row > self.margins.top {
                self.cursor.row -= 1;
                self.cursor.column = self.margins.right - 1;
            }
        } else {
            self.cursor.column = column - 1;
        }
    }

    pub(super) fn tab(&mut self, count: u16) {
        let limit = self.right_limit() - 1;
        for _ in 0..count.min(self.size.columns) {
            let next = self.tabs.next(self.cursor.column).unwrap_or(limit);
            self.cursor.column = next.min(limit);
        }
    }

    pub(super) fn back_tab(&mut self, count: u16) {
        let limit = if self.modes.origin {
            self.margins.left
        } else {
            0
        };
        for _ in 0..count.min(self.size.columns) {
            let previous = self.tabs.previous(self.cursor.column).unwrap_or(limit);
            self.cursor.column = previous.max(limit).min(self.cursor.column);
        }
        self.cursor.wraps = false;
    }

    /// Sequences that begin with ESC and no other introducer.
    pub(super) fn escape_sequence(&mut self, intermediates: &[u8], last: u8) {
        self.repeatable = false;
        match (intermediates, last) {
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'D') => {
                self.index();
                self.cursor.wraps = false;
            }
            ([], b'E') => {
                self.carriage_return();
                self.line_feed();
            }
            ([], b'H') => self.tabs.set(self.cursor.column, true),
            ([], b'M') => self.reverse_index(),
            ([], b'N') => self.charsets.shift_once(2),
            ([], b'O') => self.charsets.shift_once(3),
            ([], b'Z') => self.answer(super::answer::PRIMARY_ATTRIBUTES),
            ([], b'=') => self.modes.keypad = true,
            ([], b'>') => self.modes.keypad = false,
            ([], b'c') => self.reset(),
            ([], b'n') => self.charsets.shift(2),
            ([], b'o') => self.charsets.shift(3),
            ([b'#'], b'8') => self.align(),
            ([b'('], set) => self.charsets.designate(0, 0, set),
            ([b')' | b'-'], set) => self.charsets.designate(1, 0, set),
            ([b'*' | b'.'], set) => self.charsets.designate(2, 0, set),
            ([b'+' | b'/'], set) => self.charsets.designate(3, 0, set),
            ([introducer @ b'('..=b'+', space @ 0x20..=0x2f], set) => {
                self.charsets.designate(introducer - b'(', *space, set);
            }
            _ => {}
        }
    }

    pub(super) fn save_cursor(&mut self) {
        let mut saved = super::cursor::SavedCursor {
            cursor: self.cursor,
            style: self.pen.style,
            charsets: self.charsets.settled(),
            origin: self.modes.origin,
        };
        // Between margins the flag could not be made again.
        saved.cursor.wraps &= saved.cursor.column + 1 == self.size.columns;
        self.screen_state().saved = saved;
    }

    pub(super) fn restore_cursor(&mut self) {
        let saved = self.screen_state().saved;
        self.cursor = saved.cursor;
        self.set_style(saved.style);
        self.charsets = saved.charsets;
        self.modes.origin = saved.origin;
        self.clamp_cursor();
        let cell = self.screen().row(self.cursor.row).cell(self.cursor.column);
        self.cursor.wraps &= !cell.is_empty() && self.cursor.column + 1 == self.right_limit();
        self.settle_returned();
    }

    /// Puts the cursor where it may be.
    pub(super) fn clamp_cursor(&mut self) {
        let full = Margins::full(self.size);
        let within = if self.modes.origin {
            self.margins
        } else {
            full
        };
        let row = self.cursor.row.clamp(within.top, within.bottom - 1);
        let column = self.cursor.column.clamp(within.left, within.right - 1);
        self.cursor.wraps &= column == self.cursor.column;
        self.cursor.row = row;
        self.cursor.column = column;
    }

    /// RI.
    fn reverse_index(&mut self) {
        if self.cursor.row == self.margins.top {
            if self.margins.full_width(self.size) || self.column_in_margins() {
                let (margins, style) = (self.margins, self.erased_number());
                self.screen_mut().scroll_down(margins, 1, style);
            }
        } else if self.cursor.row > 0 {
            self.cursor.row -= 1;
            self.settle_returned();
        }
        self.cursor.wraps = false;
    }

    /// DECALN: a screen full of E.
    fn align(&mut self) {
        self.margins = Margins::full(self.size);
        self.modes.origin = false;
        self.cursor = super::cursor::Cursor::default();
        self.settle_returned();
        let columns = self.size.columns;
        for row in self.screen_mut().rows_mut() {
            row.clear(0);
            row.cells_mut(columns).fill(Cell::ascii(b'E', 0, 0));
        }
    }

    /// RIS. History, title and colours stay, as in xterm.
    fn reset(&mut self) {
        self.leave_alternate();
        self.history.give_up_returned();
        self.main = Screen::new(self.size);
        self.main_state = super::state::ScreenState::default();
        self.alternate_state = super::state::ScreenState::default();
        self.tabs = super::tabs::Tabs::new(self.size.columns);
        self.modes.reset(|_| false);
        self.modes.grapheme = false;
        self.saved_modes.clear();
        self.key_resources = super::keyboard::KeyResources::default();
        self.cursor_shape = 0;
        self.reset_drawing();
        self.cursor = super::cursor::Cursor::default();
    }

    /// DECSTR.
    pub(super) fn soft_reset(&mut self) {
        self.modes.reset(|number| number != 1);
        self.reset_drawing();
        self.screen_state().saved = super::cursor::SavedCursor::default();
        self.cursor.wraps = false;
    }

    fn reset_drawing(&mut self) {
        self.margins = Margins::full(self.size);
        self.charsets = super::charset::Charsets::default();
        self.set_style(super::style::Style::default());
        self.set_link(super::link::Link::none());
    }

    /// Shows the alternate screen, empty.
    pub(super) fn enter_alternate(&mut self) {
        if self.alternate.is_none() {
            let style = self.erased_number();
            let mut screen = Screen::new(self.size);
            if style != 0 {
                screen
                    .rows_mut()
                    .iter_mut()
                    .for_each(|row| row.clear(style));
            }
            self.alternate = Some(screen);
            self.cursor.wraps = false;
            self.alternate_state = super::state::ScreenState::default();
        }
    }

    /// Shows the main screen; what the alternate one showed is gone.
    pub(super) fn leave_alternate(&mut self) {
        self.cursor.wraps &= self.alternate.is_none();
        self.alternate = None;
        self.alternate_state = super::state::ScreenState::default();
    }
}
