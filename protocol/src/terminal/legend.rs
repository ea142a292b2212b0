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
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = rest
                .iter()
                .position(|byte| *byte < 0x20)
                .unwrap_or(rest.len());
            if length > 0 {
                let text = std::str::from_utf8(&rest[..length]);
                visit(Piece::Text(
                    text.expect("only whole characters are written"),
                ));
                rest = &rest[length..];
                continue;
            }
            let code = rest[0];
            rest = &rest[1..];
            match code {
                code::STYLE => {
                    let number = code::read_number(&mut rest);
                    visit(Piece::Style(
                        self.styles.get(number).copied().unwrap_or_default(),
                    ));
                }
                code::LINK => {
                    let number = code::read_number(&mut rest);
                    if let Some(link) = self.links.get(number) {
                        visit(Piece::Link(link));
                    }
                }
                code::MARKS => {
                    visit(Piece::Marks(rest.first().copied().unwrap_or(0x20) - 0x20));
                    rest = rest.get(1..).unwrap_or_default();
                }
                code::FILL => visit(Piece::Fill),
                code::GRAPHEMES => visit(Piece::Graphemes(true)),
                code::CHARACTERS => visit(Piece::Graphemes(false)),
                code::END => visit(Piece::End),
                _ => {}
            }
        }
    }
}
