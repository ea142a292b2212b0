//! How fast a way carries output, and how much history that is at once.

use std::time::{Duration, Instant};

/// So long the history may take when attaching.
const MOMENT: Duration = Duration::from_millis(200);

/// Bytes that a line of history takes in a replay, rather more than usual: a log line is 80, one
/// in colours 130.
const LINE_BYTES: u64 = 110;

/// Lines on a way that nothing is known of: a quarter of a second at 4 Mbit/s.
const UNKNOWN_LINES: u32 = 1_000;

/// Lines at most: what a server keeps unless it is told otherwise.
const MOST_LINES: u32 = 10_000;

/// A shorter replay says more of the round trip than of the rate.
const WORTH_MEASURING: u64 = 16 << 10;

/// Measures replays on their way.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineRate {
    /// When the one that is coming was announced, and how much of it came.
    coming: Option<(Instant, u64)>,
    bytes_per_second: Option<u64>,
}

impl LineRate {
    /// A replay was announced: its bytes follow at once.
    pub fn handle_announced(&mut self, now: Instant) {
        self.coming = Some((now, 0));
    }

    /// Bytes of it came.
    pub fn handle_received(&mut self, now: Instant, bytes: usize) {
        let Some((since, received)) = &mut self.coming else {
            return;
        };
        *received += bytes as u64;
        if *received >= WORTH_MEASURING {
            let took = now.saturating_duration_since(*since);
            let took = took.max(Duration::from_millis(1));
            self.bytes_per_second = Some((*received as f64 / took.as_secs_f64()) as u64);
        }
    }

    /// What the last replay of some length came with.
    #[must_use]
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second
    }
}

/// As many lines of history as the way carries in a moment, but a screenful of `rows` at least.
#[must_use]
pub fn fitting_lines(bytes_per_second: Option<u64>, rows: u16) -> u32 {
    let lines = bytes_per_second.map_or(UNKNOWN_LINES, |rate| {
        let bytes = rate as f64 * MOMENT.as_secs_f64();
        (bytes as u64 / LINE_BYTES).min(u64::from(MOST_LINES)) as u32
    });
    lines.max(u32::from(rows)).min(MOST_LINES)
}

/// The same where nothing lies between: on this machine.
#[must_use]
pub fn fitting_lines_here() -> u32 {
    MOST_LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_what_the_way_carries_in_a_moment() {
        let lines = |bits_per_second: u64| fitting_lines(Some(bits_per_second / 8), 50);
        assert_eq!(lines(50_000), 50, "a screenful");
        assert_eq!(lines(1_000_000), 227);
        assert_eq!(lines(20_000_000), 4_545);
        assert_eq!(lines(1_000_000_000), 10_000);
        assert_eq!(fitting_lines(None, 24), 1_000);
        assert_eq!(fitting_lines(Some(u64::MAX), u16::MAX), 10_000);
    }

    /// A replay that comes in chunks over a line of so many bytes a second.
    fn measured(bytes_per_second: u64, length: u64) -> Option<u64> {
        let mut now = Instant::now();
        let mut rate = LineRate::default();
        rate.handle_received(now, 1_000_000);
        rate.handle_announced(now);
        for _ in 0..length / 1000 {
            now += Duration::from_nanos(1_000_000_000_000 / bytes_per_second);
            rate.handle_received(now, 1000);
        }
        rate.bytes_per_second()
    }

    #[test]
    fn a_long_replay_tells_the_rate() {
        for rate in [10_000, 125_000, 1_000_000] {
            let found = measured(rate, 100_000).unwrap();
            assert!(found.abs_diff(rate) <= rate / 100, "{found} of {rate}");
        }
        assert_eq!(measured(125_000, 5_000), None);
    }
}
