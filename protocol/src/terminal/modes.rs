//! Modes by number (ECMA-48 SM and RM, DECSET and DECRST).

/// Private modes, in the order in which each was last set or reset. Numbers not known to us
/// are kept as well, so that a replay restores them.
///
/// The order matters: in xterm the mouse modes share one value, which the last of them decides,
/// in VTE each is apart. Repeating the last change of each number, in order, is right for both.
#[derive(Clone, Debug, Default)]
pub(super) struct Modes {
    changes: Vec<(u16, bool)>,
    /// Modes that this model itself follows, for a quick look.
    pub(super) origin: bool,
    pub(super) no_autowrap: bool,
    pub(super) margins: bool,
    pub(super) grapheme: bool,
    pub(super) reverse_wrap: bool,
    pub(super) synchronized: bool,
    pub(super) hidden_cursor: bool,
    /// ANSI mode 4 (IRM).
    pub(super) insert: bool,
    /// ANSI mode 20 (LNM).
    pub(super) new_line: bool,
    /// DECKPAM.
    pub(super) keypad: bool,
}

/// More numbers than any terminal has; the oldest change is forgotten beyond.
const LIMIT: usize = 128;

const MOUSE: [u16; 5] = [9, 1000, 1001, 1002, 1003];
const MOUSE_ENCODING: [u16; 4] = [1005, 1006, 1015, 1016];

impl Modes {
    /// Sets or resets a private mode that has no effect of its own on the screen at once.
    pub(super) fn set(&mut self, number: u16, on: bool) {
        match number {
            6 => self.origin = on,
            7 => self.no_autowrap = !on,
            25 => self.hidden_cursor = !on,
            45 => self.reverse_wrap = on,
            66 => self.keypad = on,
            69 => self.margins = on,
            2026 => self.synchronized = on,
            2027 => {
                self.grapheme = on;
            }
            // The screens are no modes to be restored; 132 columns are the client's affair.
            3 | 47 | 1047 | 1048 | 1049 => {}
            number => {
                self.changes.retain(|&(other, _)| other != number);
                if self.changes.len() >= LIMIT {
                    self.changes.remove(0);
                }
                self.changes.push((number, on));
            }
        }
    }

    /// Whether a private mode is on; `None` when it was never heard of.
    pub(super) fn get(&self, number: u16) -> Option<bool> {
        Some(match number {
            6 => self.origin,
            7 => !self.no_autowrap,
            25 => !self.hidden_cursor,
            45 => self.reverse_wrap,
            66 => self.keypad,
            69 => self.margins,
            2026 => self.synchronized,
            2027 => self.grapheme,
            number if MOUSE.contains(&number) => self.last_on(&MOUSE) == Some(number),
            number if MOUSE_ENCODING.contains(&number) => {
                self.last_on(&MOUSE_ENCODING) == Some(number)
            }
            number => {
                let change = self.changes.iter().find(|(other, _)| *other == number);
                match change {
                    Some((_, on)) => *on,
                    None if matches!(number, 1 | 5 | 8 | 12 | 1004 | 1007 | 2004) => number == 8,
                    None => return None,
                }
            }
        })
    }

    /// The one of a group that the last change left on.
    fn last_on(&self, group: &[u16]) -> Option<u16> {
        let last = self
            .changes
            .iter()
            .rev()
            .find(|(number, _)| group.contains(number))?;
        last.1.then_some(last.0)
    }

    /// Forgets every mode (DECSTR keeps those for which `keep` is true).
    pub(super) fn reset(&mut self, keep: impl Fn(u16) -> bool) {
        let mut kept = std::mem::take(&mut self.changes);
        for change in &mut kept {
            change.1 &= keep(change.0);
        }
        *self = Self {
            changes: kept,
            grapheme: self.grapheme,
            ..Self::default()
        };
    }

    /// Adds the changes that bring a terminal with reset modes here, without those that a
    /// replay deals with in their own place.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for run in self.changes.chunk_by(|one, other| one.1 == other.1) {
            out.extend_from_slice(b"\x1b[?");
            for (index, (number, _)) in run.iter().enumerate() {
                if index > 0 {
                    out.push(b';');
                }
                super::digits::write(out, u32::from(*number));
            }
            out.push(if run[0].1 { b'h' } else { b'l' });
        }
    }

    /// What of the changes has an effect: for comparing.
    pub(super) fn effective(&self) -> (Vec<u16>, Option<u16>, Option<u16>) {
        let grouped = |number: &u16| MOUSE.contains(number) || MOUSE_ENCODING.contains(number);
        let mut on: Vec<u16> = self
            .changes
            .iter()
            .filter(|(number, on)| (*on != (*number == 8)) && !grouped(number))
            .map(|(number, _)| *number)
            .collect();
        on.sort_unstable();
        (on, self.last_on(&MOUSE), self.last_on(&MOUSE_ENCODING))
    }
}
