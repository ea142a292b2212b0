//! Control sequences (ECMA-48 § 8.3, xterm's ctlseqs, kitty's keyboard protocol).

use super::margins::Margins;
use super::parameters::Parameters;
use super::row::Row;
use super::state::State;

impl State {
    /// Carries out `CSI prefix parameters intermediate last`; 0: no prefix, no intermediate.
    pub(super) fn control_sequence(
        &mut self,
        prefix: u8,
        intermediate: u8,
        parameters: &Parameters,
        last: u8,
    ) {
        if last == b'b' && prefix == 0 && intermediate == 0 {
            return self.repeat(parameters.count(0));
        }
        self.repeatable = false;
        match (prefix, intermediate, last) {
            (0, 0, b'm') => {
                let mut style = self.pen.style;
                style.apply(parameters);
                self.set_style(style);
            }
            (0, 0, _) => self.plain_sequence(parameters, last),
            (b'?', 0, _) => self.private_sequence(parameters, last),
            (b'>', 0, b'c') => self.answer(super::answer::SECONDARY_ATTRIBUTES),
            (b'=', 0, b'c') => self.answer(super::answer::TERTIARY_ATTRIBUTES),
            (b'>', 0, b'q') if parameters.get(0) == 0 => self.answer(super::answer::version()),
            (b'>', 0, b'm' | b'f') => {
                let value = (parameters.len() > 1).then(|| parameters.get(1));
                self.key_resources.set(last, parameters.get(0), value);
            }
            (b'>', 0, b'n') => self.key_resources.set(b'm', parameters.get(0), None),
            (b'>', 0, b'u') => {
                let flags = parameters.get(0);
                self.screen_state().kitty.push(flags);
            }
            (b'<', 0, b'u') => {
                let count = parameters.count(0);
                self.screen_state().kitty.pop(count);
            }
            (b'=', 0, b'u') => {
                let (flags, how) = (parameters.get(0), parameters.get(1));
                self.screen_state().kitty.set(flags, how);
            }
            (0, b'!', b'p') => self.soft_reset(),
            (0, b' ', b'q') => self.cursor_shape = parameters.get(0),
            (0, b'"', b'q') => {
                let mut style = self.pen.style;
                style.set_protected(parameters.get(0) == 1);
                self.set_style(style);
            }
            (0 | b'?', b'$', b'p') => self.report_mode(prefix == b'?', parameters.get(0)),
            (0, b' ', b'@') => self.shift_columns(parameters.count(0), false),
            (0, b' ', b'A') => self.shift_columns(parameters.count(0), true),
            (0, b'\'', b'}') => self.move_columns(parameters.count(0), true),
            (0, b'\'', b'~') => self.move_columns(parameters.count(0), false),
            _ => {}
        }
    }

