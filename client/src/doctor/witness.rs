//! Watches one link, and tells of each of its cuts what was seen. Pure: it takes the time.
//!
//! The attached client tells it what goes over which connection; it decides nothing, and the link
//! does not know of it.

use std::time::{Duration, Instant};

use psess_protocol::identity::Generation;

use super::evidence::{Evidence, Noticed, Redial, ServerIdentity, SshEnd};
use super::route::Route;
use crate::sleep_watch::{Clocks, SleepWatch};

/// A stop or a sleep counts for a cut that is noticed so soon after it.
const FRESH: Duration = Duration::from_secs(60);

/// A wake-up that comes so much too late means that the process was stopped.
const LATE: Duration = Duration::from_secs(2);

/// What was seen of one link.
#[derive(Debug, Default)]
pub struct Witness {
    carrier: Option<Seen>,
    /// The longest gap that any connection of this link survived on the present route.
    survived: Duration,
    /// The cut that is not over yet.
    open: Option<Open>,
    /// Dials that failed since something last came.
    redial: Redial,
    server: Option<ServerIdentity>,
    route: Route,
    sleep: SleepWatch,
    slept: Option<(Instant, Duration)>,
    stalled: Option<(Instant, Duration)>,
    /// The last bytes of output that came: a shell's farewell may be among them.
    farewell: Vec<u8>,
}

/// What was seen of the connection that carries the session.
#[derive(Debug)]
struct Seen {
    generation: Generation,
    attached: Instant,
    last_in: Instant,
    last_out: Option<Instant>,
    /// Since when an answer is owed, and how long nothing had gone either way before.
    owed: Option<(Instant, Duration)>,
    survived: Duration,
    /// It goes through a ControlMaster.
    shares_master: bool,
    /// This process was not there: what came meanwhile was not seen coming.
    was_away: bool,
}

/// A cut that is not over.
#[derive(Debug)]
struct Open {
    evidence: Evidence,
    last_in: Instant,
}

impl Witness {
    /// A link that begins on this network.
    #[must_use]
    pub fn new(route: Route, clocks: Clocks) -> Self {
        Self {
            route,
            sleep: SleepWatch::new(clocks),
            ..Self::default()
        }
    }

    /// The network on which the link was last well.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The longest time without a byte that was survived on that network.
    #[must_use]
    pub fn survived(&self) -> Duration {
        self.survived
    }

    /// The client's loop woke up, and was to do so at `due` at the latest; `clocks` is what the
    /// machine's clocks say.
    pub fn handle_woken(&mut self, now: Instant, due: Option<Instant>, clocks: Clocks) {
        let slept = self.sleep.handle_clocks(clocks);
        if let Some(slept) = slept {
            self.slept = Some((now, slept));
        }
        let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if late >= LATE {
            self.stalled = Some((now, late));
        }
        if let Some(seen) = &mut self.carrier {
            seen.was_away |= late >= LATE || slept.is_some();
        }
    }

    /// The session is attached on this connection. The cut that is over thereby, if any.
    pub fn handle_attached(
        &mut self,
        now: Instant,
        generation: Generation,
        route: Route,
    ) -> Option<Evidence> {
        self.carrier = Some(Seen {
            generation,
            attached: now,
            last_in: now,
            last_out: None,
            owed: None,
            survived: Duration::ZERO,
            shares_master: false,
            was_away: false,
        });
        let changed = self.route.differs(&route);
        if changed {
            self.survived = Duration::ZERO;
        }
        self.route = route;
        let redial = std::mem::take(&mut self.redial);
        let open = self.open.take()?;
        Some(Evidence {
            redial: Redial {
                succeeded: true,
                ..redial
            },
            network_changed: open.evidence.network_changed || changed,
            back_after: Some(now.saturating_duration_since(open.last_in)),
            server_after: self.server.clone(),
            ..open.evidence
        })
    }

    /// This connection goes through a ControlMaster.
    pub fn handle_shared(&mut self, generation: Generation) {
        if let Some(seen) = self.carrier_of(generation) {
            seen.shares_master = true;
        }
    }

    /// The server said what it is.
    pub fn handle_server(&mut self, server: ServerIdentity) {
        if let Some(open) = &mut self.open {
            open.evidence.server_after = Some(server.clone());
        }
        self.server = Some(server);
    }

