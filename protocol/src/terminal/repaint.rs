//! Painting some rows again, and leaving for good.

use std::ops::Range;

use super::paint::Painter;
use super::replay::{RESET, is_blank, write_marks};
use super::state::State;

impl State {
    /// Paints `rows` again and puts everything else back.
    pub(super) fn repaint(&self, rows: Range<u16>, pending: &[u8]) -> Vec<u8> {
        let mut painter = Painter::new(&self.content);
        // The terminal may be in the middle of a sequence: CAN ends it, and it is begun again.
        painter.out.extend_from_slice(
            b"\x18\x1b[?6l\x1b[?69l\x1b[r\x1b[4l\x1b[20l\x1b[?7h\x1b(B\x1b)B\x1b*B\x1b+B\x0f\x1b]8;;\x1b\\\x1b[0\"q\x1b[m",
        );
        painter.out.extend_from_slice(b"\x1b[?2027l");
        for number in rows.start..rows.end.min(self.size.rows) {
            let row = self.screen().row(number);
            painter.go_to(number, 0);
            painter.set_style(super::style::Style::default());
            painter.set_link(&super::link::Link::none());
            painter.sequence(&[], "K");
            write_marks(&mut painter.out, row.marks);
            painter.row(row);
        }
        painter.out.extend_from_slice(b"\x1b[?25h");
        self.write_margins(&mut painter);
        self.write_position(&mut painter);
        painter.out.extend_from_slice(pending);
        painter.out
    }

    /// Goes back to a shell's prompt.
    pub(super) fn leave(&self) -> Vec<u8> {
        let mut painter = Painter::new(&self.content);
        self.write_fresh(&mut painter);
        let row = self.main.rows().iter().rposition(|row| !is_blank(row));
        let last = usize::from(self.size.rows) - 1;
        // The cursor's row may be an empty prompt.
        let row = row.map_or(0, |row| row.min(last));
        painter.go_to(row as u16, 0);
        painter.out.extend_from_slice(b"\r\n\x1b[K");
        painter.out
    }

    /// Goes to where all is blank, below the top quarter.
    pub(super) fn lend(&self) -> Vec<u8> {
        let mut painter = Painter::new(&self.content);
        self.write_fresh(&mut painter);
        let top = self.size.rows / 4;
        painter.sequence(&[top + 1, self.size.rows], "r");
        painter.go_to(top, 0);
        painter.sequence(&[], "J");
        painter.out
    }

    /// Takes back all but what the main screen shows.
    fn write_fresh(&self, painter: &mut Painter<'_>) {
        painter.out.extend_from_slice(RESET.as_bytes());
        // Modes that a fresh terminal has off and the reset does not name.
        let (on, _, _) = self.modes.effective();
        for mode in on.into_iter().filter(|mode| !matches!(mode, 8 | 1007)) {
            painter
                .out
                .extend_from_slice(format!("\x1b[?{mode}l").as_bytes());
        }
        self.key_resources.write_reset(&mut painter.out);
        // After mode 12: the shape that the user chose, blinking or not.
        painter.out.extend_from_slice(b"\x1b[0 q");
        self.colors.cleared().write(&mut painter.out);
    }
}