    fn plain_sequence(&mut self, parameters: &Parameters, last: u8) {
        let count = parameters.count(0);
        match last {
            b'@' => self.insert_cells(count),
            b'A' => self.move_up(count),
            b'B' | b'e' => self.move_down(count),
            b'C' | b'a' => self.move_right(count),
            b'D' => self.move_left(count),
            b'E' => {
                self.move_down(count);
                self.carriage_return();
            }
            b'F' => {
                self.move_up(count);
                self.carriage_return();
            }
            b'G' | b'`' => self.go_to_column(count),
            b'H' | b'f' => {
                self.go_to_row(count);
                self.go_to_column(parameters.count(1));
            }
            b'I' => self.tab(count),
            b'J' => self.erase_display(parameters.get(0), false),
            b'K' => self.erase_line(parameters.get(0), false),
            b'L' => self.move_lines(count, true),
            b'M' => self.move_lines(count, false),
            b'P' => self.delete_cells(count),
            b'S' => {
                self.cursor.wraps = false;
                self.scroll_up(self.margins, count, false);
            }
            b'T' if parameters.len() <= 1 => self.scroll_down(count),
            b'^' => self.scroll_down(count),
            b'X' => self.erase_cells(count),
            b'Z' => self.back_tab(count),
            b'c' if parameters.get(0) == 0 => self.answer(super::answer::PRIMARY_ATTRIBUTES),
            b'd' => self.go_to_row(count),
            b'g' => match parameters.get(0) {
                0 => self.tabs.set(self.cursor.column, false),
                3 => self.tabs.clear(),
                _ => {}
            },
            b'h' | b'l' => {
                for mode in parameters.values(0) {
                    match mode {
                        4 => self.modes.insert = last == b'h',
                        20 => self.modes.new_line = last == b'h',
                        _ => {}
                    }
                }
            }
            b'n' => self.report_status(parameters.get(0), false),
            b'r' => {
                let size = self.size;
                if self
                    .margins
                    .set_rows(parameters.get(0), parameters.get(1), size)
                {
                    self.home();
                }
            }
            b's' if self.modes.margins => {
                let size = self.size;
                if self
                    .margins
                    .set_columns(parameters.get(0), parameters.get(1), size)
                {
                    self.home();
                }
            }
            b's' => self.save_cursor(),
            b'u' => self.restore_cursor(),
            b't' => self.window_operation(parameters),
            _ => {}
        }
    }

    fn private_sequence(&mut self, parameters: &Parameters, last: u8) {
        match last {
            b'h' | b'l' => {
                for &mode in parameters.values(0) {
                    self.set_mode(mode, last == b'h');
                }
            }
            b's' => {
                for &mode in parameters.values(0) {
                    // A replay could not save these without going there.
                    if matches!(mode, 3 | 47 | 1047 | 1048 | 1049 | 2026) {
                        continue;
                    }
                    let on = self.mode(mode).unwrap_or(false);
                    self.saved_modes.retain(|(other, _)| *other != mode);
                    if self.saved_modes.len() < 64 {
                        self.saved_modes.push((mode, on));
                    }
                }
            }
            b'r' => {
                for &mode in parameters.values(0) {
                    let saved = self.saved_modes.iter().find(|(other, _)| *other == mode);
                    if let Some(&(_, on)) = saved {
                        self.set_mode(mode, on);
                    }
                }
            }
            b'J' => self.erase_display(parameters.get(0), true),
            b'K' => self.erase_line(parameters.get(0), true),
            b'W' if parameters.get(0) == 5 => {
                self.tabs = super::tabs::Tabs::new(self.size.columns);
            }
            b'n' => self.report_status(parameters.get(0), true),
            b'u' => {
                let flags = self.screen_state().kitty.flags();
                self.answer(format!("\x1b[?{flags}u"));
            }
            b'm' if parameters.get(0) == 4 => {
                let value = self.key_resources.get(b'm', 4);
                self.answer(format!("\x1b[>4;{value}m"));
            }
            _ => {}
        }
    }

    /// Whether a private mode is on, the screens included.
    pub(super) fn mode(&self, number: u16) -> Option<bool> {
        match number {
            47 | 1047 | 1049 => Some(self.alternate.is_some()),
            number => self.modes.get(number),
        }
    }

    fn set_mode(&mut self, number: u16, on: bool) {
        match (number, on) {
            (47 | 1047, true) => self.enter_alternate(),
            (47 | 1047, false) => self.leave_alternate(),
            (1048, true) => self.save_cursor(),
            (1048, false) => self.restore_cursor(),
            (1049, true) => {
                if self.alternate.is_none() {
                    self.save_cursor();
                }
                self.enter_alternate();
            }
            (1049, false) => {
                self.leave_alternate();
                self.restore_cursor();
            }
            (6, on) => {
                self.modes.set(6, on);
                self.home();
            }
            (69, on) => {
                self.modes.set(69, on);
                if !on {
                    self.margins.left = 0;
                    self.margins.right = self.size.columns;
                }
            }
            (number, on) => self.modes.set(number, on),
        }
    }

