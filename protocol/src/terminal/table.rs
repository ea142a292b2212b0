//! Numbers for values that many cells share.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// A value of a table.
pub(super) trait Value: Clone + Eq + Hash {
    /// Bytes of memory that it holds elsewhere.
    fn held_bytes(&self) -> usize;
}

/// Values by number. Number 0 is the value that the table was made with, and stays.
///
/// A full table is swept by its owner: [`Table::intern`] says when.
#[derive(Debug)]
pub(super) struct Table<T> {
    values: Vec<Option<T>>,
    numbers: HashMap<T, u32, BuildHasherDefault<FastHasher>>,
    free: Vec<u32>,
    /// What the values hold elsewhere.
    held_bytes: usize,
    /// How many values are refused before the next sweep: a screen that really shows so many
    /// must not be swept for each further one.
    refusals: usize,
}

/// The text of a cluster.
impl Value for Arc<str> {
    fn held_bytes(&self) -> usize {
        self.len()
    }
}

/// The table has no number or no room left.
#[derive(Debug)]
pub(super) enum Full {
    /// A sweep is worth its while: sweep, then try again.
    Sweep,
    /// The last sweep found too little: do without.
    Refused,
}

/// Values of a table: cells have 16 bits for a number.
const LIMIT: usize = 1 << 16;

/// What a table's values hold elsewhere: a screen of 2,000 links of 2 KiB each.
const LIMIT_BYTES: usize = 4 << 20;

impl<T: Value> Table<T> {
    pub(super) fn new(first: T) -> Self {
        Self {
            values: vec![Some(first)],
            numbers: HashMap::default(),
            free: Vec::new(),
            held_bytes: 0,
            refusals: 0,
        }
    }

    /// The number of `value`.
    pub(super) fn intern(&mut self, value: &T) -> Result<u32, Full> {
        if self.values[0].as_ref() == Some(value) {
            return Ok(0);
        }
        if let Some(&number) = self.numbers.get(value) {
            return Ok(number);
        }
        let held_bytes = self.held_bytes + value.held_bytes();
        let is_full = self.free.is_empty() && self.values.len() >= LIMIT;
        if is_full || held_bytes > LIMIT_BYTES {
            if self.refusals == 0 {
                return Err(Full::Sweep);
            }
            self.refusals -= 1;
            return Err(Full::Refused);
        }
        let number = match self.free.pop() {
            Some(number) => {
                self.values[number as usize] = Some(value.clone());
                number
            }
            None => {
                self.values.push(Some(value.clone()));
                (self.values.len() - 1) as u32
            }
        };
        self.held_bytes = held_bytes;
        self.numbers.insert(value.clone(), number);
        Ok(number)
    }

    /// The number of a value that has one.
    pub(super) fn find<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        self.numbers.get(value).copied()
    }

    /// The value of a number that [`Table::intern`] gave out and no sweep took back.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &T {
        self.values
            .get(number as usize)
            .and_then(Option::as_ref)
            .unwrap_or_else(|| {
                self.values[0]
                    .as_ref()
                    .expect("number 0 is never taken back")
            })
    }

    /// How many numbers were given out at most: the length of the marks of a sweep.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes back every number that is not marked.
    pub(super) fn sweep(&mut self, marks: &[bool]) {
        for (number, (value, marked)) in self.values.iter_mut().zip(marks).enumerate().skip(1) {
            if !marked && let Some(value) = value.take() {
                self.numbers.remove(&value);
                self.free.push(number as u32);
                self.held_bytes -= value.held_bytes();
            }
        }
        let room = LIMIT - self.values.len() + self.free.len();
        if room < LIMIT / 8 || LIMIT_BYTES - self.held_bytes < LIMIT_BYTES / 8 {
            self.refusals = LIMIT / 8;
        }
    }
}

/// A hash for keys that the table's limit makes harmless: colliding keys cost time linear in
/// at most 65,535 entries. SipHash was a quarter of the time of a coloured log.
#[derive(Debug, Default)]
pub(super) struct FastHasher(u64);

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }
}
