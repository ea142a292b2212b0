//! When to dial again.

use std::time::{Duration, Instant};

use crate::timing::Timing;

/// Counts dials in a row, and keeps them apart.
#[derive(Clone, Debug)]
pub(super) struct Redial {
    /// Dials since a link last was stable.
    attempts: u32,
    /// When the last one began.
    last: Option<Instant>,
    /// How long after that the next is due, by the ladder.
    wait: Duration,
    /// When the last one began that reached the far ssh server and failed.
    last_reached: Option<Instant>,
    jitter: Jitter,
}

/// What else says when the next dial is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// The user waits for it.
    pub(super) is_eager: bool,
    /// Others are under way.
    pub(super) is_beside: bool,
    /// One of them was greeted by the server then, and has no answer yet.
    pub(super) attaching_since: Option<Instant>,
    /// How long the last dial that succeeded took.
    pub(super) usual: Option<Duration>,
}

impl Redial {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            attempts: 0,
            last: None,
            wait: Duration::ZERO,
            last_reached: None,
            jitter: Jitter(seed | 1),
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A dial begins.
    pub(super) fn handle_dial(&mut self, now: Instant, timing: &Timing) {
        self.attempts += 1;
        self.last = Some(now);
        let rung = timing.redial.get(self.attempts as usize);
        let wait = rung.or(timing.redial.last()).copied().unwrap_or_default();
        self.wait = self.jitter.vary(wait);
    }

    /// The dial that began then failed, having reached the far ssh server.
    pub(super) fn handle_reached(&mut self, began: Instant) {
        self.last_reached = self.last_reached.max(Some(began));
    }

    /// A link was stable, or the network is another: the next dial is the first of a row.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
        self.wait = Duration::ZERO;
    }

    /// When the next dial of the row is due. One that reached sshd and failed holds up the others.
    pub(super) fn due(&self, now: Instant, timing: &Timing, need: Need) -> Instant {
        let mut wait = self.wait;
        if need.is_eager {
            wait = wait.min(timing.redial_shortest);
        }
        if need.is_beside {
            wait = wait.max(timing.beside(need.usual));
        }
        let due = self.last.map_or(now, |last| last + wait);
        // The answer takes one round trip, where all before it took several.
        let silent = need.attaching_since;
        let silent = silent.map(|since| since + timing.beside(need.usual));
        let late = silent.max(self.penalty_over(timing));
        due.max(late.unwrap_or(due)).max(now)
    }

    /// The same for a server on this machine, where nobody needs to be spared.
    pub(super) fn due_locally(&self, now: Instant, timing: &Timing) -> Instant {
        let due = self.last.map_or(now, |last| {
            last + timing.local_redial * self.attempts.min(10)
        });
        due.max(now)
    }

    /// Whether a dial may begin because the network is another, whatever is under way: that
    /// began on a network that is no more.
    pub(super) fn may_begin(&self, now: Instant, timing: &Timing) -> bool {
        let apart = self.last.map(|last| last + timing.redial_shortest);
        apart
            .max(self.penalty_over(timing))
            .is_none_or(|at| at <= now)
    }

    /// When sshd no longer minds the failure that it saw last.
    ///
    /// It also sees dials that are closed because they make way, or because another was first,
    /// and counts a second against each (PerSourcePenalties, noauth). That does not add up: they
    /// are further apart than that, and below 15 s nobody is refused.
    fn penalty_over(&self, timing: &Timing) -> Option<Instant> {
        Some(self.last_reached? + timing.redial_after_reached)
    }
}

/// Spreads the dials of many clients that a cut woke at the same moment.
#[derive(Clone, Debug)]
struct Jitter(u64);

impl Jitter {
    /// `wait` ± 20 %.
    fn vary(&mut self, wait: Duration) -> Duration {
        // xorshift64 (Marsaglia, 2003): even enough for this.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let share = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        wait.mul_f64(0.8 + 0.4 * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Need = Need {
        is_eager: false,
        is_beside: false,
        attaching_since: None,
        usual: None,
    };

    #[test]
    fn dials_grow_apart_within_a_fifth() {
        let timing = Timing::default();
        let mut now = Instant::now();
        let mut redial = Redial::new(7);
        assert_eq!(redial.due(now, &timing, PATIENT), now);
        for seconds in [1, 2, 5, 10, 20, 30, 30, 30] {
            redial.handle_dial(now, &timing);
            let due = redial.due(now, &timing, PATIENT);
            let nominal = Duration::from_secs(seconds);
            assert!(due - now >= nominal.mul_f64(0.8) && due - now <= nominal.mul_f64(1.2));
            now = due;
        }
    }

    #[test]
    fn a_user_who_waits_has_them_close_together() {
        let timing = Timing::default();
        let now = Instant::now();
        let mut redial = Redial::new(7);
        for _ in 0..9 {
            redial.handle_dial(now, &timing);
        }
        let mut need = Need {
            is_eager: true,
            ..PATIENT
        };
        assert_eq!(
            redial.due(now, &timing, need),
            now + timing.redial_shortest,
            "the ones before failed"
        );
        need.is_beside = true;
        assert_eq!(redial.due(now, &timing, need), now + timing.redial_beside);
        need.usual = Some(Duration::from_secs(6));
        assert_eq!(
            redial.due(now, &timing, need),
            now + Duration::from_secs(6),
            "each has twice the time that one takes before it makes way"
        );
        need.attaching_since = Some(now + Duration::from_secs(5));
        assert_eq!(
            redial.due(now, &timing, need),
            now + Duration::from_secs(11),
            "and to be answered"
        );
    }

    #[test]
    fn dials_that_sshd_saw_fail_stay_apart() {
        let timing = Timing::default();
        let now = Instant::now();
        let mut redial = Redial::new(7);
        redial.handle_dial(now, &timing);
        redial.handle_reached(now);
        redial.reset();
        let five = now + timing.redial_after_reached;
        assert_eq!(redial.due(now, &timing, PATIENT), five);
        assert!(!redial.may_begin(now + timing.redial_shortest, &timing));
        assert!(redial.may_begin(five, &timing));
    }
}