    fn home(&mut self) {
        self.go_to_row(1);
        self.go_to_column(1);
    }

    fn go_to_row(&mut self, row: u16) {
        let base = if self.modes.origin {
            self.margins.top
        } else {
            0
        };
        self.cursor.row = base.saturating_add(row - 1).min(self.size.rows - 1);
        self.clamp_cursor();
        self.cursor.wraps = false;
        self.settle_returned();
    }

    fn go_to_column(&mut self, column: u16) {
        let base = if self.modes.origin {
            self.margins.left
        } else {
            0
        };
        self.cursor.column = base.saturating_add(column - 1).min(self.size.columns - 1);
        self.clamp_cursor();
        self.cursor.wraps = false;
    }

    /// A cursor between the margins stops at them, one outside at the screen's edge.
    fn move_up(&mut self, count: u16) {
        let top = if self.cursor.row >= self.margins.top {
            self.margins.top
        } else {
            0
        };
        self.cursor.row = self.cursor.row.saturating_sub(count).max(top);
        self.cursor.wraps = false;
        self.settle_returned();
    }

    fn move_down(&mut self, count: u16) {
        let inside = self.cursor.row < self.margins.bottom;
        let bottom = if inside {
            self.margins.bottom
        } else {
            self.size.rows
        };
        self.cursor.row = self.cursor.row.saturating_add(count).min(bottom - 1);
        self.cursor.wraps = false;
    }

    fn move_right(&mut self, count: u16) {
        let limit = self.right_limit() - 1;
        self.cursor.column = self.cursor.column.saturating_add(count).min(limit);
        self.cursor.wraps = false;
    }

    fn move_left(&mut self, count: u16) {
        let left = if self.cursor.column >= self.margins.left {
            self.margins.left
        } else {
            0
        };
        self.cursor.column = self.cursor.column.saturating_sub(count).max(left);
        self.cursor.wraps = false;
    }

    fn insert_cells(&mut self, count: u16) {
        if self.column_in_margins() {
            let style = self.erased_number();
            let range = self.cursor.column..self.margins.right;
            self.current_row().insert(range, count, style);
            self.settle(self.cursor.row);
        }
        self.cursor.wraps = false;
    }

    fn delete_cells(&mut self, count: u16) {
        if self.column_in_margins() {
            let style = self.erased_number();
            let range = self.cursor.column..self.margins.right;
            self.current_row().delete(range, count, style);
            self.settle(self.cursor.row);
        }
        self.cursor.wraps = false;
    }

    fn erase_cells(&mut self, count: u16) {
        let style = self.erased_number();
        let column = self.cursor.column;
        let end = column.saturating_add(count).min(self.size.columns);
        self.current_row().erase(column..end, style);
        self.settle(self.cursor.row);
        self.cursor.wraps = false;
    }

    /// IL and DL.
    fn move_lines(&mut self, count: u16, down: bool) {
        let rows = self.margins.top..self.margins.bottom;
        if !rows.contains(&self.cursor.row) || !self.column_in_margins() {
            return;
        }
        let margins = Margins {
            top: self.cursor.row,
            ..self.margins
        };
        let style = self.erased_number();
        if down {
            self.screen_mut().scroll_down(margins, count, style);
        } else {
            self.screen_mut().scroll_up(margins, count, style, None);
        }
        self.cursor.column = self.margins.left;
        self.cursor.wraps = false;
    }

    fn scroll_down(&mut self, count: u16) {
        let (margins, style) = (self.margins, self.erased_number());
        self.screen_mut().scroll_down(margins, count, style);
        self.cursor.wraps = false;
    }

    /// SL and SR.
    fn shift_columns(&mut self, count: u16, right: bool) {
        self.change_columns(self.margins.left, count, right);
    }

