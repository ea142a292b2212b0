//! Every timing constant of a link in one block, with its unit and its reason.

use std::time::Duration;

use crate::message::NO_HEARTBEAT_MS;

/// How a link keeps time. The configuration file may change each of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often something is sent while nobody types; `None` sends no heartbeats at all, and
    /// then a dead connection is only noticed when the user types. 15 s: below the shortest
    /// idle timeout of a middlebox that is common (about 30 s, carrier NAT), and 80 bytes each.
    pub heartbeat_idle: Option<Duration>,
    /// The same while the user typed within [`Timing::active_for`]. 5 s: a user who looks at the
    /// screen is told of a cut before the next thought.
    pub heartbeat_active: Duration,
    /// No interval is shorter, whatever was learned of the path. 2 s: below, the radio of a
    /// phone would never sleep.
    pub heartbeat_shortest: Duration,
    /// No interval is longer, whatever is configured. 60 s: still noticed within minutes.
    pub heartbeat_longest: Duration,
    /// After how long idle the path forgets a connection, where known. Heartbeats come at 0.4
    /// of it, so that one may be lost.
    pub path_idle_timeout: Option<Duration>,
    /// How long after a key the user counts as active. 60 s: a pause in reading a page.
    pub active_for: Duration,
    /// How long typed bytes may be unanswered before a ping asks whether the connection or only
    /// the program is slow. 0.5 s: longer than nearly every round trip.
    pub probe_after: Duration,
    /// Silence after which the user is told when typed bytes are unanswered. 3 s: about when one
    /// begins to wonder.
    pub banner_with_input: Duration,
    /// Silence after which the user is told otherwise. 6.5 s: TCP has by then repeated a lost
    /// packet five times, so a blip is over.
    pub banner: Duration,
    /// How long after the connection closed the user is told. 0.5 s: a redial that succeeds
    /// within is no more than a hiccup.
    pub banner_closed: Duration,
    /// Silence after which a second connection is dialled beside the first. 8 s: rare on a
    /// path that works, and a dial costs little.
    pub suspect: Duration,
    /// The same when typed bytes are unanswered, or four round trips where those take longer, but
    /// no longer than [`Timing::banner_with_input`].
    /// 1 s: the user waits, and most cuts of idle connections are found by the first key. Within
    /// it TCP sends a lost packet twice again; and where the connection is well after all, the
    /// dial is dropped, and the user never hears of it.
    pub suspect_with_input: Duration,
    /// The same after the machine woke up or its routes changed, which break most connections:
    /// then it is known that a ping was sent just now. 0.4 s: one lost packet is no cut
    /// (RFC 6298 repeats it after 0.2 s at least), and the routes of a machine change often
    /// that do not matter here.
    pub suspect_after_wake: Duration,
    /// Silence after which an active user's connection is given up. 15 s: on a wireless line,
    /// TCP would by now wait longer between its attempts than a new dial takes.
    pub dead: Duration,
    /// Waits before the first, second, … dial in a row, counted from the beginning of the one
    /// before, whether that is still under way or not; the last one repeats. The first is
    /// none at all: most cuts are of the connection, not of the path.
    pub redial: Vec<Duration>,
    /// Least distance between dials that reached the far ssh server and failed. 5 s: sshd
    /// (PerSourcePenalties) refuses sources that fail faster for minutes.
    pub redial_after_reached: Duration,
    /// How far dials are apart that fail at once, while the user typed within
    /// [`Timing::active_for`] or when the network is another. 0.5 s: that a host is not there
    /// costs it nothing, and this machine some milliseconds.
    pub redial_shortest: Duration,
    /// The same while others are under way. 1.5 s: TCP repeats its first packet a second after
    /// it, so that of two that began so far apart one knocks every half second. It is more than
    /// sshd counts against one that is closed unfinished (PerSourcePenalties, noauth: 1 s).
    pub redial_beside: Duration,
    /// How many dials are under way at once, two at least; then the second oldest makes way. 3:
    /// each but the oldest has 3 s, which is enough where a round trip takes less than 280 ms;
    /// and when the path works again, the processor has not too many handshakes to do at once.
    pub dials_at_once: usize,
    /// A link that lived so long counts as good: the next dial is the first of a row again. 3 s.
    pub stable_after: Duration,
    /// How long a redial may take until the far server's hello, if it need not make way. 20 s:
    /// ssh's own timeouts do not bound key exchange, authentication and start-up files.
    pub dial: Duration,
    /// The same while ssh may ask the user for a password. 300 s.
    pub dial_interactive: Duration,
    /// How long the server may take from the hello to `Attached`. 10 s: it answers at once, and
    /// while it does not, others are dialled [`Timing::redial_beside`].
    pub attach: Duration,
    /// How long the server may take to confirm a detach before the client leaves anyhow. 1 s:
    /// the user wants to go.
    pub leave: Duration,
    /// After how long without contact the user is asked before waiting input that holds a line
    /// end is delivered. 30 s: by then one has forgotten what one typed. `None`: never asked.
    pub ask_after: Option<Duration>,
    /// How long nothing was typed before a key that answers psess, and not the program: y, n, or
    /// the Enter that dials again. 0.5 s: whoever types a word does not stop so long between two
    /// letters, and nobody reads a question and answers it faster.
    pub answer_after: Duration,
    /// Wait after each dial to a local server that failed, times the number of dials so far, at
    /// most ten times as long. 20 ms: a server restarts within milliseconds.
    pub local_redial: Duration,
    /// How long the client looks for a local server that closed its connection. 10 s: a server
    /// restarts within milliseconds. Where its keeper has gone as well, it looks for
    /// [`Timing::banner_closed`].
    pub local_give_up: Duration,
    /// Typed bytes that may be on their way and unconfirmed. 64 KiB: what a pipe holds.
    pub input_in_flight_bytes: usize,
    /// Typed bytes that are kept in all. 1 MiB: a large paste.
    pub input_bytes: usize,
    /// How far apart a server on the same machine is told of keys that the client typed past it.
    /// 0.1 s: soon enough for `psess list`, and after the key's echo, which must not wait for it.
    pub typed_apart: Duration,
    /// Terminal bytes after which an acknowledgement is due in any case: 16 KiB, which no server
    /// gives less credit than.
    pub acknowledge_bytes: u64,
    /// How far apart acknowledgements of fewer bytes than [`Timing::acknowledge_bytes`] are while
    /// the terminal has more to take. 1 ms: a terminal that takes less in that time is slow, and
    /// the server is to know.
    pub acknowledge_apart: Duration,
    /// The same of the very last bytes, where the server is lent the terminal. 10 ms: it waits for
    /// that before it writes a flood by itself, and it should not be told more than 100 times a
    /// second.
    pub acknowledge_rest_apart: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            heartbeat_idle: Some(seconds(15)),
            heartbeat_active: seconds(5),
            heartbeat_shortest: seconds(2),
            heartbeat_longest: seconds(60),
            path_idle_timeout: None,
            active_for: seconds(60),
            probe_after: Duration::from_millis(500),
            banner_with_input: seconds(3),
            banner: Duration::from_millis(6_500),
            banner_closed: Duration::from_millis(500),
            suspect: seconds(8),
            suspect_with_input: seconds(1),
            suspect_after_wake: Duration::from_millis(400),
            dead: seconds(15),
            redial: [0, 1, 2, 5, 10, 20, 30].map(seconds).to_vec(),
            redial_after_reached: seconds(5),
            redial_shortest: Duration::from_millis(500),
            redial_beside: Duration::from_millis(1_500),
            dials_at_once: 3,
            stable_after: seconds(3),
            dial: seconds(20),
            dial_interactive: seconds(300),
            attach: seconds(10),
            leave: seconds(1),
            ask_after: Some(seconds(30)),
            answer_after: Duration::from_millis(500),
            local_redial: Duration::from_millis(20),
            local_give_up: seconds(10),
            input_in_flight_bytes: 64 * 1024,
            input_bytes: 1024 * 1024,
            typed_apart: Duration::from_millis(100),
            acknowledge_bytes: 16 * 1024,
            acknowledge_apart: Duration::from_millis(1),
            acknowledge_rest_apart: Duration::from_millis(10),
        }
    }
}

