//! How much a client may be sent before it says that it was written to the user's terminal.
//!
//! ssh alone keeps 2 MiB under way, 18 s at 1 Mbit/s, and Ctrl-C waits behind it. So as much is
//! under way as the client drains in a short time, within bounds. What is measured is how long
//! the bytes under way took: so many in that time is the rate of whatever is slowest, the line or
//! the terminal, and the shortest time ever seen is the way there and back without any queue.
//! Acknowledgements tell it, but their size does not matter.

use std::time::{Duration, Instant};

/// The window before anything is known: it doubles with each round trip. Not below what a client
/// may leave unacknowledged.
const FIRST_WINDOW: u64 = 16 << 10;

/// The largest window.
pub(crate) const MAX_WINDOW: u64 = 256 << 10;

/// How much may queue up.
#[derive(Debug)]
pub(super) struct Bounds {
    /// What is drained in this time may wait before the slowest place.
    queue: Duration,
    /// The smallest window.
    floor: u64,
}

/// On this machine only the terminal can be slow: 8 ms are half a frame of its screen, and long
/// beside any pause of the client.
pub(super) const NEAR: Bounds = Bounds {
    queue: Duration::from_millis(8),
    floor: FIRST_WINDOW,
};

/// Over a network, round trips vary by what others send. The floor is half a second at 1 Mbit/s,
/// so that Ctrl-C shows within one.
pub(super) const FAR: Bounds = Bounds {
    queue: Duration::from_millis(100),
    floor: 64 << 10,
};

/// Terminal bytes sent to one client and written by it, and the window between.
#[derive(Debug)]
pub(crate) struct Credit {
    sent: u64,
    written: u64,
    window: u64,
    bounds: Bounds,
    probe: Option<Probe>,
    /// The shortest time that a byte was under way.
    shortest: Option<Duration>,
}

/// A byte whose way is timed.
#[derive(Debug)]
struct Probe {
    sent_at: Instant,
    /// It and all before it, as a count of `sent`.
    end: u64,
    /// Bytes under way when it was sent, itself the last.
    under_way: u64,
}

