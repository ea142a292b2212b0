//! How a character looks.

use super::parameters::Parameters;
use super::table::Value;

/// A colour. The 16 named ones, the 256 indexed ones and RGB are kept apart: terminals let users
/// theme the first, and draw some bold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Color(u32);

impl Color {
    pub(super) const DEFAULT: Self = Self(0);

    fn named(index: u16) -> Self {
        Self(1 << 24 | u32::from(index))
    }

    fn indexed(index: u16) -> Self {
        Self(2 << 24 | u32::from(index.min(255)))
    }

    fn rgb(red: u16, green: u16, blue: u16) -> Self {
        let byte = |part: u16| u32::from(part.min(255));
        Self(3 << 24 | byte(red) << 16 | byte(green) << 8 | byte(blue))
    }

    /// Adds the SGR parameters of this colour, `base` being 30 (text), 40 (background), or 50
    /// (underline, which has no named colours).
    fn write(self, base: u8, out: &mut Vec<u8>) {
        let value = self.0 & 0xff_ffff;
        let [_, red, green, blue] = self.0.to_be_bytes();
        match self.0 >> 24 {
            0 => {}
            1 if value < 8 => write_parameter(out, u32::from(base) + value),
            1 => write_parameter(out, u32::from(base) + 60 + value - 8),
            // Colons: a terminal that does not know SGR 58 skips it as one.
            2 if base == 50 => out.extend_from_slice(format!(";58:5:{value}").as_bytes()),
            _ if base == 50 => {
                out.extend_from_slice(format!(";58:2::{red}:{green}:{blue}").as_bytes());
            }
            2 => out.extend_from_slice(format!(";{};5;{value}", base + 8).as_bytes()),
            _ => out.extend_from_slice(format!(";{};2;{red};{green};{blue}", base + 8).as_bytes()),
        }
    }
}

fn write_parameter(out: &mut Vec<u8>, value: u32) {
    out.push(b';');
    super::digits::write(out, value);
}

/// Colours and attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Style {
    pub(super) foreground: Color,
    pub(super) background: Color,
    pub(super) underline: Color,
    attributes: u32,
}

const BOLD: u32 = 1;
const DIM: u32 = 1 << 1;
const ITALIC: u32 = 1 << 2;
const BLINK: u32 = 1 << 3;
const RAPID_BLINK: u32 = 1 << 4;
const INVERSE: u32 = 1 << 5;
const HIDDEN: u32 = 1 << 6;
const STRUCK: u32 = 1 << 7;
const OVERLINE: u32 = 1 << 8;
const FRAMED: u32 = 1 << 9;
const ENCIRCLED: u32 = 1 << 10;
const SUPERSCRIPT: u32 = 1 << 11;
const SUBSCRIPT: u32 = 1 << 12;
/// Three bits: none, single, double, curly, dotted, dashed.
const UNDERLINE_SHIFT: u32 = 13;
const UNDERLINE: u32 = 7 << UNDERLINE_SHIFT;
/// DECSCA: selective erase passes it by. No part of SGR.
const PROTECTED: u32 = 1 << 16;

/// SGR parameters that switch one attribute on.
const SWITCHES: [(u32, u32); 13] = [
    (BOLD, 1),
    (DIM, 2),
    (ITALIC, 3),
    (BLINK, 5),
    (RAPID_BLINK, 6),
    (INVERSE, 7),
    (HIDDEN, 8),
    (STRUCK, 9),
    (FRAMED, 51),
    (ENCIRCLED, 52),
    (OVERLINE, 53),
    (SUPERSCRIPT, 73),
    (SUBSCRIPT, 74),
];

impl Style {
    /// A number that similar styles seldom share.
    #[inline]
    pub(super) fn slot(self) -> usize {
        let mixed = self.foreground.0.wrapping_mul(0x9e37_79b1)
            ^ self.background.0.wrapping_mul(0x85eb_ca77)
            ^ self.attributes.wrapping_mul(0xc2b2_ae3d);
        (mixed >> 24) as usize
    }

    /// What erased cells get of this pen: its background (`bce` of terminfo).
    pub(super) fn erased(self) -> Self {
        Self {
            background: self.background,
            ..Self::default()
        }
    }

    pub(super) fn without_background(self) -> Self {
        Self {
            background: Color::DEFAULT,
            ..self
        }
    }

    /// The same without DECSCA.
    pub(super) fn unprotected(mut self) -> Self {
        self.set_protected(false);
        self
    }

    pub(super) fn is_protected(self) -> bool {
        self.attributes & PROTECTED != 0
    }

    pub(super) fn set_protected(&mut self, protected: bool) {
        self.set(PROTECTED, protected);
    }

