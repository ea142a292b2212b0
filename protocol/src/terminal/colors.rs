//! Colours that the program changed: the palette (OSC 4), text, background, cursor (OSC 10–19).

use std::collections::BTreeMap;

/// A colour's specification as the program gave it; `None` once it was reset: what the
/// terminal's own colour is, only the terminal knows.
type Specification = Option<Box<str>>;

/// Colours by number. What was never touched is no entry: a palette that the user set before
/// psess came is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Colors {
    palette: BTreeMap<u16, Specification>,
    /// By the OSC number that sets it, 10 to 19.
    dynamic: BTreeMap<u16, Specification>,
}

/// A longer specification is none (`rgb:ffff/ffff/ffff` has 18 bytes).
const SPECIFICATION_LIMIT: usize = 64;

impl Colors {
    pub(super) fn set_palette(&mut self, index: u16, specification: &str) {
        if index < 512 && specification.len() <= SPECIFICATION_LIMIT {
            self.palette.insert(index, Some(specification.into()));
        }
    }

    pub(super) fn palette(&self, index: u16) -> Option<&str> {
        self.palette.get(&index)?.as_deref()
    }

    pub(super) fn reset_palette(&mut self, index: u16) {
        if let Some(entry) = self.palette.get_mut(&index) {
            *entry = None;
        }
    }

    pub(super) fn reset_whole_palette(&mut self) {
        self.palette.values_mut().for_each(|entry| *entry = None);
    }

    pub(super) fn set_dynamic(&mut self, number: u16, specification: &str) {
        if specification.len() <= SPECIFICATION_LIMIT {
            self.dynamic.insert(number, Some(specification.into()));
        }
    }

    pub(super) fn dynamic(&self, number: u16) -> Option<&str> {
        self.dynamic.get(&number)?.as_deref()
    }

    pub(super) fn reset_dynamic(&mut self, number: u16) {
        if let Some(entry) = self.dynamic.get_mut(&number) {
            *entry = None;
        }
    }

    /// Adds what sets these colours.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (index, entry) in &self.palette {
            let sequence = match entry {
                Some(specification) => format!("\x1b]4;{index};{specification}\x1b\\"),
                None => format!("\x1b]104;{index}\x1b\\"),
            };
            out.extend_from_slice(sequence.as_bytes());
        }
        for (number, entry) in &self.dynamic {
            let sequence = match entry {
                Some(specification) => format!("\x1b]{number};{specification}\x1b\\"),
                None => format!("\x1b]{}\x1b\\", number + 100),
            };
            out.extend_from_slice(sequence.as_bytes());
        }
    }

    /// The same with every colour reset.
    pub(super) fn cleared(&self) -> Self {
        let mut cleared = self.clone();
        cleared.reset_whole_palette();
        cleared.dynamic.values_mut().for_each(|entry| *entry = None);
        cleared
    }

    /// Only what differs from the terminal's own: for comparing.
    pub(super) fn effective(&self) -> Self {
        let mut effective = self.clone();
        effective.palette.retain(|_, entry| entry.is_some());
        effective.dynamic.retain(|_, entry| entry.is_some());
        effective
    }
}
