//! What a client of another size shows.
//!
//! It gets no bytes of the program, which would wrap wrongly, but a picture: the cells that fit,
//! drawn one by one where they changed. Nothing ever scrolls or wraps on the client's terminal.

use std::sync::Arc;

use super::cell::Glyph;
use super::link::Link;
use super::paint::Painter;
use super::replay::{BLANK, RESET};
use super::state::State;
use super::style::Style;
use crate::size::Size;

/// The cells that were last drawn on a terminal whose size differs from the session's.
#[derive(Debug, Default)]
pub struct Picture {
    size: Option<Size>,
    /// Row by row.
    cells: Vec<Drawn>,
    /// What was sent last for modes, keyboard and title.
    surroundings: Vec<u8>,
    /// What was sent last for the cursor.
    cursor: Vec<u8>,
}

/// A cell as it was drawn: independent of the tables of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drawn {
    text: Text,
    style: Style,
    link: Option<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Char(char, u8),
    /// Text, columns, and whether mode 2027 put it together.
    Cluster(Arc<str>, u8, bool),
    Tail,
}

impl Drawn {
    fn blank(style: Style) -> Self {
        Self {
            text: Text::Char(' ', 1),
            style,
            link: None,
        }
    }

    fn columns(&self) -> usize {
        match self.text {
            Text::Char(_, columns) | Text::Cluster(_, columns, _) => usize::from(columns),
            Text::Tail => 1,
        }
    }
}

impl State {
    /// Draws what fits into `size`: the top left, or where the cursor would not be seen then,
    /// as far down and right as it takes.
    pub(super) fn draw(&self, size: Size, picture: &mut Picture) -> Vec<u8> {
        let mut painter = Painter::new(&self.content);
        let blank = usize::from(size.rows) * usize::from(size.columns);
        if picture.size.is_none_or(|drawn| !drawn.same_cells(size)) {
            painter.out.extend_from_slice(RESET.as_bytes());
            painter.out.extend_from_slice(BLANK.as_bytes());
            *picture = Picture {
                size: Some(size),
                cells: vec![Drawn::blank(Style::default()); blank],
                surroundings: Vec::new(),
                cursor: Vec::new(),
            };
        }
        let top = offset(self.cursor.row, size.rows, self.size.rows);
        let left = offset(self.cursor.column, size.columns, self.size.columns);
        self.draw_surroundings(&mut painter, picture);
        let start = painter.out.len();
        let mut row_cells = Vec::new();
        for row in 0..size.rows {
            self.clip_row(top + row, left, size.columns, &mut row_cells);
            let from = usize::from(row) * usize::from(size.columns);
            let drawn = &mut picture.cells[from..from + usize::from(size.columns)];
            draw_row(&mut painter, row, &row_cells, drawn);
        }
        let changed = painter.out.len() > start;
        painter.set_style(Style::default());
        painter.set_link(&Link::none());
        painter.set_grapheme(false);
        let mut cursor = Painter::new(&self.content);
        cursor.go_to(self.cursor.row - top, self.cursor.column - left);
        let shown: &[u8] = if self.modes.hidden_cursor {
            b"\x1b[?25l"
        } else {
            b"\x1b[?25h"
        };
        cursor.out.extend_from_slice(shown);
        if changed || cursor.out != picture.cursor {
            painter.out.extend_from_slice(&cursor.out);
            picture.cursor = cursor.out;
        }
        if !changed {
            return painter.out;
        }
        // The cursor does not wander over the screen while it is drawn, and a character that is
        // wider there than here must not wrap.
        let mut out = b"\x1b[?2026h\x1b[?25l\x1b[?7l".to_vec();
        out.append(&mut painter.out);
        out.extend_from_slice(b"\x1b[?7h\x1b[?2026l");
        out
    }

