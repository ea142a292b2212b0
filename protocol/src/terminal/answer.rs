//! What a terminal answers to queries, while no real one is there to do it.

use super::state::State;
use crate::size::Size;

/// DA1: a VT220 with colour, selective erase and national sets; nothing that needs a display.
pub(super) const PRIMARY_ATTRIBUTES: &str = "\x1b[?62;1;6;22c";
/// DA2: like xterm, of a version that knows what this model knows.
pub(super) const SECONDARY_ATTRIBUTES: &str = "\x1b[>41;380;0c";
/// DA3: no unit number.
pub(super) const TERTIARY_ATTRIBUTES: &str = "\x1bP!|00000000\x1b\\";

/// XTVERSION.
pub(super) fn version() -> String {
    concat!("\x1bP>|psess(", env!("CARGO_PKG_VERSION"), ")\x1b\\").to_owned()
}

/// Height and width in pixels; where they are not known, those of cells of 8 × 16.
pub(super) fn pixels(size: Size) -> (u32, u32) {
    let or = |pixels: u16, cells: u16, cell: u32| match pixels {
        0 => u32::from(cells) * cell,
        pixels => u32::from(pixels),
    };
    (
        or(size.pixel_height, size.rows, 16),
        or(size.pixel_width, size.columns, 8),
    )
}

/// A colour that the program set, in the form of an answer: four digits a channel where it is
/// `#rrggbb` or `rgb:rr/gg/bb`, else as it was given.
pub(super) fn full_color(specification: &str) -> String {
    let channels: Vec<&str> = if let Some(hex) = specification.strip_prefix('#') {
        let digits = hex.len() / 3;
        if digits == 0 || !hex.len().is_multiple_of(3) || !hex.is_ascii() {
            return specification.to_owned();
        }
        (0..3)
            .map(|index| &hex[index * digits..(index + 1) * digits])
            .collect()
    } else if let Some(rest) = specification.strip_prefix("rgb:") {
        rest.split('/').collect()
    } else {
        return specification.to_owned();
    };
    let full = |hex: &str| match hex.len() {
        1..=4 => {
            let value = u32::from_str_radix(hex, 16).ok()?;
            Some(value * 0xffff / ((1 << (4 * hex.len())) - 1))
        }
        _ => None,
    };
    match channels
        .iter()
        .map(|hex| full(hex))
        .collect::<Option<Vec<u32>>>()
        .as_deref()
    {
        Some([red, green, blue]) => format!("rgb:{red:04x}/{green:04x}/{blue:04x}"),
        _ => specification.to_owned(),
    }
}

/// xterm's own palette.
pub(super) fn palette_color(index: u16) -> String {
    const NAMED: [u32; 16] = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5,
        0x7f_7f7f, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    let cube = |step: u32| if step == 0 { 0 } else { 55 + 40 * step };
    let index = u32::from(index.min(255));
    let (red, green, blue) = match index {
        0..=15 => {
            let value = NAMED[index as usize];
            (value >> 16, value >> 8 & 0xff, value & 0xff)
        }
        16..=231 => {
            let index = index - 16;
            (cube(index / 36), cube(index / 6 % 6), cube(index % 6))
        }
        _ => {
            let gray = 8 + 10 * (index - 232);
            (gray, gray, gray)
        }
    };
    let full = |channel: u32| channel * 0x101;
    format!(
        "rgb:{:04x}/{:04x}/{:04x}",
        full(red),
        full(green),
        full(blue)
    )
}

/// Light text on black.
pub(super) fn dynamic_color(number: u16) -> &'static str {
    match number {
        11 | 14 | 16 | 18 => "rgb:0000/0000/0000",
        _ => "rgb:e5e5/e5e5/e5e5",
    }
}

impl State {
    /// DSR and DECDSR.
    pub(super) fn report_status(&mut self, what: u16, private: bool) {
        let (mut row, mut column) = (self.cursor.row + 1, self.cursor.column + 1);
        if self.modes.origin {
            row -= self.margins.top;
            column -= self.margins.left;
        }
        match (what, private) {
            (5, false) => self.answer("\x1b[0n"),
            (6, false) => self.answer(format!("\x1b[{row};{column}R")),
            (6, true) => self.answer(format!("\x1b[?{row};{column};1R")),
            (15, true) => self.answer("\x1b[?13n"),
            (25, true) => self.answer("\x1b[?21n"),
            (26, true) => self.answer("\x1b[?27;1;0;0n"),
            (53 | 55, true) => self.answer("\x1b[?53n"),
            (56, true) => self.answer("\x1b[?57;0n"),
            (996, true) => self.answer("\x1b[?997;1n"),
            _ => {}
        }
    }

    /// DECRQM: 1 set, 2 reset, 0 not known.
    pub(super) fn report_mode(&mut self, private: bool, number: u16) {
        let on = match (private, number) {
            (true, number) => self.mode(number),
            (false, 4) => Some(self.modes.insert),
            (false, 20) => Some(self.modes.new_line),
            (false, _) => None,
        };
        let value = match on {
            Some(true) => 1,
            Some(false) => 2,
            None => 0,
        };
        let mark = if private { "?" } else { "" };
        self.answer(format!("\x1b[{mark}{number};{value}$y"));
    }

    /// DECRQSS, XTGETTCAP: the device control strings that are questions.
    pub(super) fn device_control_string(&mut self, contents: &[u8]) {
        self.repeatable = false;
        if let Some(setting) = contents.strip_prefix(b"$q") {
            self.report_setting(setting);
        } else if let Some(names) = contents.strip_prefix(b"+q") {
            self.report_capabilities(names);
        }
    }

    fn report_setting(&mut self, setting: &[u8]) {
        let margins = self.margins;
        let value = match setting {
            b"m" => {
                let mut parameters = b"0".to_vec();
                self.pen.style.write_parameters(&mut parameters);
                Some(String::from_utf8_lossy(&parameters).into_owned() + "m")
            }
            b"r" => Some(format!("{};{}r", margins.top + 1, margins.bottom)),
            b"s" => Some(format!("{};{}s", margins.left + 1, margins.right)),
            b"\"q" => Some(format!("{}\"q", u8::from(self.pen.style.is_protected()))),
            b" q" => Some(format!("{} q", self.cursor_shape)),
            b"\"p" => Some("62;1\"p".to_owned()),
            _ => None,
        };
        match value {
            Some(value) => self.answer(format!("\x1bP1$r{value}\x1b\\")),
            None => self.answer("\x1bP0$r\x1b\\"),
        }
    }

    /// Names of terminfo in hexadecimal digits, separated by semicolons.
    fn report_capabilities(&mut self, names: &[u8]) {
        for name in names.split(|byte| *byte == b';').take(32) {
            let Some(plain) = unhex(name) else {
                self.answer("\x1bP0+r\x1b\\");
                continue;
            };
            let value = match &plain[..] {
                b"TN" | b"name" => Some("xterm-256color"),
                b"Co" | b"colors" => Some("256"),
                b"RGB" => Some("8/8/8"),
                _ => None,
            };
            let name = String::from_utf8_lossy(name);
            match value {
                Some(value) => {
                    let hex: String = value.bytes().map(|byte| format!("{byte:02X}")).collect();
                    self.answer(format!("\x1bP1+r{name}={hex}\x1b\\"));
                }
                None => self.answer(format!("\x1bP0+r{name}\x1b\\")),
            }
        }
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 128 {
        return None;
    }
    let text = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.is_ascii())?;
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
