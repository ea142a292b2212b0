//! The client's link to a session, across redials: a pure state machine.
//!
//! The client tells it what happened (`handle_*`, with the time), and does what it says
//! ([`Link::poll`]) until [`Link::poll_timeout`]. It decides when a connection is suspect or
//! dead, when to dial, which of two connections carries the session, what is sent again after a
//! cut, and what the user is told. It owns no socket and no clock, and draws nothing.
//!
//! Connections are named by the generation of their dial. Whatever happens on one that the link
//! has closed or left is ignored.

mod action;
mod attaching;
mod banner;
mod carrier;
mod dialling;
mod dials;
mod incoming;
mod input_queue;
mod output_position;
mod redial;
mod stats;
mod user;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use action::{Action, Closed, ClosedKind, End, Event};
pub use banner::{Banner, Trying};
pub use input_queue::InputQueue;
pub use output_position::{Credit, OutputPosition};
pub use stats::Stats;

use carrier::{Carrier, earliest};
use dialling::Loss;
use dials::Dials;
use redial::Redial;

use crate::identity::{ClientId, Generation, SessionId};
use crate::message::{Attach, ClientMessage, DetachReason, History, Target};
use crate::name::SessionName;
use crate::size::Size;
use crate::timing::Timing;

/// The largest piece of input sent at once, so that control messages can slip between.
const INPUT_CHUNK_BYTES: usize = 16 * 1024;

/// One client's link to one session.
#[derive(Debug)]
pub struct Link {
    timing: Timing,
    reach: Reach,
    request: Attach,
    redial: Redial,
    carrier: Option<Carrier>,
    dials: Dials,
    /// How long the last dial that succeeded took until the hello.
    usual_dial: Option<Duration>,
    session: Option<(SessionId, SessionName)>,
    input: InputQueue,
    is_full: bool,
    /// Since when there is a question whether what waits is to be delivered.
    asking: Option<Instant>,
    /// What waits holds keys typed while the link was stopped, which may have been meant for ssh.
    doubtful: bool,
    output: OutputPosition,
    credit: Credit,
    /// The terminal needs a fresh replay, which was asked for and has not begun.
    redrawing: bool,
    /// A whole picture was shown: a later replay need not bring the history again.
    has_picture: bool,
    /// The size that the server was told last.
    told_size: Size,
    /// It was told so on this connection, and was sent no input since.
    resize_pending: bool,
    last_contact: Instant,
    lost: Option<Loss>,
    last_typed: Option<Instant>,
    /// When something was typed last that was kept for the program.
    last_kept: Option<Instant>,
    /// When the server is to be told of keys that the pty got past it.
    untold_typed: Option<Instant>,
    leaving: Option<Instant>,
    redials: u64,
    actions: VecDeque<Action>,
    has_ended: bool,
}

/// What a link begins with.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// How it keeps time.
    pub timing: Timing,
    /// Whether the server is reached over a network.
    pub reach: Reach,
    /// Which session.
    pub session: Target,
    /// Who attaches.
    pub client: ClientId,
    /// The size of the user's terminal.
    pub size: Size,
    /// How much history the first replay begins with.
    pub history: History,
    /// Whether typed bytes are ignored.
    pub read_only: bool,
    /// Whether the first attach detaches every other client.
    pub detach_others: bool,
    /// Spreads the redials of many clients.
    pub seed: u64,
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By a unix socket, which cannot die unnoticed: no heartbeat, and no timers but for a while
    /// after a key, as a server may stand still.
    Local,
    /// By ssh or another byte pipe, which can.
    Remote,
}

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The first dial is under way.
    Connecting,
    /// Attached.
    Live,
    /// Attached, but silent for so long that a second connection is dialled.
    Suspect,
    /// Not attached; dials follow each other.
    Lost,
    /// Not attached; the user must act before the next dial.
    Stopped,
    /// Over.
    Ended,
}

impl Link {
    /// A link that begins with its first dial.
    #[must_use]
    pub fn new(now: Instant, options: LinkOptions) -> Self {
        let timing = options.timing;
        let mut link = Self {
            request: Attach {
                session: options.session,
                client: options.client,
                generation: Generation::default(),
                size: options.size,
                position: None,
                history: options.history,
                read_only: options.read_only,
                heartbeat_ms: 0,
                detach_others: options.detach_others,
            },
            redial: Redial::new(options.seed),
            reach: options.reach,
            carrier: None,
            dials: Dials::Idle,
            usual_dial: None,
            session: None,
            input: InputQueue::new(timing.input_bytes, timing.input_in_flight_bytes),
            is_full: false,
            asking: None,
            doubtful: false,
            output: OutputPosition::default(),
            credit: match options.reach {
                Reach::Local => Credit::to_the_last_byte(),
                Reach::Remote => Credit::default(),
            },
            redrawing: false,
            has_picture: false,
            told_size: options.size,
            resize_pending: false,
            last_contact: now,
            lost: None,
            last_typed: None,
            last_kept: None,
            untold_typed: None,
            leaving: None,
            redials: 0,
            actions: VecDeque::new(),
            has_ended: false,
            timing,
        };
        link.start_dial(now, true);
        link
    }

    /// The machine slept, or its addresses or routes changed: connections may be dead without a
    /// sign.
    pub fn handle_network_changed(&mut self, now: Instant) {
        if self.has_ended || self.reach == Reach::Local {
            return;
        }
        if let Some(carrier) = &mut self.carrier
            && !carrier.suspect
        {
            let (generation, number) = (carrier.generation, carrier.shake(now));
            self.send(generation, ClientMessage::Ping(number));
            return;
        }
        self.dial_on_another_network(now);
    }