    /// Something came.
    pub fn handle_received(&mut self, now: Instant, generation: Generation) {
        let Some(seen) = self.carrier_of(generation) else {
            return;
        };
        let gap = match seen.owed.take() {
            Some((_, idle)) => idle,
            None => now.saturating_duration_since(seen.last_any()),
        };
        let gap = match std::mem::take(&mut seen.was_away) {
            true => Duration::ZERO,
            false => gap,
        };
        seen.survived = seen.survived.max(gap);
        seen.last_in = now;
        self.survived = self.survived.max(gap);
        self.redial = Redial::default();
    }

    /// Output of the program came.
    pub fn handle_output(&mut self, bytes: &[u8]) {
        const FAREWELL_BYTES: usize = 160;
        let tail = &bytes[bytes.len().saturating_sub(FAREWELL_BYTES)..];
        self.farewell.extend_from_slice(tail);
        let excess = self.farewell.len().saturating_sub(FAREWELL_BYTES);
        self.farewell.drain(..excess);
    }

    /// Something was sent; `is_answered` where the server answers it always.
    pub fn handle_sent(&mut self, now: Instant, generation: Generation, is_answered: bool) {
        let Some(seen) = self.carrier_of(generation) else {
            return;
        };
        if is_answered && seen.owed.is_none() {
            let idle = now.saturating_duration_since(seen.last_any());
            seen.owed = Some((now, idle));
        }
        seen.last_out = Some(now);
    }

    /// A dial failed.
    pub fn handle_dial_failed(&mut self, words: &str, needs_user: bool) {
        let redial = &mut self.redial;
        redial.failed += 1;
        if redial.words.is_empty() || needs_user {
            redial.words = words.lines().next_back().unwrap_or_default().to_owned();
        }
        redial.needed_user |= needs_user;
    }

    /// The connection closed by itself; how ssh ended, as far as known yet. Whether it was the
    /// one that carried the session.
    pub fn handle_closed(
        &mut self,
        now: Instant,
        generation: Generation,
        ssh: Option<SshEnd>,
        leaving: bool,
    ) -> bool {
        self.cut(now, generation, Noticed::Closed, ssh, leaving)
    }

    /// The link gave the connection up. Whether it was the one that carried the session.
    pub fn handle_given_up(&mut self, now: Instant, generation: Generation, leaving: bool) -> bool {
        self.cut(now, generation, Noticed::Silence, None, leaving)
    }

    /// The program ended. What there is to tell of it, when a shell logged out by itself.
    pub fn handle_finished(&mut self, now: Instant) -> Option<Evidence> {
        // bash, zsh and ksh say it in these words.
        let words = String::from_utf8_lossy(&self.farewell).to_lowercase();
        let auto_logout = words.contains("auto-logout")
            || words.contains("timed out waiting for input")
            || words.contains("shell timeout");
        let seen = self.carrier.take().filter(|_| auto_logout)?;
        let mut evidence = seen.evidence(now, Noticed::Finished);
        evidence.auto_logout = true;
        Some(evidence)
    }

    /// The client ends while a cut is not over. What there is to tell of it.
    pub fn handle_end(&mut self) -> Option<Evidence> {
        let open = self.open.take()?;
        Some(Evidence {
            redial: std::mem::take(&mut self.redial),
            ..open.evidence
        })
    }

    fn cut(
        &mut self,
        now: Instant,
        generation: Generation,
        noticed: Noticed,
        ssh: Option<SshEnd>,
        leaving: bool,
    ) -> bool {
        if self.carrier_of(generation).is_none() {
            return false;
        }
        let Some(seen) = self.carrier.take() else {
            return false;
        };
        let fresh = |event: Option<(Instant, Duration)>| {
            event
                .filter(|(at, _)| {
                    now.saturating_duration_since(*at) < FRESH && *at >= seen.attached
                })
                .map(|(_, length)| length)
                .unwrap_or_default()
        };
        let evidence = Evidence {
            ssh,
            leaving,
            slept: fresh(self.slept),
            stalled: fresh(self.stalled),
            server_before: self.server.clone(),
            ..seen.evidence(now, noticed)
        };
        self.open = Some(Open {
            evidence,
            last_in: seen.last_in,
        });
        true
    }

    fn carrier_of(&mut self, generation: Generation) -> Option<&mut Seen> {
        let seen = self.carrier.as_mut()?;
        (seen.generation == generation).then_some(seen)
    }
}

impl Seen {
    fn last_any(&self) -> Instant {
        self.last_out
            .map_or(self.last_in, |out| out.max(self.last_in))
    }

