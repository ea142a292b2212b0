//! The parameters of a control sequence.

/// At most 32 numbers; further ones are dropped, as xterm does after 30.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    values: [u16; Self::MAX],
    /// Bit n: value n belongs to the one before it (a colon stood between them).
    joined: u32,
    len: u8,
}

impl Parameters {
    const MAX: usize = 32;

    pub(super) fn new() -> Self {
        Self {
            values: [0; Self::MAX],
            joined: 0,
            len: 0,
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, value: u16, joined: bool) {
        let index = usize::from(self.len);
        if index < Self::MAX {
            self.values[index] = value;
            self.joined |= u32::from(joined) << index;
            self.len += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The parameter, 0 when it is missing.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> u16 {
        if index < self.len() {
            self.values[index]
        } else {
            0
        }
    }

    /// The parameter, 1 when it is missing or 0: a count or a position.
    #[inline(always)]
    pub(super) fn count(&self, index: usize) -> u16 {
        self.get(index).max(1)
    }

    /// The parameter at `index` with those joined to it by colons; there is one.
    pub(super) fn group(&self, index: usize) -> &[u16] {
        let mut end = index + 1;
        while end < self.len() && self.joined & (1 << end) != 0 {
            end += 1;
        }
        &self.values[index..end]
    }

    /// All values from `start` on.
    pub(super) fn values(&self, start: usize) -> &[u16] {
        &self.values[start.min(self.len())..self.len()]
    }
}