    /// DECIC and DECDC.
    fn move_columns(&mut self, count: u16, right: bool) {
        let rows = self.margins.top..self.margins.bottom;
        if rows.contains(&self.cursor.row) && self.column_in_margins() {
            self.change_columns(self.cursor.column, count, right);
        }
    }

    fn change_columns(&mut self, column: u16, count: u16, right: bool) {
        let style = self.erased_number();
        let Margins {
            top,
            bottom,
            right: end,
            ..
        } = self.margins;
        for row in top..bottom {
            let row = self.screen_mut().row_mut(row);
            if right {
                row.insert(column..end, count, style);
            } else {
                row.delete(column..end, count, style);
            }
        }
        (top..bottom).for_each(|row| self.settle(row));
        self.cursor.wraps = false;
    }

    /// ED, and DECSED, which passes protected cells by.
    fn erase_display(&mut self, what: u16, selective: bool) {
        let row = self.cursor.row;
        match what {
            0 => {
                self.erase_line(0, selective);
                self.erase_rows(row + 1..self.size.rows, selective);
            }
            1 => {
                self.erase_line(1, selective);
                self.erase_rows(0..row, selective);
            }
            2 => self.erase_rows(0..self.size.rows, selective),
            3 if !selective => {
                self.history.clear();
                self.main.detach(0);
            }
            _ => {}
        }
        self.cursor.wraps &= what == 3;
    }

    fn erase_rows(&mut self, rows: std::ops::Range<u16>, selective: bool) {
        let style = self.erased_number();
        let columns = self.size.columns;
        for row in rows {
            if selective {
                self.erase_selectively(row, 0..columns);
            } else {
                self.screen_mut().row_mut(row).clear(style);
                self.settle(row);
            }
        }
    }

    /// EL and DECSEL.
    fn erase_line(&mut self, what: u16, selective: bool) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        let columns = self.size.columns;
        let range = match what {
            0 => column..columns,
            1 => 0..column + 1,
            2 => 0..columns,
            _ => return,
        };
        self.cursor.wraps = false;
        if selective {
            return self.erase_selectively(row, range);
        }
        if what == 2 {
            // Not only the cells: whatever else the row had.
            return self.erase_rows(row..row + 1, false);
        }
        let style = self.erased_number();
        let edited: &mut Row = self.screen_mut().row_mut(row);
        // A row that is erased from its start continues nothing any more.
        if range.start == 0 {
            edited.continuation = false;
        }
        edited.erase(range, style);
        self.settle(row);
    }

    fn erase_selectively(&mut self, row: u16, range: std::ops::Range<u16>) {
        let style = self.erased_number();
        for column in range {
            let cell = self.screen().row(row).cell(column);
            let protected = self
                .content
                .styles
                .get(u32::from(cell.style))
                .is_protected();
            if !protected {
                self.screen_mut()
                    .row_mut(row)
                    .erase(column..column + 1, style);
            }
        }
        self.settle(row);
    }

    /// XTWINOPS: the title stack, and reports.
    fn window_operation(&mut self, parameters: &Parameters) {
        let size = self.size;
        match parameters.get(0) {
            22 => self.titles.push(parameters.get(1)),
            23 => self.titles.pop(parameters.get(1)),
            14 => {
                let (height, width) = super::answer::pixels(size);
                self.answer(format!("\x1b[4;{height};{width}t"));
            }
            16 => {
                let (height, width) = super::answer::pixels(size);
                let (height, width) = (
                    height / u32::from(size.rows),
                    width / u32::from(size.columns),
                );
                self.answer(format!("\x1b[6;{height};{width}t"));
            }
            18 => self.answer(format!("\x1b[8;{};{}t", size.rows, size.columns)),
            19 => self.answer(format!("\x1b[9;{};{}t", size.rows, size.columns)),
            11 => self.answer("\x1b[1t"),
            13 => self.answer("\x1b[3;0;0t"),
            _ => {}
        }
    }
}
