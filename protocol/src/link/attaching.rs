//! From the server's hello to the moment when a connection carries the session.

use std::time::Instant;

use super::action::{End, Event};
use super::carrier::Carrier;
use super::dials::{Dial, Dials};
use super::incoming::LinkMessage;
use super::{Link, Reach};
use crate::capability::Capability;
use crate::hello::Hello;
use crate::identity::Generation;
use crate::message::{Attached, ClientMessage, FailureKind, History, Target};

impl Link {
    /// The connection opened, and the server's hello matches. The link attaches on it, unless the
    /// first connection has answered meanwhile.
    pub fn handle_hello(&mut self, now: Instant, generation: Generation, server: &Hello) {
        if self.has_ended {
            return;
        }
        let Some(dial) = self
            .dials
            .handle_hello(now, generation, now + self.timing.attach)
        else {
            return;
        };
        if !dial.asks_user {
            self.usual_dial = Some(now.saturating_duration_since(dial.started));
        }
        self.close_others(generation);
        // From here there is no way back to the old connection: what it still brings would
        // come again on the new one.
        self.drop_carrier(now);
        if self.has_ended {
            return;
        }
        self.told_size = self.request.size;
        self.resize_pending = false;
        let mut request = self.request.clone();
        request.generation = generation;
        request.position = (!self.redrawing).then(|| self.output.resumable()).flatten();
        if request.position.is_none()
            && let Some(offset) = self.output.in_scrollback()
        {
            request.history = match server.can(Capability::HistorySince) {
                true => History::Since {
                    offset,
                    taken_back: self.output.taken_back(),
                },
                false => History::None,
            };
        }
        request.heartbeat_ms = match self.reach {
            Reach::Local => 0,
            Reach::Remote => self.timing.server_heartbeat_ms(),
        };
        self.request.position = request.position;
        self.tell_unwritten(generation, server);
        self.send(generation, ClientMessage::Attach(request));
    }

    /// Tells the server what the user's terminal has not taken of earlier connections: else each
    /// new one would begin with credit for more, and a terminal that stands still would be sent
    /// more with every cut.
    fn tell_unwritten(&mut self, generation: Generation, server: &Hello) {
        let mut counted = 0;
        if server.can(Capability::Unwritten) {
            counted = u32::try_from(self.credit.queued()).unwrap_or(u32::MAX);
        }
        self.credit = self.credit.next_connection(counted.into());
        if counted > 0 {
            self.send(generation, ClientMessage::Unwritten(counted));
        }
    }

    /// The answer to `Attach`.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        dial: Dial,
        message: LinkMessage,
    ) -> Option<Event> {
        let generation = dial.generation;
        match message {
            LinkMessage::Attached(attached) => {
                return Some(self.handle_attached(now, &dial, attached));
            }
            LinkMessage::Failed(failure) if failure.kind == FailureKind::Superseded => {
                self.give_up_dial(now, generation, &failure.message);
            }
            LinkMessage::Failed(failure) => self.end(End::Failed(failure)),
            LinkMessage::Ping(number) => self.send(generation, ClientMessage::Pong(number)),
            LinkMessage::Pong(_) => {}
            LinkMessage::Replay(_)
            | LinkMessage::InputWritten(_)
            | LinkMessage::Finished(_)
            | LinkMessage::Detached(_)
            | LinkMessage::Renamed(_)
            | LinkMessage::Foreign => {
                let words = "the server did not answer the request to attach";
                self.give_up_dial(now, generation, words);
            }
        }
        None
    }

    fn handle_attached(&mut self, now: Instant, dial: &Dial, attached: Attached) -> Event {
        let again = self.session.is_some();
        let same = self
            .session
            .as_ref()
            .is_none_or(|(id, _)| *id == attached.id);
        let resumed = attached.resumed && same && self.request.position.is_some();
        self.output.begin_connection(resumed);
        let given_up_bytes = if same {
            self.input.resume(attached.input)
        } else {
            self.input.restart(attached.input)
        };
        let out_of_touch = now.saturating_duration_since(self.contact());
        let long_lost = again && self.timing.ask_after.is_some_and(|at| out_of_touch >= at);
        let is_doubtful = std::mem::take(&mut self.doubtful);
        if (long_lost || is_doubtful) && self.input.has_line_end() {
            self.asking.get_or_insert(now);
        }
        self.is_full = false;
        self.learn_idle_timeout(now, dial);

        self.session = Some((attached.id, attached.name));
        self.request.session = Target::Id(attached.id);
        self.request.detach_others = false;
        self.redials += u64::from(again);
        if !again {
            self.redial.reset();
        }
        self.close_others(dial.generation);
        self.dials = Dials::Idle;
        self.lost = None;
        self.last_contact = now;
        let interval = match self.reach {
            Reach::Local => None,
            Reach::Remote => self.timing.heartbeat(self.is_active(now)),
        };
        let asked = dial.attaching_since().unwrap_or(now);
        let took = now.saturating_duration_since(asked);
        self.carrier = Some(Carrier::new(now, dial.generation, interval, took));
        if self.told_size != self.request.size {
            self.told_size = self.request.size;
            self.resize_pending = true;
            self.send(dial.generation, ClientMessage::Resize(self.request.size));
        }
        Event::Attached {
            again,
            given_up_bytes,
        }
    }
}
