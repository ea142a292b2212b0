//! Losing connections and making new ones.

use std::time::{Duration, Instant};

use super::action::{Action, Closed, ClosedKind, End};
use super::dials::{Dial, Dials, Stage};
use super::redial::Need;
use super::{Link, Reach};
use crate::identity::Generation;
use crate::message::{ClientMessage, DetachReason};

/// After a cut, how soon the first redial must have succeeded for the cut to count as the path's
/// forgetting an idle connection, and not as an outage.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(5);

/// What is known of the cut that the link suffers from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// When the connection closed or was given up.
    pub(super) since: Instant,
    /// How long the path was idle before, where that may have been the reason.
    pub(super) idle_before: Option<Duration>,
}

impl Link {
    /// A dial came to nothing.
    pub(super) fn handle_dial_failed(&mut self, now: Instant, dial: Dial, closed: Closed) {
        if self.session.is_none() {
            self.end(End::Unreached(closed));
            return;
        }
        match closed.kind {
            ClosedKind::NeedsUser if self.dials.attaching().is_none() => {
                // So would the others.
                self.close_dials();
                self.dials = Dials::Stopped(closed);
                return;
            }
            // sshd does not mind the end of one that it let in.
            ClosedKind::Broken if dial.attaching_since().is_some() => {}
            // Another was let in, and may still carry the session.
            ClosedKind::NeedsUser | ClosedKind::Broken => {
                self.redial.handle_reached(dial.started);
            }
            // A keeper may be about to take its place again.
            ClosedKind::Gone if self.banner(now).is_some() => {
                self.close_dials();
                self.end(End::Gone(closed));
                return;
            }
            ClosedKind::Gone | ClosedKind::Unreachable => {}
        }
        self.dials.note_failure(closed.words);
        self.redial(now);
    }

    /// Ends this dial, which came to nothing.
    pub(super) fn give_up_dial(&mut self, now: Instant, generation: Generation, words: &str) {
        self.actions.push_back(Action::Close(generation));
        self.handle_closed(now, generation, Closed::broken(words));
    }

    /// The carrier is no more: closed, dead, or about to be replaced.
    pub(super) fn drop_carrier(&mut self, now: Instant) {
        let Some(carrier) = self.carrier.take() else {
            return;
        };
        self.actions.push_back(Action::Close(carrier.generation));
        self.untold_typed = None;
        self.last_contact = carrier.heartbeat.last_received();
        if !carrier.suspect && carrier.was_stable(now, &self.timing) {
            self.redial.reset();
        }
        self.lost = Some(Loss {
            since: now,
            idle_before: carrier.idle_before_silence(),
        });
        if self.leaving.is_some() {
            self.end_detached(DetachReason::Requested);
        }
    }

    /// Sees to it that a dial is under way or will be.
    pub(super) fn redial(&mut self, now: Instant) {
        if self.has_ended {
            return;
        }
        if let Dials::Idle = self.dials {
            self.dials = Dials::WANTED;
        }
        self.dial_if_due(now);
    }

    pub(super) fn dial_if_due(&mut self, now: Instant) {
        if self.next_dial(now).is_some_and(|at| at <= now) {
            self.start_dial(now, false);
        }
    }

    /// When the next dial begins, if nothing happens until then.
    pub(super) fn next_dial(&self, now: Instant) -> Option<Instant> {
        let may = match self.reach {
            // One is enough where nothing gets lost.
            Reach::Local => {
                matches!(&self.dials, Dials::Wanted { running, .. } if running.is_empty())
            }
            Reach::Remote => self.dials.may_grow(),
        };
        may.then(|| self.dial_due(now))
    }

    /// When the next dial may begin.
    pub(super) fn dial_due(&self, now: Instant) -> Instant {
        match self.reach {
            Reach::Local => self.redial.due_locally(now, &self.timing),
            Reach::Remote => {
                let need = Need {
                    is_eager: self.is_active(now),
                    // Many a connection that is suspected speaks again, and its dial was for
                    // nothing: they stay apart too.
                    is_beside: !self.dials.running().is_empty() || self.carrier.is_some(),
                    attaching_since: self.dials.attaching().and_then(Dial::attaching_since),
                    usual: self.usual_dial,
                };
                self.redial.due(now, &self.timing, need)
            }
        }
    }

    /// Begins a dial, in which ssh may ask the user or not.
    pub(super) fn start_dial(&mut self, now: Instant, interactive: bool) {
        let generation = self.request.generation.next();
        self.request.generation = generation;
        self.redial.handle_dial(now, &self.timing);
        let asks_user = interactive && self.reach == Reach::Remote;
        let limit = if asks_user {
            self.timing.dial_interactive
        } else {
            self.timing.dial
        };
        let dial = Dial {
            generation,
            attempt: self.redial.attempts(),
            started: now,
            deadline: now + limit,
            asks_user,
            stage: Stage::Connecting,
        };
        if let Some(displaced) = self.dials.begin(dial, self.timing.dials_at_once) {
            self.actions.push_back(Action::Close(displaced.generation));
        }
        self.actions.push_back(Action::Dial {
            generation,
            interactive,
        });
    }

    /// Ends all dials but this one.
    pub(super) fn close_others(&mut self, generation: Generation) {
        for other in self.dials.keep_only(generation) {
            self.actions.push_back(Action::Close(other.generation));
        }
    }

    /// Ends all dials; none is needed.
    pub(super) fn close_dials(&mut self) {
        for dial in self.dials.running() {
            self.actions.push_back(Action::Close(dial.generation));
        }
        self.dials = Dials::Idle;
    }

    /// Pings, suspects and buries the carrier.
    pub(super) fn check_carrier(&mut self, now: Instant) {
        self.refresh_interval(now);
        let active = self.is_active(now);
        let Some(carrier) = &mut self.carrier else {
            return;
        };
        let generation = carrier.generation;
        if let Some(number) = carrier.poll_ping(now, &self.timing, &self.input) {
            self.actions
                .push_back(Action::Send(generation, ClientMessage::Ping(number)));
        }
        if self.reach == Reach::Local {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let suspect = is_due(carrier.suspect_at(&self.timing));
        let dead = is_due(carrier.dead_at(&self.timing, active));
        if suspect {
            self.suspect(now);
        }
        if dead {
            self.drop_carrier(now);
            self.redial(now);
        }
    }

    /// Dials beside the carrier, if it has not come to that yet.
    pub(super) fn suspect(&mut self, now: Instant) {
        if let Some(carrier) = self.carrier.as_mut().filter(|carrier| !carrier.suspect) {
            carrier.suspect = true;
            // Silence took its time: these dials need not be kept apart.
            self.redial.reset();
            self.redial(now);
        }
    }

    /// A connection that stopped answering after an idle time, on a path on which a new one
    /// worked at once: something on the way forgets idle connections.
    pub(super) fn learn_idle_timeout(&mut self, now: Instant, dial: &Dial) {
        let Some(idle) = self.lost.and_then(|loss| loss.idle_before) else {
            return;
        };
        let at_once = dial.attempt == 1 && now < dial.started + FORGOTTEN_WITHIN;
        if at_once && idle >= self.timing.heartbeat_shortest {
            let known = self.timing.path_idle_timeout.unwrap_or(idle);
            self.timing.path_idle_timeout = Some(known.min(idle));
        }
    }
}
