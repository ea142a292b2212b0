//! What the numbers in a block of history stand for: its styles and links.

use super::code;
use super::link::Link;
use super::style::Style;

/// The styles and links of a block, by number.
#[derive(Debug, Default)]
pub(super) struct Legend {
    styles: Vec<Style>,
    links: Vec<Link>,
    /// Memory of the links.
    link_bytes: usize,
}

/// A part of a line, as `History::visit` gives it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Style(Style),
    Link(&'a Link),
    Marks(u8),
    Graphemes(bool),
    Fill,
    /// The line ends; style and link are the default again.
    End,
}

impl Legend {
    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.styles.len() * size_of::<Style>() + self.link_bytes
    }

    /// Gives back the memory that nothing more is written to.
    pub(super) fn close(&mut self) {
        self.styles.shrink_to_fit();
        self.links.shrink_to_fit();
    }

    /// Adds a style; gives its number.
    pub(super) fn add_style(&mut self, style: Style) -> u16 {
        self.styles.push(style);
        (self.styles.len() - 1) as u16
    }

    /// The number of a link, which is added where it is none of the last.
    pub(super) fn number_of(&mut self, link: &Link) -> u32 {
        // Of few: a program that gives each character its own link is not searched for long.
        let recent = self.links.len().saturating_sub(64);
        let found = self.links[recent..].iter().rposition(|other| other == link);
        let number = found.map(|at| recent + at);
        number.unwrap_or_else(|| {
            self.link_bytes += size_of::<Link>() + link.uri.len() + link.parameters.len();
            self.links.push(link.clone());
            self.links.len() - 1
        }) as u32
    }

    /// Gives `visit` the pieces of a block's bytes behind the first `skip` lines.
    pub(super) fn visit_lines(&self, bytes: &[u8], skip: usize, visit: &mut dyn FnMut(Piece<'_>)) {
        let start = match skip {
            0 => 0,
            _ => memchr::memchr_iter(code::END, bytes)
                .nth(skip - 1)
                .map_or(bytes.len(), |end| end + 1),
        };
        self.visit(&bytes[start..], visit);
    }

    /// Gives `visit` the pieces of a block's bytes, or of the last of them.
    pub(super) fn visit(&self, bytes: &[u8], visit: &mut dyn FnMut(Piece<'_>)) {
        self.pieces(bytes, 0).for_each(visit);
    }

    /// Gives `visit` the pieces behind `offset`, the end of some text; style and link there come
    /// first, as they are since the line began, or its part in the block, at `start`.
    pub(super) fn visit_from(
        &self,
        bytes: &[u8],
        start: usize,
        offset: usize,
        visit: &mut dyn FnMut(Piece<'_>),
    ) {
        let (mut style, mut link) = (None, None);
        for piece in self.pieces(&bytes[..offset], start) {
            match piece {
                Piece::Style(_) => style = Some(piece),
                Piece::Link(_) => link = Some(piece),
                Piece::Text(_)
                | Piece::Marks(_)
                | Piece::Graphemes(_)
                | Piece::Fill
                | Piece::End => {}
            }
        }
        style.into_iter().chain(link).for_each(&mut *visit);
        self.visit(&bytes[offset..], visit);
    }

    /// The pieces of a block's bytes from `offset` on.
    pub(super) fn pieces<'a>(&'a self, bytes: &'a [u8], offset: usize) -> Pieces<'a> {
        Pieces {
            legend: self,
            rest: &bytes[offset..],
            end: bytes.len(),
        }
    }
}

/// The pieces of some bytes, one after the other.
pub(super) struct Pieces<'a> {
    legend: &'a Legend,
    rest: &'a [u8],
    end: usize,
}

impl Pieces<'_> {
    /// How many bytes are before the next piece.
    pub(super) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let first = *self.rest.first()?;
            if first >= 0x20 {
                let (text, rest) = self.rest.split_at(text_length(self.rest));
                self.rest = rest;
                let text = std::str::from_utf8(text);
                return Some(Piece::Text(
                    text.expect("only whole characters are written"),
                ));
            }
            self.rest = &self.rest[1..];
            match first {
                code::STYLE => {
                    let number = code::read_number(&mut self.rest);
                    let style = self.legend.styles.get(number);
                    return Some(Piece::Style(style.copied().unwrap_or_default()));
                }
                code::LINK => {
                    let number = code::read_number(&mut self.rest);
                    if let Some(link) = self.legend.links.get(number) {
                        return Some(Piece::Link(link));
                    }
                }
                code::MARKS => {
                    let marks = self.rest.first().copied().unwrap_or(0x20) - 0x20;
                    self.rest = self.rest.get(1..).unwrap_or_default();
                    return Some(Piece::Marks(marks));
                }
                code::FILL => return Some(Piece::Fill),
                code::GRAPHEMES => return Some(Piece::Graphemes(true)),
                code::CHARACTERS => return Some(Piece::Graphemes(false)),
                code::END => return Some(Piece::End),
                _ => {}
            }
        }
    }
}

/// How many bytes are before the first code.
fn text_length(bytes: &[u8]) -> usize {
    let is_code = |byte: &u8| *byte < 0x20;
    let (first, rest) = bytes.split_at(bytes.len().min(32));
    if let Some(length) = first.iter().position(is_code) {
        return length;
    }
    // Longer text is looked at many bytes at a time.
    let is_text = |chunk: &&[u8]| !chunk.iter().fold(false, |any, byte| any | is_code(byte));
    let length = first.len() + 32 * rest.chunks_exact(32).take_while(is_text).count();
    let code = bytes[length..].iter().position(is_code);
    code.map_or(bytes.len(), |code| length + code)
}