impl Credit {
    /// A link's credit before its first byte.
    #[must_use]
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            sent: 0,
            written: 0,
            window: FIRST_WINDOW,
            bounds,
            probe: None,
            shortest: None,
        }
    }

    /// How many terminal bytes may be sent now.
    #[must_use]
    pub(crate) fn available(&self) -> usize {
        (self.written + self.window).saturating_sub(self.sent) as usize
    }

    /// Whether the client wrote all that it was sent.
    #[must_use]
    pub(super) fn is_all_written(&self) -> bool {
        self.written == self.sent
    }

    /// So many terminal bytes were sent.
    pub(crate) fn handle_sent(&mut self, now: Instant, bytes: usize) {
        self.sent += bytes as u64;
        let under_way = self.sent - self.written;
        // Of fewer bytes the last ones may wait for company before they are acknowledged, and
        // they tell nothing of the window.
        if self.probe.is_none() && under_way >= self.window / 2 {
            self.probe = Some(Probe {
                sent_at: now,
                end: self.sent,
                under_way,
            });
        }
    }

    /// So many bytes of earlier connections wait for the client's terminal: it has that much less
    /// to take.
    pub(crate) fn handle_unwritten(&mut self, bytes: u32) {
        self.sent = self.sent.saturating_add(bytes.into());
    }

    /// The client says how many terminal bytes it has written in all. One that claims more than
    /// was sent is taken to have written all; one that claims less than before is not heard.
    pub(crate) fn handle_written(&mut self, now: Instant, total: u64) {
        self.written = self.written.max(total.min(self.sent));
        if let Some(probe) = self.probe.take_if(|probe| probe.end <= self.written) {
            let took = now.saturating_duration_since(probe.sent_at);
            self.adjust(probe.under_way, took.max(Duration::from_micros(1)));
        }
    }

    /// So many bytes were drained in this time.
    fn adjust(&mut self, bytes: u64, took: Duration) {
        let shortest = self.shortest.map_or(took, |shortest| shortest.min(took));
        self.shortest = Some(shortest);
        let may_take = (shortest + self.bounds.queue).as_secs_f64();
        let target = (bytes as f64 * may_take / took.as_secs_f64()) as u64;
        self.window = target
            .min(self.window * 2)
            .clamp(self.bounds.floor, MAX_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client at the end of a line, with a terminal of limited rate.
    struct Line {
        rate: u64,
        round_trip: Duration,
        bounds: Bounds,
        /// The client acknowledges so many bytes at once.
        step: u64,
    }

    impl Line {
        /// To a terminal on this machine.
        fn near(rate: u64, step: u64) -> Self {
            Self {
                rate,
                round_trip: Duration::from_micros(200),
                bounds: NEAR,
                step,
            }
        }

        /// Over a network.
        fn far(rate: u64, round_trip_ms: u64) -> Self {
            Self {
                rate,
                round_trip: Duration::from_millis(round_trip_ms),
                bounds: FAR,
                step: 4 << 10,
            }
        }

        /// Sends all it may for some seconds. The window then, and the bytes that were written.
        fn flood(self, seconds: u64) -> (u64, u64) {
            const TICK: Duration = Duration::from_micros(50);
            let begin = Instant::now();
            let mut credit = Credit::new(self.bounds);
            let (mut said, mut said_at, mut drained, mut budget) = (0, begin, 0.0, 0.0);
            let mut down = std::collections::VecDeque::new();
            let mut up = std::collections::VecDeque::new();
            for tick in 0..seconds * 20_000 {
                let now = begin + TICK * tick as u32;
                let bytes = credit.available();
                if bytes > 0 {
                    credit.handle_sent(now, bytes);
                    down.push_back((now + self.round_trip / 2, credit.sent));
                }
                let arrived = down.iter().take_while(|(at, _)| *at <= now).last();
                let arrived = arrived.map_or(0, |(_, sent)| *sent).max(drained as u64);
                while down
                    .front()
                    .is_some_and(|(_, sent)| *sent <= drained as u64)
                {
                    down.pop_front();
                }
                budget += self.rate as f64 * TICK.as_secs_f64();
                let takes = budget.min(arrived as f64 - drained);
                drained += takes;
                budget = (budget - takes).min(4096.0);
                let unsaid = drained as u64 - said;
                // As `OutputPosition`'s credit does it.
                let waited = now >= said_at + Duration::from_millis(1);
                if unsaid >= self.step || waited && unsaid >= 2048 {
                    (said, said_at) = (drained as u64, now);
                    up.push_back((now + self.round_trip / 2, said));
                }
                while let Some((_, total)) = up.pop_front_if(|(at, _)| *at <= now) {
                    credit.handle_written(now, total);
                }
            }
            (credit.window, drained as u64)
        }
    }

    #[test]
    fn a_slow_terminal_nearby_has_little_under_way_and_never_waits() {
        for step in [4 << 10, 16 << 10] {
            let (window, written) = Line::near(1_000_000, step).flood(3);
            assert!(window <= 26 << 10, "{window} in steps of {step}");
            assert!(written > 2_900_000, "{written} in steps of {step}");
        }
    }

    #[test]
    fn a_fast_terminal_is_never_held_up() {
        let (window, written) = Line::near(400_000_000, 16 << 10).flood(1);
        assert_eq!(window, MAX_WINDOW);
        assert!(written > 380_000_000, "{written}");
    }

    #[test]
    fn a_slow_line_has_half_a_second_under_way_and_is_used_in_full() {
        let (window, written) = Line::far(125_000, 60).flood(10);
        assert_eq!(window, FAR.floor);
        assert!(written > 1_200_000, "{written}");
    }

    #[test]
    fn a_far_client_on_a_fast_line_has_a_round_trip_and_a_little_under_way() {
        let (window, written) = Line::far(1_500_000, 30).flood(5);
        assert!((150_000..256_000).contains(&window), "{window}");
        assert!(written > 7_200_000, "{written}");
    }

    #[test]
    fn a_client_that_stood_still_is_back_at_full_speed_at_once() {
        let mut now = Instant::now();
        let mut credit = Credit::new(NEAR);
        let mut pass = |took| {
            let bytes = credit.available();
            credit.handle_sent(now, bytes);
            now += took;
            credit.handle_written(now, u64::MAX);
            credit.window
        };
        for _ in 0..8 {
            pass(Duration::from_micros(300));
        }
        assert_eq!(pass(Duration::from_secs(10)), NEAR.floor);
        let passes = (1..).find(|_| pass(Duration::from_micros(300)) == MAX_WINDOW);
        assert!(passes <= Some(5), "{passes:?}");
    }

    #[test]
    fn what_waits_from_before_uses_up_the_credit() {
        let now = Instant::now();
        let mut credit = Credit::new(NEAR);
        credit.handle_unwritten(40 << 10);
        assert_eq!(credit.available(), 0);
        credit.handle_written(now, 30 << 10);
        assert_eq!(credit.available() as u64, FIRST_WINDOW - (10 << 10));
        credit.handle_unwritten(u32::MAX);
        assert_eq!(credit.available(), 0);
    }

    #[test]
    fn a_client_cannot_claim_more_than_it_was_sent() {
        let now = Instant::now();
        let mut credit = Credit::new(NEAR);
        credit.handle_sent(now, 10);
        credit.handle_written(now, u64::MAX);
        credit.handle_written(now, 3);
        assert_eq!(credit.available() as u64, FIRST_WINDOW);
    }
}
