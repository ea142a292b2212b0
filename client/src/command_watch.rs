//! What commands of the output (OSC) changed for good: colours, the pointer, a progress bar. They
//! are the terminal's, and no reset that a shell does takes them back.

use std::collections::BTreeSet;

/// Knows what was changed and not taken back. What stood there before, nobody can know (the user's
/// shell may have set it): taking it back leaves the terminal's own.
#[derive(Debug, Default)]
pub(crate) struct CommandWatch {
    palette: Palette,
    /// The numbers that set them: 10 is text, 11 background, 12 cursor, and so on up to 19.
    dynamic_colors: BTreeSet<u16>,
    has_pointer: bool,
    shows_progress: bool,
}

/// Which colours of the palette were changed.
#[derive(Debug)]
enum Palette {
    Some(BTreeSet<u16>),
    /// So many at once that they were not counted.
    Any,
}

/// Colours of a palette: 256, and a few that xterm counts behind those.
const COLORS: u16 = 512;

impl CommandWatch {
    /// Output, with each command in one piece, unless it is a very long one, as
    /// [`HeldString`](crate::held_string::HeldString) gives it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for escape in memchr::memchr_iter(0x1b, bytes) {
            if let Some(begun) = bytes[escape + 1..].strip_prefix(b"]") {
                self.handle_command(begun);
            }
        }
    }

    /// A command (xterm ctlseqs, "Operating System Commands"), and what follows it.
    fn handle_command(&mut self, begun: &[u8]) {
        let (number, rest) = split(begun);
        let Some(number) = parse(number).filter(|number| is_watched(*number)) else {
            return;
        };
        let is_end = |byte: &u8| matches!(byte, 0x07 | 0x18 | 0x1a | 0x1b);
        let Some(end) = rest.iter().position(is_end) else {
            if number == 4 {
                self.palette = Palette::Any;
            }
            return;
        };
        // ST in its form for UTF-8.
        let rest = &rest[..end];
        let end = memchr::memmem::find(rest, b"\xc2\x9c").unwrap_or(rest.len());
        let rest = &rest[..end];
        let mut fields = rest.split(|byte| *byte == b';');
        match number {
            4 => {
                while let (Some(index), Some(color)) = (fields.next(), fields.next()) {
                    self.palette.handle_set(parse(index), color);
                }
            }
            9 if fields.next() == Some(b"4") => {
                self.shows_progress = fields.next().is_some_and(|state| state != b"0");
            }
            10..=19 => {
                let colors = (number..=19).zip(fields).filter(|(_, color)| sets(color));
                self.dynamic_colors.extend(colors.map(|(number, _)| number));
            }
            22 if rest != b"?" => self.has_pointer = !rest.is_empty(),
            104 if rest.is_empty() => self.palette = Palette::default(),
            104 => fields
                .filter_map(parse)
                .for_each(|index| self.palette.handle_reset(index)),
            110..=119 => {
                self.dynamic_colors.remove(&(number - 100));
            }
            _ => {}
        }
    }

    /// Bytes that take the colours back.
    pub(crate) fn reset_colors(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match &self.palette {
            Palette::Any => bytes.extend_from_slice(b"\x1b]104\x1b\\"),
            Palette::Some(colors) => {
                for color in colors {
                    bytes.extend_from_slice(format!("\x1b]104;{color}\x1b\\").as_bytes());
                }
            }
        }
        for number in &self.dynamic_colors {
            bytes.extend_from_slice(format!("\x1b]{}\x1b\\", number + 100).as_bytes());
        }
        bytes
    }

    /// Bytes that take back what else was changed.
    pub(crate) fn reset_others(&self) -> Vec<u8> {
        let pointer: &[u8] = if self.has_pointer {
            b"\x1b]22;\x1b\\"
        } else {
            b""
        };
        let progress: &[u8] = if self.shows_progress {
            b"\x1b]9;4;0\x1b\\"
        } else {
            b""
        };
        [pointer, progress].concat()
    }
}

impl Palette {
    fn handle_set(&mut self, index: Option<u16>, color: &[u8]) {
        if let (Self::Some(colors), Some(index)) = (self, index)
            && sets(&color)
            && index < COLORS
        {
            colors.insert(index);
        }
    }

    fn handle_reset(&mut self, index: u16) {
        if let Self::Some(colors) = self {
            colors.remove(&index);
        }
    }
}

impl Default for Palette {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

/// Whether this number may say something to us: most commands are titles and pictures.
fn is_watched(number: u16) -> bool {
    matches!(number, 4 | 9 | 10..=19 | 22 | 104 | 110..=119)
}

/// Whether a colour is one, and no question for it.
fn sets(color: &&[u8]) -> bool {
    !matches!(*color, b"" | b"?")
}

/// The number of a command, up to three digits, and what follows the semicolon behind it.
fn split(begun: &[u8]) -> (&[u8], &[u8]) {
    let digits = begun
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit());
    let (number, rest) = begun.split_at(digits.count());
    (number, rest.strip_prefix(b";").unwrap_or(rest))
}

fn parse(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What takes back what this did.
    fn undone(output: &[u8]) -> String {
        let mut watch = CommandWatch::default();
        watch.feed(output);
        let bytes = [watch.reset_colors(), watch.reset_others()].concat();
        String::from_utf8(bytes).unwrap().replace('\x1b', "^")
    }

    #[test]
    fn what_was_changed_is_taken_back_and_no_more() {
        for (output, undo) in [
            (
                &b"text\x1b[31m\x1b]2;title\x07\x1b]11;?\x07\x1b]4;1;?\x1b\\"[..],
                "",
            ),
            (b"\x1b]11;#ff0000\x07", "^]111^\\"),
            (b"\x1b]10;red;blue;?\x1b\\", "^]110^\\^]111^\\"),
            (b"\x1b]19;red;blue\x07", "^]119^\\"),
            (
                b"\x1b]4;1;red;3;?;200;rgb:0/0/0\xc2\x9cmore;5;red\x07",
                "^]104;1^\\^]104;200^\\",
            ),
            (b"\x1b]4;9999;red;x;red\x07", ""),
            (b"\x1b]22;text\x07\x1b]22;?\x07", "^]22;^\\"),
            (b"\x1b]9;4;1;50\x07\x1b]9;a message\x07", "^]9;4;0^\\"),
        ] {
            assert_eq!(undone(output), undo, "{}", output.escape_ascii());
        }
    }

    #[test]
    fn what_the_program_took_back_itself_is_left_alone() {
        for output in [
            &b"\x1b]11;red\x07\x1b]111\x07"[..],
            b"\x1b]12;red\x07\x1b]112;\x1b\\",
            b"\x1b]4;1;red;2;red\x07\x1b]104;1;2\x07",
            b"\x1b]4;1;red\x07\x1b]104\x1b\\",
            b"\x1b]22;text\x07\x1b]22;\x07",
            b"\x1b]9;4;3\x07\x1b]9;4;0\x07",
        ] {
            assert_eq!(undone(output), "", "{}", output.escape_ascii());
        }
    }

    #[test]
    fn a_palette_that_is_too_long_for_one_piece_is_taken_back_as_a_whole() {
        assert_eq!(undone(b"\x1b]4;1;red;2;gre"), "^]104^\\");
        let mut watch = CommandWatch::default();
        watch.feed(b"\x1b]4;1;red;2;gre");
        watch.feed(b"en\x07\x1b]104;1\x07");
        assert_eq!(watch.reset_colors(), b"\x1b]104\x1b\\");
        watch.feed(b"\x1b]104\x07");
        assert_eq!(watch.reset_colors(), b"");
    }
}
