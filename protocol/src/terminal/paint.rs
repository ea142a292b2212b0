//! Turns cells into bytes for a terminal.

use super::cell::{Cell, Glyph};
use super::content::Content;
use super::digits;
use super::link::Link;
use super::row::Row;
use super::style::Style;
use super::width;

/// A pen on a terminal whose colours, attributes and link it knows.
pub(super) struct Painter<'a> {
    pub(super) out: Vec<u8>,
    content: &'a Content,
    style: Style,
    link: Link,
    grapheme: bool,
}

impl<'a> Painter<'a> {
    /// The terminal has the default pen.
    pub(super) fn new(content: &'a Content) -> Self {
        Self {
            out: Vec::new(),
            content,
            style: Style::default(),
            link: Link::none(),
            grapheme: false,
        }
    }

    /// Adds `CSI numbers last`.
    pub(super) fn sequence(&mut self, numbers: &[u16], last: &str) {
        self.out.extend_from_slice(b"\x1b[");
        for (index, number) in numbers.iter().enumerate() {
            if index > 0 {
                self.out.push(b';');
            }
            digits::write(&mut self.out, u32::from(*number));
        }
        self.out.extend_from_slice(last.as_bytes());
    }

    /// CUP, 0-based.
    pub(super) fn go_to(&mut self, row: u16, column: u16) {
        self.sequence(&[row + 1, column + 1], "H");
    }

    pub(super) fn set_style(&mut self, style: Style) {
        if style == self.style {
            return;
        }
        if style.is_protected() != self.style.is_protected() {
            self.sequence(&[u16::from(style.is_protected())], "\"q");
        }
        if style.unprotected() != self.style.unprotected() {
            self.out.extend_from_slice(b"\x1b[");
            let start = self.out.len();
            if self.style.unprotected() != Style::default() {
                self.out.push(b'0');
                style.write_parameters(&mut self.out);
            } else {
                style.write_parameters(&mut self.out);
                // The first semicolon would mean a 0.
                self.out.remove(start);
            }
            self.out.push(b'm');
        }
        self.style = style;
    }

    pub(super) fn set_link(&mut self, link: &Link) {
        if *link != self.link {
            link.write(&mut self.out);
            self.link = link.clone();
        }
    }

    pub(super) fn set_grapheme(&mut self, on: bool) {
        if on != self.grapheme {
            self.grapheme = on;
            self.out
                .extend_from_slice(if on { b"\x1b[?2027h" } else { b"\x1b[?2027l" });
        }
    }

    /// Sets style and link of a cell.
    pub(super) fn dip(&mut self, cell: Cell) {
        self.set_style(*self.content.styles.get(u32::from(cell.style)));
        let link = self.content.links.get(u32::from(cell.link));
        if *link != self.link {
            self.set_link(&link.clone());
        }
    }

    /// Prints what stands in a cell, an erased one as a space. True when terminals may disagree
    /// about where the cursor is then.
    pub(super) fn print(&mut self, cell: Cell) -> bool {
        match cell.glyph() {
            Glyph::Empty => self.out.push(b' '),
            Glyph::Char(c) => return self.print_char(c),
            Glyph::Cluster { index, grapheme } => {
                self.print_cluster(self.content.clusters.get(index), grapheme);
                return true;
            }
            Glyph::Tail => {}
        }
        false
    }

    /// Prints a cluster, under mode 2027 where that put it together. Its first character comes
    /// without: it must not join what stands before it.
    pub(super) fn print_cluster(&mut self, text: &str, grapheme: bool) {
        let first = text.chars().next().map_or(0, char::len_utf8);
        let (first, rest) = text.split_at(first);
        self.set_grapheme(false);
        self.out.extend_from_slice(first.as_bytes());
        self.set_grapheme(grapheme);
        self.out.extend_from_slice(rest.as_bytes());
    }

    /// Prints a character; true when terminals may disagree about its width.
    pub(super) fn print_char(&mut self, c: char) -> bool {
        if !c.is_ascii() {
            self.set_grapheme(false);
        }
        let mut buffer = [0; 4];
        self.out
            .extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        width::is_doubtful(c)
    }

    /// Paints `row` from its first column on, where the cursor stands and everything is empty.
    /// The cursor ends up behind the last cell painted.
    pub(super) fn row(&mut self, row: &Row) {
        self.row_from(row, 0);
    }

    /// The same from another column on.
    pub(super) fn row_from(&mut self, row: &Row, start: u16) {
        let cells = row.used_cells();
        let columns = row.cells().len();
        let mut at = usize::from(start);
        while at < cells.len() {
            let cell = cells[at];
            if !cell.is_empty() {
                self.dip(cell);
                let doubtful = self.print(cell);
                at += 1;
                while cells.get(at).is_some_and(|cell| cell.is_tail()) {
                    at += 1;
                }
                if doubtful && at < columns {
                    self.sequence(&[at as u16 + 1], "G");
                }
                continue;
            }
            let same = cells[at..]
                .iter()
                .take_while(|other| **other == cell)
                .count();
            let to_edge = at + same == columns;
            if cell.style != 0 {
                self.dip(cell);
                if to_edge {
                    self.sequence(&[], "K");
                } else {
                    self.sequence(&[same as u16], "X");
                }
            }
            at += same;
            if at < cells.len() {
                self.sequence(&[same as u16], "C");
            }
        }
    }
}
