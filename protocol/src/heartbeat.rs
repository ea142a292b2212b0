//! The liveness of one connection, for either side: a pure state machine.
//!
//! It says when a ping is due (nothing was sent for the interval), how long the peer has been
//! silent, and how long a round trip takes. What follows from silence is its owner's decision:
//! the client's link suspects and redials, the server takes the client for lost.

use std::time::{Duration, Instant};

use crate::message::NO_HEARTBEAT_MS;

/// What a server adds to three silent intervals before it takes a client for lost: the time of
/// a slow line's worst round trip.
const LOST_GRACE: Duration = Duration::from_secs(5);

/// An answer that took longer than this, and than two round trips, is not taken at its word: it may
/// come out of an outage that is over.
const SLOW_LINE: Duration = Duration::from_secs(1);

/// Sent and received on one connection.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    interval: Option<Duration>,
    last_sent: Instant,
    last_received: Instant,
    /// The oldest ping that no pong has answered.
    unanswered: Option<Ping>,
    last_ping: Option<Ping>,
    numbers: u64,
    round_trip: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    number: u64,
    sent: Instant,
}

impl Heartbeat {
    /// A connection that came up just now. Without an interval nothing is ever due.
    #[must_use]
    pub fn new(now: Instant, interval: Option<Duration>) -> Self {
        Self {
            interval,
            last_sent: now,
            last_received: now,
            unanswered: None,
            last_ping: None,
            numbers: 0,
            round_trip: None,
        }
    }

    /// The server's side, as the client asked for in `Attach::heartbeat_ms`.
    #[must_use]
    pub fn of_server(now: Instant, heartbeat_ms: u32) -> Self {
        let interval = match heartbeat_ms {
            0 | NO_HEARTBEAT_MS => None,
            millis => Some(Duration::from_millis(u64::from(millis))),
        };
        Self::new(now, interval)
    }

    /// Changes the interval from the last byte sent on.
    pub fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval;
    }

    /// The interval; `None`: no heartbeats.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Something was sent, whatever it was.
    pub fn handle_sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// Something came, whatever it was: the peer lives.
    pub fn handle_received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// The answer to a ping came; numbers that were never sent are ignored.
    pub fn handle_pong(&mut self, now: Instant, number: u64) {
        self.handle_received(now);
        let Some(last) = self.last_ping else { return };
        if number > last.number {
            return;
        }
        if number == last.number {
            let sample = now.saturating_duration_since(last.sent);
            // RFC 6298's smoothing: one slow answer is no slow line.
            self.round_trip = Some(match self.round_trip {
                Some(smooth) => (smooth * 7 + sample.min(SLOW_LINE.max(smooth * 2))) / 8,
                None => sample,
            });
            self.unanswered = None;
        } else if self
            .unanswered
            .is_some_and(|oldest| oldest.number <= number)
        {
            self.unanswered = Some(last);
        }
    }

    /// Something else was answered, which took a round trip and perhaps more: it is not longer.
    pub fn handle_answered_within(&mut self, took: Duration) {
        self.round_trip = Some(self.round_trip.map_or(took, |smooth| smooth.min(took)));
    }

    /// The number of a ping to be sent now, because nothing was sent for the interval.
    pub fn poll_ping(&mut self, now: Instant) -> Option<u64> {
        let due = self.last_sent + self.interval?;
        (now >= due).then(|| self.ping(now))
    }

    /// The number of a ping that is sent now in any case: to find out at once.
    pub fn ping(&mut self, now: Instant) -> u64 {
        self.numbers += 1;
        let ping = Ping {
            number: self.numbers,
            sent: now,
        };
        self.last_ping = Some(ping);
        self.unanswered.get_or_insert(ping);
        self.last_sent = now;
        ping.number
    }

    /// When [`Heartbeat::poll_ping`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.last_sent + self.interval?)
    }

    /// When the oldest ping without an answer was sent.
    #[must_use]
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered.map(|ping| ping.sent)
    }

    /// When something came last.
    #[must_use]
    pub fn last_received(&self) -> Instant {
        self.last_received
    }

    /// When something was sent last.
    #[must_use]
    pub fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// How long nothing has come.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_received)
    }

    /// When a server takes a client for lost that stays silent: three intervals and 5 s after
    /// its last byte; never without heartbeats.
    #[must_use]
    pub fn lost_at(&self) -> Option<Instant> {
        Some(self.last_received + self.interval? * 3 + LOST_GRACE)
    }

    /// The smoothed round trip, once one was measured.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: Duration = Duration::from_secs(15);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_ping_is_due_only_when_nothing_else_was_sent() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, Some(H));
        heartbeat.handle_sent(start + 10 * SECOND);
        assert_eq!(heartbeat.poll_ping(start + H), None);
        assert_eq!(heartbeat.poll_timeout(), Some(start + 25 * SECOND));
        assert_eq!(heartbeat.poll_ping(start + 25 * SECOND), Some(1));
        assert_eq!(heartbeat.poll_ping(start + 25 * SECOND), None);
    }

    #[test]
    fn a_late_pong_leaves_the_newer_ping_unanswered() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, Some(H));
        let first = heartbeat.ping(start);
        let second = heartbeat.ping(start + SECOND);
        heartbeat.handle_pong(start + 2 * SECOND, first);
        assert_eq!(heartbeat.unanswered_since(), Some(start + SECOND));
        heartbeat.handle_pong(start + 2 * SECOND, 99);
        assert_eq!(heartbeat.unanswered_since(), Some(start + SECOND));
        heartbeat.handle_pong(start + 3 * SECOND, second);
        assert_eq!(heartbeat.unanswered_since(), None);
        assert_eq!(heartbeat.round_trip(), Some(2 * SECOND));
    }

    #[test]
    fn an_answer_out_of_an_outage_makes_no_slow_line_and_a_slow_line_is_learned() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::new(now, Some(H));
        let mut answered = |took: u64| {
            let number = heartbeat.ping(now);
            now += Duration::from_millis(took);
            heartbeat.handle_pong(now, number);
            heartbeat.round_trip().unwrap().as_millis()
        };
        assert_eq!(answered(40), 40);
        assert_eq!(answered(30_000), 160);
        assert!((1..40).any(|_| answered(40) < 50));
        assert!((1..40).any(|_| answered(3_000) > 2_900));
    }

    #[test]
    fn a_server_without_heartbeats_never_loses_a_client() {
        let start = Instant::now();
        let local = Heartbeat::of_server(start, 0);
        assert_eq!((local.poll_timeout(), local.lost_at()), (None, None));
        let remote = Heartbeat::of_server(start, 15_000);
        assert_eq!(remote.lost_at(), Some(start + 50 * SECOND));
    }
}
