//! What a terminal holds as plain text: the history and what shows, line by line.

use super::legend::Piece;
use super::row::Row;
use super::state::State;

impl State {
    /// Gives `visit` all lines, as [`Terminal::visit_lines`](super::Terminal::visit_lines) says.
    pub(super) fn visit_lines(&self, visit: &mut dyn FnMut(&str)) {
        let mut transcript = Transcript {
            line: String::new(),
            empty_lines: 0,
            visit,
        };
        self.history.visit(usize::MAX, &mut |piece| match piece {
            Piece::Text(text) => transcript.line.push_str(text),
            Piece::End => transcript.end_line(),
            Piece::Style(_)
            | Piece::Link(_)
            | Piece::Marks(_)
            | Piece::Graphemes(_)
            | Piece::Fill => {}
        });
        let rows = self.screen().rows();
        // The main screen's first row may continue the last line; the alternate screen never does.
        let goes_on = self.alternate.is_none() && rows[0].continuation;
        if self.history.is_open() && !goes_on {
            transcript.end_line();
        }
        let below = rows.iter().skip(1).map(Some).chain([None]);
        for (row, below) in rows.iter().zip(below) {
            let below = below.filter(|below| below.continuation);
            self.append_row(row, below, &mut transcript.line);
            if below.is_none() {
                transcript.end_line();
            }
        }
    }

    /// Adds the text of a row, and of one that goes on `below` all columns but the one that the wide
    /// character there did not fit into.
    fn append_row(&self, row: &Row, below: Option<&Row>, line: &mut String) {
        let cells = match below {
            None => row.used_cells(),
            Some(below) => match row.cells() {
                [cells @ .., last] if last.is_empty() && below.continues_wide() => cells,
                cells => cells,
            },
        };
        for cell in cells {
            self.append_text(*cell, line);
        }
    }
}

/// The lines so far.
struct Transcript<'a> {
    line: String,
    /// So many before it, which are given once another follows.
    empty_lines: usize,
    visit: &'a mut dyn FnMut(&str),
}

impl Transcript<'_> {
    fn end_line(&mut self) {
        let line = self.line.trim_end_matches(' ');
        if line.is_empty() {
            self.empty_lines += 1;
        } else {
            for _ in 0..std::mem::take(&mut self.empty_lines) {
                (self.visit)("");
            }
            (self.visit)(line);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::message::History;
    use crate::size::Size;
    use crate::terminal::{Limits, Terminal};

    fn fed(size: Size, bytes: &[u8]) -> Terminal {
        let mut terminal = Terminal::new(size, Limits::default());
        terminal.feed(bytes);
        terminal
    }

    fn lines(terminal: &Terminal) -> Vec<String> {
        let mut lines = Vec::new();
        terminal.visit_lines(&mut |line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn a_blank_terminal_has_no_lines() {
        assert!(lines(&fed(Size::new(4, 10), b"")).is_empty());
        assert!(lines(&fed(Size::new(4, 10), b"   \r\n\r\n\r\n\r\n\r\n \r\n")).is_empty());
    }

    #[test]
    fn wrapped_rows_are_one_line_wherever_the_top_of_the_screen_cuts_them() {
        let text = "one\r\n\r\na line of \x1b[1;41mthree\x1b[m rows, blanks at its end   \r\nlast";
        for rows in 1..10 {
            assert_eq!(
                lines(&fed(Size::new(rows, 12), text.as_bytes())),
                ["one", "", "a line of three rows, blanks at its end", "last"],
                "{rows} rows"
            );
        }
    }

    #[test]
    fn a_wide_character_that_did_not_fit_leaves_no_blank() {
        for rows in 1..6 {
            let terminal = fed(Size::new(rows, 5), "日本語日本語 e\u{301}x".as_bytes());
            assert_eq!(lines(&terminal), ["日本語日本語 e\u{301}x"], "{rows} rows");
        }
    }

    #[test]
    fn what_the_cursor_left_out_is_blank() {
        let terminal = fed(Size::new(4, 20), b"\x1b[2;3Ha\x1b[2;6Hb\x1b[4;1H");
        assert_eq!(lines(&terminal), ["", "  a  b"]);
    }

    #[test]
    fn the_alternate_screen_comes_behind_the_history_in_place_of_the_main_one() {
        let main = "scrolled off\r\nand wrapped, half on the screen";
        let mut terminal = fed(Size::new(2, 10), main.as_bytes());
        terminal.feed(b"\x1b[?1049h\x1b[Heditor");
        assert_eq!(
            lines(&terminal),
            ["scrolled off", "and wrapped, half on", "editor"]
        );
        terminal.feed(b"\x1b[?1049l");
        assert_eq!(
            lines(&terminal),
            ["scrolled off", "and wrapped, half on the screen"]
        );
    }

    #[test]
    fn a_replay_has_the_lines_of_what_it_is_of() {
        let mut text = String::new();
        for number in 0..200 {
            text += &format!("{number} {}\r\n", "\x1b[31m日 x\x1b[m".repeat(number % 17));
        }
        let size = Size::new(5, 20);
        let terminal = fed(size, text.as_bytes());
        assert_eq!(lines(&terminal).len(), 200);
        let replayed = |history| lines(&fed(size, &terminal.replay(history)));
        assert_eq!(replayed(History::All), lines(&terminal));
        for (history, count) in [(History::None, 0), (History::Lines(7), 7)] {
            let replayed = replayed(history);
            let last = replayed.last().expect("there are lines");
            assert_eq!(last, lines(&terminal).last().unwrap());
            let of_screen = replayed.len() - count;
            assert!((1..=5).contains(&of_screen), "{replayed:?}");
        }
    }

    #[test]
    fn nothing_that_is_fed_leaves_control_characters() {
        let mut bytes: Vec<u8> = (0..=u8::MAX).collect();
        let controls = (0..=0x9f).filter_map(char::from_u32);
        bytes.extend(controls.flat_map(|c| format!("a{c}b e\u{301}{c}").into_bytes()));
        bytes.extend("\x1b[?2027h👍\u{9b}🏽\u{85}\x7f\u{200d}\x1b]8;;a\x07x".bytes());
        for columns in [1, 2, 9, 80] {
            for line in lines(&fed(Size::new(3, columns), &bytes)) {
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
