//! When a server that died is started again. Pure.

use std::time::Duration;

/// The pauses after the first death, the second, and so on; the last one goes on for ever.
const PAUSES: [Duration; 7] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// A server that lived this long was well: the next death counts as the first.
const WELL: Duration = Duration::from_secs(60);

/// After a death from outside there is no reason to wait, unless they come in a row.
const OUTSIDE: Duration = Duration::from_millis(100);

/// What a server died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Itself: it crashed, or broke the keeper's protocol, and may well do so again.
    Itself,
    /// It was asked to go (exit 0, as for an upgrade), or was killed (SIGKILL, also by the
    /// kernel when memory runs out).
    Outside,
}

/// Counts deaths.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    deaths: usize,
}

impl Backoff {
    /// A server died after having lived for `lived`. How long to wait before the next.
    pub(super) fn handle_death(&mut self, death: Death, lived: Duration) -> Duration {
        match death {
            Death::Itself => {}
            Death::Outside if lived < OUTSIDE => return OUTSIDE,
            Death::Outside => return Duration::ZERO,
        }
        if lived >= WELL {
            self.deaths = 0;
        }
        let pause = PAUSES[self.deaths.min(PAUSES.len() - 1)];
        self.deaths += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_server_lives() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..9)
            .map(|_| backoff.handle_death(Death::Itself, Duration::from_secs(1)))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [0, 0, 100, 500, 1000, 2000, 5000, 5000, 5000]);
        assert_eq!(backoff.handle_death(Death::Itself, WELL), Duration::ZERO);
    }

    #[test]
    fn a_server_killed_again_and_again_is_replaced_at_once() {
        let mut backoff = Backoff::default();
        for _ in 0..300 {
            let pause = backoff.handle_death(Death::Outside, Duration::from_millis(300));
            assert_eq!(pause, Duration::ZERO);
        }
        assert_eq!(
            backoff.handle_death(Death::Outside, Duration::ZERO),
            OUTSIDE
        );
    }
}
