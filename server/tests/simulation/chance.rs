//! Everything random, from one seed.

use std::time::Duration;

use fastrand::Rng;

/// What the seed decides.
#[derive(Debug)]
pub(crate) struct Chance(Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number in 0..limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit.max(1))
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A length in 1..=most, of any magnitude.
    pub(crate) fn length(&mut self, most: usize) -> usize {
        let magnitude = self.below(u64::from(most.ilog2()) + 1);
        (1 + self.below(2 << magnitude) as usize).min(most)
    }

    /// A time below `most`.
    pub(crate) fn time(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64))
    }
}
