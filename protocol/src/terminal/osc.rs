//! Operating system commands (xterm's ctlseqs, and those that came later).

use super::link::Link;
use super::row::Row;
use super::state::State;

/// A longer link or directory is none.
const ADDRESS_LIMIT: usize = 8 << 10;

impl State {
    /// Carries out an OSC, its contents given.
    pub(super) fn operating_system_command(&mut self, contents: &[u8]) {
        self.repeatable = false;
        let split = contents.iter().position(|byte| *byte == b';');
        let (number, rest) = match split {
            Some(at) => (&contents[..at], &contents[at + 1..]),
            None => (contents, &[][..]),
        };
        let Some(number) = std::str::from_utf8(number)
            .ok()
            .and_then(|text| text.parse().ok())
        else {
            return;
        };
        let text = String::from_utf8_lossy(rest);
        let printable = !text.chars().any(char::is_control);
        match number {
            0 => {
                self.titles.set_icon(rest);
                self.titles.set_window(rest);
            }
            1 => self.titles.set_icon(rest),
            2 => self.titles.set_window(rest),
            4 if printable => self.palette(&text),
            7 if printable && rest.len() <= ADDRESS_LIMIT => self.directory = Some(text.into()),
            8 if printable => self.hyperlink(&text),
            10..=19 if printable => self.dynamic_colors(number, &text),
            104 if rest.is_empty() => self.colors.reset_whole_palette(),
            104 => {
                for index in text.split(';').filter_map(|index| index.parse().ok()) {
                    self.colors.reset_palette(index);
                }
            }
            110..=119 => self.colors.reset_dynamic(number - 100),
            133 => self.shell_mark(rest),
            _ => {}
        }
    }

    /// OSC 4: pairs of index and specification; `?` asks.
    fn palette(&mut self, text: &str) {
        let mut parts = text.split(';');
        while let (Some(index), Some(specification)) = (parts.next(), parts.next()) {
            let Ok(index) = index.parse::<u16>() else {
                continue;
            };
            if specification == "?" {
                let color = match self.colors.palette(index) {
                    Some(color) => super::answer::full_color(color),
                    None => super::answer::palette_color(index),
                };
                self.answer(format!("\x1b]4;{index};{color}\x1b\\"));
            } else {
                self.colors.set_palette(index, specification);
            }
        }
    }

    /// OSC 10 to 19: a specification for this one, the next, and so on.
    fn dynamic_colors(&mut self, first: u16, text: &str) {
        for (number, specification) in (first..=19).zip(text.split(';')) {
            if specification == "?" {
                let color = match self.colors.dynamic(number) {
                    Some(color) => super::answer::full_color(color),
                    None => super::answer::dynamic_color(number).to_owned(),
                };
                self.answer(format!("\x1b]{number};{color}\x1b\\"));
            } else if !specification.is_empty() {
                self.colors.set_dynamic(number, specification);
            }
        }
    }

    /// OSC 8: parameters, then the address; without one the link ends.
    fn hyperlink(&mut self, text: &str) {
        let Some((parameters, uri)) = text.split_once(';') else {
            return;
        };
        if uri.is_empty() || text.len() > ADDRESS_LIMIT {
            self.set_link(Link::none());
        } else {
            self.set_link(Link {
                parameters: parameters.into(),
                uri: uri.into(),
            });
        }
    }

    /// OSC 133: where prompts and output begin.
    fn shell_mark(&mut self, rest: &[u8]) {
        let mark = match rest.first() {
            Some(b'A') => Row::PROMPT,
            Some(b'C') => Row::OUTPUT,
            _ => return,
        };
        self.current_row().marks |= mark;
    }
}
