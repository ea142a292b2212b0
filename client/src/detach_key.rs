//! The key that detaches, and how a terminal types it.
//!
//! It comes as a control character, or, when the program has switched the terminal to the kitty
//! keyboard protocol or to xterm's modifyOtherKeys, as a CSI sequence.

use std::fmt;
use std::str::FromStr;

/// The key that detaches: Ctrl and another one, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetachKey(Option<char>);

impl DetachKey {
    /// No key detaches.
    pub const NONE: Self = Self(None);

    /// Whether there is one.
    #[must_use]
    pub fn is_some(self) -> bool {
        self.0.is_some()
    }

    /// The control character that it types on a terminal in its ordinary mode.
    pub(crate) fn control(self) -> Option<u8> {
        match self.0? {
            ' ' => Some(0),
            key => Some(key.to_ascii_uppercase() as u8 & 0x1f),
        }
    }

    /// What happened to it, where a whole control sequence reports this key.
    pub(crate) fn event(self, sequence: &[u8]) -> Option<KeyEvent> {
        let key = Key::parse(sequence).filter(|key| key.is(self))?;
        Some(key.event)
    }
}

impl Default for DetachKey {
    /// Ctrl-\, which hardly any program takes, and which stands on no key that is hit by chance.
    fn default() -> Self {
        Self(Some('\\'))
    }
}

impl fmt::Display for DetachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(' ') => f.write_str("Ctrl-Space"),
            Some(key) => write!(f, "Ctrl-{}", key.to_ascii_uppercase()),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for DetachKey {
    type Err = BadDetachKey;

    /// `ctrl-b`, `Ctrl-\`, `^]`, `ctrl-space`, or `none`.
    fn from_str(text: &str) -> Result<Self, BadDetachKey> {
        let bad = || BadDetachKey(text.to_owned());
        let lower = text.to_ascii_lowercase();
        if lower == "none" {
            return Ok(Self::NONE);
        }
        let key = ["ctrl-", "ctrl+", "c-", "^"]
            .iter()
            .find_map(|prefix| lower.strip_prefix(prefix))
            .ok_or_else(bad)?;
        let mut chars = key.chars();
        match (chars.next(), chars.next()) {
            // Tab, Enter and its brother, and Escape are keys of their own.
            (Some('i' | 'j' | 'm' | '['), None) => Err(bad()),
            (Some(key @ ('a'..='z' | '\\' | ']' | '^' | '_' | '@')), None) => Ok(Self(Some(key))),
            _ if key == "space" => Ok(Self(Some(' '))),
            _ => Err(bad()),
        }
    }
}

/// A text that names no detach key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is no detach key: use 'ctrl-' and a letter other than i, j, m, or one of \\ ] ^ _ @ \
     or space; or 'none'", .0.escape_default()
)]
pub struct BadDetachKey(pub String);

/// What a terminal reports of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyEvent {
    Press,
    Repeat,
    Release,
}

/// A key as the kitty keyboard protocol or modifyOtherKeys reports it.
#[derive(Debug)]
struct Key<'a> {
    /// The key's code, where reported also the shifted and the base layout's one.
    codes: &'a str,
    modifiers: u32,
    event: KeyEvent,
}

impl<'a> Key<'a> {
    const SHIFT: u32 = 1;
    const CTRL: u32 = 4;
    /// Caps lock and num lock.
    const LOCKS: u32 = 64 | 128;

    /// Reads `CSI codes ; modifiers : event ; text u` (kitty's keyboard protocol) or
    /// `CSI 27 ; modifiers ; code ~` (xterm, modifyOtherKeys). Modifiers are bits, plus 1.
    fn parse(sequence: &'a [u8]) -> Option<Self> {
        let sequence = std::str::from_utf8(sequence).ok()?.strip_prefix("\x1b[")?;
        let (codes, modifiers) = if let Some(body) = sequence.strip_suffix('u') {
            let mut parameters = body.split(';');
            (parameters.next()?, parameters.next()?)
        } else {
            let body = sequence.strip_suffix('~')?.strip_prefix("27;")?;
            let (modifiers, code) = body.split_once(';')?;
            (code, modifiers)
        };
        let (modifiers, event) = modifiers.split_once(':').unwrap_or((modifiers, "1"));
        Some(Self {
            codes,
            modifiers: modifiers.parse::<u32>().ok()?.checked_sub(1)?,
            event: match event {
                "2" => KeyEvent::Repeat,
                "3" => KeyEvent::Release,
                _ => KeyEvent::Press,
            },
        })
    }

    fn is(&self, wanted: DetachKey) -> bool {
        let Some(key) = wanted.0 else {
            return false;
        };
        // A symbol may need Shift on the user's keyboard.
        let ignored = match key {
            'a'..='z' => Self::LOCKS,
            _ => Self::LOCKS | Self::SHIFT,
        };
        let code = u32::from(key).to_string();
        self.modifiers & !ignored == Self::CTRL && self.codes.split(':').any(|c| c == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named() {
        for (name, shown) in [
            ("ctrl-b", "Ctrl-B"),
            ("Ctrl-]", "Ctrl-]"),
            ("^\\", "Ctrl-\\"),
            ("ctrl-^", "Ctrl-^"),
            ("ctrl-space", "Ctrl-Space"),
            ("None", "none"),
        ] {
            assert_eq!(name.parse::<DetachKey>().unwrap().to_string(), shown);
        }
        for bad in [
            "", "b", "ctrl-", "ctrl-m", "ctrl-[", "ctrl-bb", "alt-x", "ctrl-1",
        ] {
            assert!(bad.parse::<DetachKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_terminal_types_it_as_a_control_character() {
        for (name, control) in [
            ("ctrl-b", Some(0x02)),
            ("ctrl-\\", Some(0x1c)),
            ("ctrl-@", Some(0)),
            ("ctrl-space", Some(0)),
            ("none", None),
        ] {
            assert_eq!(name.parse::<DetachKey>().unwrap().control(), control);
        }
    }

    #[test]
    fn a_sequence_reports_this_key_or_another() {
        use KeyEvent::{Press, Release, Repeat};
        for (name, sequence, event) in [
            ("ctrl-\\", "\x1b[92;5u", Some(Press)),
            ("ctrl-\\", "\x1b[92;5:1u", Some(Press)),
            ("ctrl-\\", "\x1b[92;5:2u", Some(Repeat)),
            ("ctrl-\\", "\x1b[92;5:3u", Some(Release)),
            ("ctrl-\\", "\x1b[27;5;92~", Some(Press)),
            // Caps lock and num lock.
            ("ctrl-\\", "\x1b[92;197u", Some(Press)),
            // The base layout's key.
            ("ctrl-\\", "\x1b[246:214:92;5u", Some(Press)),
            // A symbol may need Shift, a letter does not.
            ("ctrl-^", "\x1b[54:94;6u", Some(Press)),
            ("ctrl-b", "\x1b[98;5u", Some(Press)),
            ("ctrl-b", "\x1b[98;6u", None),
            ("ctrl-\\", "\x1b[92u", None),
            ("ctrl-\\", "\x1b[92;7u", None),
            ("ctrl-\\", "\x1b[93;5u", None),
            ("ctrl-\\", "\x1b[92;0u", None),
            ("ctrl-\\", "\x1b[5;92~", None),
            ("none", "\x1b[92;5u", None),
        ] {
            let key: DetachKey = name.parse().unwrap();
            assert_eq!(key.event(sequence.as_bytes()), event, "{name} {sequence:?}");
        }
    }
}
