//! The attached connection, as the client sees it: is it alive?

use std::time::{Duration, Instant};

use crate::heartbeat::Heartbeat;
use crate::identity::Generation;
use crate::link::input_queue::InputQueue;
use crate::offset::InputOffset;
use crate::timing::Timing;

/// The connection that carries the session now.
///
/// Silence alone says nothing while nobody has anything to say. It counts from the moment when
/// an answer is owed: since the oldest unanswered ping or key, or the last byte received after.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub(super) generation: Generation,
    pub(super) heartbeat: Heartbeat,
    attached: Instant,
    /// Silent for so long that a second connection is dialled.
    pub(super) suspect: bool,
    /// The address that it speaks from is gone: what still comes was on its way before.
    pub(super) has_no_address: bool,
    /// Since when typed bytes that were sent here wait for their confirmation.
    input_since: Option<Instant>,
    /// Since when keys that the pty got past this connection are without any sign of the server.
    passed_since: Option<Instant>,
    /// Typed bytes that were sent then, up to here: their confirmation is timed.
    timed: Option<(InputOffset, Instant)>,
    /// What was sent before this has had its ping.
    probed: InputOffset,
    /// The machine woke up or its routes changed since something came.
    shaken: bool,
    /// How long nothing went either way before the bytes that are unanswered now.
    idle_before: Duration,
}

impl Carrier {
    /// A connection on which the request to attach took so long to its answer.
    pub(super) fn new(
        now: Instant,
        generation: Generation,
        interval: Option<Duration>,
        attach_took: Duration,
    ) -> Self {
        let mut heartbeat = Heartbeat::new(now, interval);
        heartbeat.handle_answered_within(attach_took);
        Self {
            generation,
            heartbeat,
            attached: now,
            suspect: false,
            has_no_address: false,
            input_since: None,
            passed_since: None,
            timed: None,
            probed: InputOffset(0),
            shaken: false,
            idle_before: Duration::ZERO,
        }
    }

    /// Something came on this connection. Whether it was suspected until now.
    pub(super) fn handle_received(&mut self, now: Instant) -> bool {
        self.heartbeat.handle_received(now);
        self.passed_since = None;
        self.shaken = false;
        !self.has_no_address && std::mem::take(&mut self.suspect)
    }

    pub(super) fn handle_sent(&mut self, now: Instant) {
        self.note_idle(now);
        self.heartbeat.handle_sent(now);
    }

    /// Typed bytes were sent, the last of them all before `sent`.
    pub(super) fn handle_input_sent(&mut self, now: Instant, sent: InputOffset) {
        self.handle_sent(now);
        self.input_since.get_or_insert(now);
        self.timed.get_or_insert((sent, now));
    }

    /// The pty got keys past this connection, which nobody will confirm.
    pub(super) fn handle_passed(&mut self, now: Instant) {
        self.passed_since.get_or_insert(now);
    }

    /// The server confirmed typed bytes. While the user types there are no pings, and this shows
    /// that a line is no longer slow.
    pub(super) fn handle_confirmed(&mut self, now: Instant, input: &InputQueue) {
        self.input_since = input.is_unconfirmed().then_some(now);
        let timed = self.timed.take_if(|(end, _)| *end <= input.confirmed());
        if let Some((_, sent)) = timed {
            let took = now.saturating_duration_since(sent);
            self.heartbeat.handle_answered_within(took);
        }
    }

    /// The network may be another: ask at once whether the peer is still there.
    pub(super) fn shake(&mut self, now: Instant) -> u64 {
        self.note_idle(now);
        self.shaken = true;
        self.heartbeat.ping(now)
    }

    /// The ping that is due.
    pub(super) fn poll_ping(
        &mut self,
        now: Instant,
        timing: &Timing,
        input: &InputQueue,
    ) -> Option<u64> {
        let probe = self.probe_at(timing, input).is_some_and(|at| at <= now);
        let beat = self.heartbeat.poll_timeout().is_some_and(|at| at <= now);
        if !probe && !beat {
            return None;
        }
        self.probed = input.sent();
        self.note_idle(now);
        Some(self.heartbeat.ping(now))
    }