    fn set(&mut self, attribute: u32, on: bool) {
        if on {
            self.attributes |= attribute;
        } else {
            self.attributes &= !attribute;
        }
    }

    fn set_underline(&mut self, kind: u16) {
        self.attributes &= !UNDERLINE;
        self.attributes |= u32::from(kind.min(5)) << UNDERLINE_SHIFT;
    }

    /// Adds the SGR parameters that make this style out of the default one, each with a
    /// semicolon before it.
    pub(super) fn write_parameters(self, out: &mut Vec<u8>) {
        if self.attributes != 0 {
            for (attribute, parameter) in SWITCHES {
                if self.attributes & attribute != 0 {
                    write_parameter(out, parameter);
                }
            }
            match (self.attributes & UNDERLINE) >> UNDERLINE_SHIFT {
                0 => {}
                1 => write_parameter(out, 4),
                kind => {
                    out.extend_from_slice(b";4:");
                    super::digits::write(out, kind);
                }
            }
        }
        self.foreground.write(30, out);
        self.background.write(40, out);
        self.underline.write(50, out);
    }

    /// SGR, ECMA-48 § 8.3.117 and xterm's ctlseqs.
    pub(super) fn apply(&mut self, parameters: &Parameters) {
        let mut index = 0;
        while index < parameters.len() {
            let group = parameters.group(index);
            let mut taken = group.len();
            match group[0] {
                0 => {
                    let protected = self.is_protected();
                    *self = Self::default();
                    self.set_protected(protected);
                }
                1 => self.set(BOLD, true),
                2 => self.set(DIM, true),
                3 => self.set(ITALIC, true),
                4 => self.set_underline(if group.len() > 1 { group[1] } else { 1 }),
                5 => self.set(BLINK, true),
                6 => self.set(RAPID_BLINK, true),
                7 => self.set(INVERSE, true),
                8 => self.set(HIDDEN, true),
                9 => self.set(STRUCK, true),
                21 => self.set_underline(2),
                22 => self.set(BOLD | DIM, false),
                23 => self.set(ITALIC, false),
                24 => self.set_underline(0),
                25 => self.set(BLINK | RAPID_BLINK, false),
                27 => self.set(INVERSE, false),
                28 => self.set(HIDDEN, false),
                29 => self.set(STRUCK, false),
                value @ 30..=37 => self.foreground = Color::named(value - 30),
                39 => self.foreground = Color::DEFAULT,
                value @ 40..=47 => self.background = Color::named(value - 40),
                49 => self.background = Color::DEFAULT,
                value @ (38 | 48 | 58) => {
                    let color = if group.len() > 1 {
                        color_of_group(group)
                    } else {
                        let (color, extra) = color_of_rest(parameters.values(index + 1));
                        taken += extra;
                        color
                    };
                    if let Some(color) = color {
                        match value {
                            38 => self.foreground = color,
                            48 => self.background = color,
                            _ => self.underline = color,
                        }
                    }
                }
                51 => self.set(FRAMED, true),
                52 => self.set(ENCIRCLED, true),
                53 => self.set(OVERLINE, true),
                54 => self.set(FRAMED | ENCIRCLED, false),
                55 => self.set(OVERLINE, false),
                59 => self.underline = Color::DEFAULT,
                73 => {
                    self.set(SUBSCRIPT, false);
                    self.set(SUPERSCRIPT, true);
                }
                74 => {
                    self.set(SUPERSCRIPT, false);
                    self.set(SUBSCRIPT, true);
                }
                75 => self.set(SUPERSCRIPT | SUBSCRIPT, false),
                value @ 90..=97 => self.foreground = Color::named(value - 90 + 8),
                value @ 100..=107 => self.background = Color::named(value - 100 + 8),
                _ => {}
            }
            index += taken;
        }
    }
}

impl Value for Style {
    fn held_bytes(&self) -> usize {
        0
    }
}

/// `38:5:n`, `38:2:r:g:b`, and with the colour space of ISO 8613-6 `38:2:space:r:g:b`.
fn color_of_group(group: &[u16]) -> Option<Color> {
    match group {
        [_, 5, index, ..] => Some(Color::indexed(*index)),
        [_, 2, red, green, blue] | [_, 2, _, red, green, blue, ..] => {
            Some(Color::rgb(*red, *green, *blue))
        }
        _ => None,
    }
}

/// `38;5;n` and `38;2;r;g;b`: the colour, and how many parameters it took.
fn color_of_rest(rest: &[u16]) -> (Option<Color>, usize) {
    match rest {
        [5, index, ..] => (Some(Color::indexed(*index)), 2),
        [2, red, green, blue, ..] => (Some(Color::rgb(*red, *green, *blue)), 4),
        [5 | 2, ..] => (None, rest.len()),
        _ => (None, rest.len().min(1)),
    }
}
