//! Keyboard protocols: kitty's stack of flags, and xterm's modifyOtherKeys family.

/// Kitty's flags of one screen, the current ones last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KittyStack(Vec<u8>);

/// As many as kitty keeps; the oldest is forgotten beyond.
const STACK_LIMIT: usize = 8;

impl Default for KittyStack {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl KittyStack {
    pub(super) fn flags(&self) -> u8 {
        self.0.last().copied().unwrap_or(0)
    }

    pub(super) fn push(&mut self, flags: u16) {
        if self.0.len() >= STACK_LIMIT {
            self.0.remove(0);
        }
        self.0.push(flags as u8 & 0x1f);
    }

    pub(super) fn pop(&mut self, count: u16) {
        let left = self.0.len().saturating_sub(usize::from(count));
        self.0.truncate(left);
        if self.0.is_empty() {
            self.0.push(0);
        }
    }

    /// `CSI = flags ; how u`: 1 sets all, 2 sets the given, 3 clears the given.
    pub(super) fn set(&mut self, flags: u16, how: u16) {
        let flags = flags as u8 & 0x1f;
        if let Some(current) = self.0.last_mut() {
            match how {
                0 | 1 => *current = flags,
                2 => *current |= flags,
                3 => *current &= !flags,
                _ => {}
            }
        }
    }

    /// Adds what brings an empty stack here.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (depth, flags) in self.0.iter().enumerate() {
            if depth > 0 {
                out.extend_from_slice(format!("\x1b[>{flags}u").as_bytes());
            } else if *flags != 0 {
                out.extend_from_slice(format!("\x1b[={flags};1u").as_bytes());
            }
        }
    }
}

/// XTMODKEYS and XTFMTKEYS: resources by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyResources(Vec<(u8, u16, u16)>);

impl KeyResources {
    /// `CSI > resource ; value m` (or `f`); no value: as at the start.
    pub(super) fn set(&mut self, last: u8, resource: u16, value: Option<u16>) {
        self.0
            .retain(|(other, number, _)| (*other, *number) != (last, resource));
        if let Some(value) = value.filter(|value| *value != 0)
            && resource < 16
        {
            self.0.push((last, resource, value));
            self.0.sort_unstable();
        }
    }

    /// The value of a resource, 0 unless it was set.
    pub(super) fn get(&self, last: u8, resource: u16) -> u16 {
        let found = self
            .0
            .iter()
            .find(|(other, number, _)| (*other, *number) == (last, resource));
        found.map_or(0, |(_, _, value)| *value)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (last, resource, value) in &self.0 {
            out.extend_from_slice(format!("\x1b[>{resource};{value}{}", *last as char).as_bytes());
        }
    }

    /// Adds what sets each resource back.
    pub(super) fn write_reset(&self, out: &mut Vec<u8>) {
        for (last, resource, _) in &self.0 {
            out.extend_from_slice(format!("\x1b[>{resource}{}", *last as char).as_bytes());
        }
    }
}