    /// Sends modes, keyboard protocols and title where they changed: the client types as well.
    fn draw_surroundings(&self, painter: &mut Painter<'_>, picture: &mut Picture) {
        let mut wanted = Vec::new();
        self.modes.write(&mut wanted);
        wanted.extend_from_slice(if self.modes.keypad {
            b"\x1b="
        } else {
            b"\x1b>"
        });
        wanted.extend_from_slice(b"\x1b[<99u\x1b[=0;1u\x1b[>4;0m");
        self.key_resources.write(&mut wanted);
        let state = match &self.alternate {
            Some(_) => &self.alternate_state,
            None => &self.main_state,
        };
        state.kitty.write(&mut wanted);
        wanted.extend_from_slice(format!("\x1b[{} q", self.cursor_shape).as_bytes());
        self.titles.write_window(&mut wanted);
        self.colors.write(&mut wanted);
        if wanted != picture.surroundings {
            painter.out.extend_from_slice(&wanted);
            picture.surroundings = wanted;
        }
    }

    /// The cells of a row from `left` on; halves of wide characters at the edges are blank.
    fn clip_row(&self, row: u16, left: u16, columns: u16, out: &mut Vec<Drawn>) {
        out.clear();
        let wanted = usize::from(columns);
        if row < self.size.rows {
            let cells = self.screen().row(row).cells();
            let end = cells.len().min(usize::from(left) + wanted);
            for cell in &cells[usize::from(left)..end] {
                let style = *self.content.styles.get(u32::from(cell.style));
                let columns = if cell.is_wide() { 2 } else { 1 };
                let text = match cell.glyph() {
                    Glyph::Empty => Text::Char(' ', 1),
                    Glyph::Char(c) => Text::Char(c, columns),
                    Glyph::Cluster { index, grapheme } => {
                        let text = self.content.clusters.get(index).clone();
                        Text::Cluster(text, columns, grapheme)
                    }
                    Glyph::Tail => Text::Tail,
                };
                let link = self.content.links.get(u32::from(cell.link));
                let link = (!link.uri.is_empty()).then(|| link.clone());
                out.push(Drawn {
                    text,
                    style: style.unprotected(),
                    link,
                });
            }
        }
        out.resize(wanted, Drawn::blank(Style::default()));
        if out[0].text == Text::Tail {
            out[0].text = Text::Char(' ', 1);
        }
        if let Some(last) = out.last_mut()
            && last.columns() == 2
        {
            last.text = Text::Char(' ', 1);
        }
    }
}

/// How far the picture is moved so that it shows the cursor.
fn offset(cursor: u16, shown: u16, whole: u16) -> u16 {
    if shown >= whole || cursor < shown {
        0
    } else {
        cursor - shown + 1
    }
}

/// Draws the cells that differ, and remembers them.
fn draw_row(painter: &mut Painter<'_>, row: u16, wanted: &[Drawn], drawn: &mut [Drawn]) {
    let mut at = 0;
    // Where the cursor is in this row, as far as all terminals agree.
    let mut here = None;
    while at < wanted.len() {
        let width = wanted[at].columns().min(wanted.len() - at);
        if wanted[at..at + width] == drawn[at..at + width] {
            at += width;
            continue;
        }
        let rest_is_blank = wanted[at..].iter().all(|cell| *cell == wanted[at])
            && wanted[at].text == Text::Char(' ', 1)
            && wanted[at].link.is_none()
            && wanted[at].style == wanted[at].style.erased();
        if here != Some(at) {
            painter.go_to(row, at as u16);
        }
        painter.set_style(wanted[at].style);
        painter.set_link(wanted[at].link.as_ref().unwrap_or(&Link::none()));
        if rest_is_blank {
            painter.sequence(&[], "K");
            break;
        }
        let doubtful = match &wanted[at].text {
            Text::Char(c, _) => painter.print_char(*c),
            Text::Cluster(text, _, grapheme) => {
                painter.print_cluster(text, *grapheme);
                true
            }
            Text::Tail => {
                painter.out.push(b' ');
                false
            }
        };
        at += width;
        here = (!doubtful && at < wanted.len()).then_some(at);
    }
    drawn.clone_from_slice(wanted);
}
