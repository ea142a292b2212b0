//! The block of history that is written to: lines as bytes, and what its numbers stand for.

use super::cell::{Cell, Glyph};
use super::code;
use super::content::Content;
use super::legend::Legend;
use super::row::Row;

/// Some lines.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) legend: Legend,
    /// Line ends in it.
    pub(super) lines: usize,
}

/// What was written last into the open block.
#[derive(Debug, Default)]
pub(super) struct Writer {
    style: u16,
    link: u16,
    /// The block's number of each style of the terminal, plus one; 0: none yet.
    style_numbers: Vec<u16>,
}

impl Block {
    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.legend.size()
    }

    /// Whether its last line is ended.
    pub(super) fn is_ended(&self) -> bool {
        self.bytes.last() == Some(&code::END)
    }
}

impl Writer {
    /// A line begins: nothing is set.
    pub(super) fn begin_line(&mut self) {
        self.style = 0;
        self.link = 0;
    }

    /// Style and link are stated again before what comes next.
    pub(super) fn restate(&mut self) {
        self.style = u16::MAX;
        self.link = u16::MAX;
    }

    /// Forgets what the terminal's numbers were.
    pub(super) fn forget_numbers(&mut self) {
        self.style_numbers.clear();
        self.restate();
    }

    /// Adds a row; `wide_next`: the next one continues it with a wide character.
    pub(super) fn write_row(
        &mut self,
        block: &mut Block,
        row: &Row,
        wide_next: bool,
        content: &Content,
    ) {
        if row.marks != 0 && !row.continuation {
            block
                .bytes
                .extend_from_slice(&[code::MARKS, 0x20 + row.marks]);
        }
        let cells = row.used_cells();
        let text_end = cells
            .iter()
            .rposition(|cell| !cell.is_empty())
            .map_or(0, |at| at + 1);
        // The column that a wide character did not fit into is no text of the line. All before it
        // is: the line goes on there, and only its last row ends where its text does.
        let columns = row.cells().len();
        let goes_on = wide_next && text_end < columns;
        if row.is_plain() {
            if text_end > 0 {
                self.set_style(block, 0, content);
                self.set_link(block, 0, content);
                block
                    .bytes
                    .extend(cells[..text_end].iter().map(|cell| cell.plain_byte()));
            }
            if goes_on {
                self.write_blanks(block, columns - 1 - text_end, content);
            }
            return;
        }
        let filled = cells.len() == columns;
        let last = cells.last().copied().unwrap_or_default();
        let mut end = cells
            .iter()
            .rposition(|cell| *cell != Cell::EMPTY)
            .map_or(0, |at| at + 1);
        if goes_on {
            end = end.min(columns - 1);
        }
        let mut fill = None;
        if filled && end == cells.len() && text_end < end && last.style != 0 {
            let tail = &cells[text_end..];
            let from = tail
                .iter()
                .rposition(|cell| *cell != last)
                .map_or(0, |at| at + 1);
            fill = Some(last.style);
            end = text_end + from;
        }
        let mut at = 0;
        while at < end {
            let cell = cells[at];
            if cell.is_tail() {
                at += 1;
                continue;
            }
            self.set_style(block, cell.style, content);
            self.set_link(block, cell.link, content);
            let rest = &cells[at..end];
            let ascii = rest.iter().take_while(|other| other.is_ascii_like(cell));
            let run = ascii.count();
            let text = rest[..run].iter().map(|cell| cell.plain_byte());
            block.bytes.extend(text);
            let others = rest[run..]
                .iter()
                .take_while(|other| other.is_other_like(cell));
            let others = &rest[run..run + others.count()];
            write_characters(&mut block.bytes, others, content);
            at += run + others.len();
        }
        if goes_on {
            self.write_blanks(block, columns - 1 - end, content);
        }
        if let Some(style) = fill {
            self.set_style(block, style, content);
            block.bytes.push(code::FILL);
        }
    }

    fn write_blanks(&mut self, block: &mut Block, count: usize, content: &Content) {
        if count > 0 {
            self.set_style(block, 0, content);
            self.set_link(block, 0, content);
            block.bytes.resize(block.bytes.len() + count, b' ');
        }
    }

    #[inline(always)]
    fn set_style(&mut self, block: &mut Block, style: u16, content: &Content) {
        if style != self.style {
            self.change_style(block, style, content);
        }
    }

    fn change_style(&mut self, block: &mut Block, style: u16, content: &Content) {
        self.style = style;
        let at = usize::from(style);
        if self.style_numbers.len() <= at {
            self.style_numbers.resize(at + 1, 0);
        }
        if self.style_numbers[at] == 0 {
            let style = *content.styles.get(u32::from(style));
            self.style_numbers[at] = block.legend.add_style(style) + 1;
        }
        block.bytes.push(code::STYLE);
        code::write_number(&mut block.bytes, u32::from(self.style_numbers[at]) - 1);
    }

    #[inline(always)]
    fn set_link(&mut self, block: &mut Block, link: u16, content: &Content) {
        if link != self.link {
            self.change_link(block, link, content);
        }
    }

    fn change_link(&mut self, block: &mut Block, link: u16, content: &Content) {
        self.link = link;
        let number = block.legend.number_of(content.links.get(u32::from(link)));
        block.bytes.push(code::LINK);
        code::write_number(&mut block.bytes, number);
    }
}

/// Adds what stands in cells that are not ASCII.
fn write_characters(out: &mut Vec<u8>, cells: &[Cell], content: &Content) {
    // A few at once: each addition to a vector has its price.
    let mut text = [0; 64];
    let mut length = 0;
    for cell in cells {
        match cell.glyph() {
            Glyph::Char(c) => {
                if length + char::MAX_LEN_UTF8 > text.len() {
                    out.extend_from_slice(&text[..length]);
                    length = 0;
                }
                length += c.encode_utf8(&mut text[length..]).len();
            }
            Glyph::Cluster { index, grapheme } => {
                out.extend_from_slice(&text[..length]);
                length = 0;
                if grapheme {
                    out.push(code::GRAPHEMES);
                }
                out.extend_from_slice(content.clusters.get(index).as_bytes());
                if grapheme {
                    out.push(code::CHARACTERS);
                }
            }
            Glyph::Empty | Glyph::Tail => {}
        }
    }
    out.extend_from_slice(&text[..length]);
}