    /// The address that the connection speaks from is this machine's no more: nothing new comes on
    /// that connection, and there is nothing to wait for.
    pub fn handle_address_gone(&mut self, now: Instant) {
        if let Some(carrier) = &mut self.carrier
            && !carrier.has_no_address
        {
            carrier.has_no_address = true;
            carrier.suspect = true;
            if let Dials::Idle = self.dials {
                self.dials = Dials::WANTED;
            }
            self.dial_on_another_network(now);
        }
    }

    /// Those that are under way may have begun on a network that is no more.
    fn dial_on_another_network(&mut self, now: Instant) {
        self.redial.reset();
        if self.dials.may_grow() && self.redial.may_begin(now, &self.timing) {
            self.start_dial(now, false);
        }
    }

    /// The way to the server is another one: what is known of it replaces what was known.
    pub fn handle_path_known(&mut self, now: Instant, idle_timeout: Option<Duration>) {
        self.timing.path_idle_timeout = idle_timeout;
        self.refresh_interval(now);
    }

    /// Time went by: to be called at [`Link::poll_timeout`], and harmless at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.has_ended {
            return;
        }
        if self.leaving.is_some_and(|at| at <= now) {
            self.end_detached(DetachReason::Requested);
            return;
        }
        if self.untold_typed.is_some_and(|at| at <= now) {
            self.tell_typed(false);
        }
        self.check_carrier(now);
        while let Some(generation) = self.dials.overdue(now) {
            self.give_up_dial(now, generation, "no answer in time");
        }
        self.dial_if_due(now);
        if self.local_end().is_some_and(|at| at <= now) {
            self.close_dials();
            self.end(End::Gone(Closed::broken(
                "the server does not come back: its sessions are gone",
            )));
        }
    }

    // --- what to do ---

    /// The next thing to do; `None`: wait until something happens or [`Link::poll_timeout`].
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if self.has_ended {
            return None;
        }
        let carrier = self.carrier.as_mut()?;
        let generation = carrier.generation;
        if let Some(written) = self.credit.poll(now, &self.timing) {
            carrier.handle_sent(now);
            let message = ClientMessage::Written(written);
            return Some(Action::Send(generation, message));
        }
        if self.asking.is_some() || self.leaving.is_some() {
            return None;
        }
        let (offset, bytes) = self.input.take(INPUT_CHUNK_BYTES)?;
        carrier.handle_input_sent(now, self.input.sent());
        self.resize_pending = false;
        Some(Action::SendInput(generation, offset, bytes))
    }

    /// When [`Link::handle_timeout`] is due next, or the banner changes.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let carrier = self.watched_carrier().and_then(|carrier| {
            let active = self.is_active(now);
            let suspect = carrier.suspect_at(&self.timing);
            earliest([
                suspect.filter(|_| !carrier.suspect),
                carrier.dead_at(&self.timing, active),
            ])
        });
        let ping = self.carrier.as_ref();
        let ping = ping.and_then(|carrier| carrier.ping_at(&self.timing, &self.input));
        let acknowledgement = self.carrier.as_ref();
        let acknowledgement =
            acknowledgement.and_then(|_| self.credit.poll_timeout(now, &self.timing));
        earliest([
            self.dials.deadline(),
            self.next_dial(now),
            carrier,
            ping,
            acknowledgement,
            self.untold_typed,
            self.leaving,
            self.local_end(),
            self.banner_timeout(now),
        ])
    }

    /// How the link is.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.carrier, &self.dials) {
            _ if self.has_ended => State::Ended,
            (Some(carrier), _) if carrier.suspect => State::Suspect,
            (Some(_), _) => State::Live,
            (None, Dials::Stopped(_)) => State::Stopped,
            (None, _) if self.session.is_none() => State::Connecting,
            (None, _) => State::Lost,
        }
    }

    /// The session's incarnation and name, once attached.
    #[must_use]
    pub fn session(&self) -> Option<&(SessionId, SessionName)> {
        self.session.as_ref()
    }

    /// How many typed bytes still fit.
    #[must_use]
    pub fn input_room(&self) -> usize {
        self.input.room()
    }

    // --- ending ---

    fn end_detached(&mut self, reason: DetachReason) {
        let undelivered_bytes = self.input.waiting();
        self.end(End::Detached {
            reason,
            undelivered_bytes,
        });
    }

    fn end(&mut self, end: End) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        self.carrier = None;
        self.dials = Dials::Idle;
        self.actions.push_back(Action::End(end));
    }

    // --- small matters ---

    fn carrier_of(&mut self, generation: Generation) -> Option<&mut Carrier> {
        let carrier = self.carrier.as_mut()?;
        (carrier.generation == generation).then_some(carrier)
    }

    /// The one that may be dead.
    fn watched_carrier(&self) -> Option<&Carrier> {
        let carrier = self.carrier.as_ref()?;
        (self.reach == Reach::Remote).then_some(carrier)
    }

    fn send(&mut self, generation: Generation, message: ClientMessage) {
        self.actions.push_back(Action::Send(generation, message));
    }

    fn is_active(&self, now: Instant) -> bool {
        self.last_typed
            .is_some_and(|typed| now < typed + self.timing.active_for)
    }

    fn refresh_interval(&mut self, now: Instant) {
        let interval = self.timing.heartbeat(self.is_active(now));
        if let (Some(carrier), Reach::Remote) = (&mut self.carrier, self.reach) {
            carrier.heartbeat.set_interval(interval);
        }
    }

    /// When a local server that does not come back is given up.
    fn local_end(&self) -> Option<Instant> {
        let loss = self.lost.filter(|_| self.reach == Reach::Local)?;
        Some(loss.since + self.timing.local_give_up)
    }
}

#[cfg(test)]
mod tests;