impl Timing {
    /// The heartbeat's interval: by what the user does, and never too long for the path.
    #[must_use]
    pub fn heartbeat(&self, active: bool) -> Option<Duration> {
        let idle = self.heartbeat_idle?.min(self.heartbeat_longest);
        let wanted = if active {
            idle.min(self.heartbeat_active)
        } else {
            idle
        };
        Some(match self.path_idle_timeout {
            Some(timeout) => wanted.min(timeout.mul_f64(0.4).max(self.heartbeat_shortest)),
            None => wanted,
        })
    }

    /// How far a dial is from the one before while that is under way. Where the last one that
    /// succeeded took long, each has twice that time before it makes way.
    #[must_use]
    pub fn beside(&self, usual: Option<Duration>) -> Duration {
        let younger = self.dials_at_once.saturating_sub(1).max(1) as u32;
        let usual = usual.unwrap_or_default().min(self.dial);
        self.redial_beside.max(usual * 2 / younger)
    }

    /// What a far server is asked to send at least every so many milliseconds:
    /// [`NO_HEARTBEAT_MS`] where heartbeats are off. A quarter longer than the client's own interval: its pings are answered, so the
    /// server rarely has to speak up by itself.
    #[must_use]
    pub fn server_heartbeat_ms(&self) -> u32 {
        let Some(interval) = self.heartbeat(false) else {
            return NO_HEARTBEAT_MS;
        };
        u32::try_from(interval.as_millis() * 5 / 4).unwrap_or(NO_HEARTBEAT_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_come_often_enough_for_the_path_and_the_user() {
        let seconds = Duration::from_secs;
        let mut timing = Timing::default();
        assert_eq!(timing.heartbeat(false), Some(seconds(15)));
        assert_eq!(timing.heartbeat(true), Some(seconds(5)));
        timing.path_idle_timeout = Some(seconds(10));
        assert_eq!(timing.heartbeat(false), Some(seconds(4)));
        assert_eq!(timing.server_heartbeat_ms(), 5_000);
        timing.path_idle_timeout = Some(seconds(1));
        assert_eq!(timing.heartbeat(true), Some(seconds(2)));
        timing.heartbeat_idle = Some(seconds(3_600));
        timing.path_idle_timeout = None;
        assert_eq!(timing.heartbeat(false), Some(seconds(60)));
        timing.heartbeat_idle = None;
        assert_eq!(
            (timing.heartbeat(true), timing.server_heartbeat_ms()),
            (None, NO_HEARTBEAT_MS)
        );
    }
}