    fn evidence(&self, now: Instant, noticed: Noticed) -> Evidence {
        let since = |at: Instant| now.saturating_duration_since(at);
        Evidence {
            noticed,
            age: since(self.attached),
            idle: self.owed.map_or(since(self.last_any()), |(_, idle)| idle),
            survived_idle: self.survived,
            unanswered: self.owed.map_or(Duration::ZERO, |(at, _)| since(at)),
            since_sent: self.last_out.map(since),
            shares_master: self.shares_master,
            ..Evidence::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cause::Cause;
    use super::super::verdict::classify;
    use super::*;

    const FIRST: Generation = Generation(1);
    const SECOND: Generation = Generation(2);

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A link that was well for a minute, its user typing, and its heart beating every 15 s after.
    fn well(start: Instant) -> Witness {
        let mut witness = Witness::new(Route::default(), Clocks::default());
        witness.handle_attached(start, FIRST, Route::default());
        for second in 0..60 {
            witness.handle_sent(start + seconds(second), FIRST, true);
            witness.handle_received(start + seconds(second), FIRST);
        }
        witness
    }

    #[test]
    fn a_gap_that_was_never_survived_before_is_blamed() {
        let start = Instant::now();
        let mut witness = well(start);
        witness.handle_sent(start + seconds(74), FIRST, true);
        assert!(witness.handle_given_up(start + seconds(83), FIRST, false));
        let evidence = witness
            .handle_attached(start + seconds(83), SECOND, Route::default())
            .expect("a cut is over");
        assert_eq!(evidence.idle, seconds(15));
        assert_eq!(evidence.survived_idle, seconds(1));
        assert_eq!(evidence.unanswered, seconds(9));
        assert_eq!(evidence.age, seconds(83));
        assert_eq!(evidence.back_after, Some(seconds(24)));
        assert_eq!(classify(&evidence).cause, Cause::IdleTimeout);
    }

    #[test]
    fn a_gap_that_was_survived_before_is_not() {
        let start = Instant::now();
        let mut witness = well(start);
        for beat in [74, 89] {
            witness.handle_sent(start + seconds(beat), FIRST, true);
            witness.handle_received(start + seconds(beat), FIRST);
        }
        witness.handle_sent(start + seconds(104), FIRST, true);
        witness.handle_given_up(start + seconds(112), FIRST, false);
        let evidence = witness.handle_attached(start + seconds(113), SECOND, Route::default());
        assert_eq!(classify(&evidence.unwrap()).cause, Cause::Outage);
    }

    #[test]
    fn a_process_that_was_stopped_knows_it() {
        let start = Instant::now();
        let mut witness = well(start);
        let due = start + seconds(64);
        witness.handle_woken(start + seconds(100), Some(due), Clocks::default());
        witness.handle_sent(start + seconds(100), FIRST, true);
        witness.handle_given_up(start + seconds(108), FIRST, false);
        let evidence = witness.handle_attached(start + seconds(109), SECOND, Route::default());
        let evidence = evidence.unwrap();
        assert_eq!(evidence.stalled, seconds(36));
        assert_eq!(classify(&evidence).cause, Cause::Slept);
    }

    #[test]
    fn a_gap_that_was_not_watched_is_none_that_was_survived() {
        let start = Instant::now();
        let mut witness = well(start);
        let late = start + seconds(100);
        witness.handle_woken(late, Some(start + seconds(64)), Clocks::default());
        witness.handle_received(late, FIRST);
        assert_eq!(witness.survived(), seconds(1));
        witness.handle_received(late + seconds(9), FIRST);
        assert_eq!(witness.survived(), seconds(9));
    }

    #[test]
    fn only_the_connection_that_carries_the_session_can_be_cut() {
        let start = Instant::now();
        let mut witness = well(start);
        assert!(!witness.handle_given_up(start, SECOND, false));
        assert_eq!(witness.handle_end(), None);
        assert!(witness.handle_closed(start + seconds(60), FIRST, None, false));
        witness.handle_dial_failed("me@box: Permission denied (publickey).", true);
        let evidence = witness.handle_end().expect("a cut is not over");
        assert_eq!(classify(&evidence).cause, Cause::RedialRefused);
    }

    #[test]
    fn a_shells_auto_logout_is_heard_and_an_exit_is_not() {
        let start = Instant::now();
        let mut witness = well(start);
        witness.handle_output(b"$ \x07timed out waiting ");
        witness.handle_output(b"for input: auto-logout\r\n");
        let evidence = witness.handle_finished(start + seconds(65)).unwrap();
        assert_eq!(classify(&evidence).cause, Cause::ShellTimeout);
        let mut witness = well(start);
        witness.handle_output(b"$ exit\r\n");
        assert_eq!(witness.handle_finished(start + seconds(65)), None);
    }
}