    /// When [`Carrier::poll_ping`] is due next.
    pub(super) fn ping_at(&self, timing: &Timing, input: &InputQueue) -> Option<Instant> {
        earliest([self.heartbeat.poll_timeout(), self.probe_at(timing, input)])
    }

    /// When typed bytes have been unanswered for so long that a ping is to tell whether the
    /// connection is slow or the program. Once for each byte, and not while a ping asks already.
    fn probe_at(&self, timing: &Timing, input: &InputQueue) -> Option<Instant> {
        let sent = self.input_since.filter(|_| self.probed < input.sent());
        let since = earliest([sent, self.passed_since])?.max(self.heartbeat.last_received());
        let asks = self.heartbeat.unanswered_since().is_some();
        (!asks).then(|| since + timing.probe_after)
    }

    /// Since when keys are without an answer, or a sign.
    fn keys_since(&self) -> Option<Instant> {
        earliest([self.input_since, self.passed_since])
    }

    /// Since when an answer is owed; `None` while the peer may well be silent.
    pub(super) fn owed_since(&self) -> Option<Instant> {
        let ping = self.heartbeat.unanswered_since()?;
        let received = self.heartbeat.last_received();
        // Keys older than the last sign of life wait for the program, not for the connection.
        let key = self.keys_since().filter(|since| *since >= received);
        Some(key.map_or(ping, |key| key.min(ping)).max(received))
    }

    /// When the user is told of the silence.
    pub(super) fn banner_at(&self, timing: &Timing) -> Option<Instant> {
        let wait = match self.keys_since() {
            Some(_) => timing.banner_with_input,
            None => timing.banner,
        };
        Some(self.owed_since()? + wait)
    }

    /// When a second connection is dialled: no later than the user is told of the silence.
    pub(super) fn suspect_at(&self, timing: &Timing) -> Option<Instant> {
        let patience = (self.round_trip() * 4).min(timing.banner_with_input);
        let wait = if self.shaken {
            timing.suspect_after_wake.max(patience)
        } else if self.input_since.is_some() {
            timing.suspect_with_input.max(patience)
        } else {
            timing.suspect
        };
        Some(self.owed_since()? + wait)
    }

    /// The smoothed round trip, or less where a key was answered sooner.
    pub(super) fn round_trip(&self) -> Duration {
        self.heartbeat.round_trip().unwrap_or_default()
    }

    /// When this connection is given up.
    pub(super) fn dead_at(&self, timing: &Timing, active: bool) -> Option<Instant> {
        let idle = self.heartbeat.interval().unwrap_or_default() * 2;
        let wait = if active {
            timing.dead
        } else {
            idle.max(timing.dead)
        };
        Some(self.owed_since()? + wait)
    }

    /// Whether it worked for long enough to count as a good one.
    pub(super) fn was_stable(&self, now: Instant, timing: &Timing) -> bool {
        self.owed_since().unwrap_or(now) >= self.attached + timing.stable_after
    }

    /// How long the path had been idle when this connection stopped answering; `None` while it
    /// answers.
    pub(super) fn idle_before_silence(&self) -> Option<Duration> {
        self.heartbeat.unanswered_since()?;
        Some(self.idle_before)
    }

    fn note_idle(&mut self, now: Instant) {
        if self.heartbeat.unanswered_since().is_none() && self.input_since.is_none() {
            let last = self
                .heartbeat
                .last_sent()
                .max(self.heartbeat.last_received());
            self.idle_before = now.saturating_duration_since(last);
        }
    }
}

/// The earliest of some moments that may never come.
pub(super) fn earliest(moments: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    moments.into_iter().flatten().min()
}
