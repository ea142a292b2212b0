//! What a connection brings: messages, output, replays, and its end.

use std::time::Instant;

use super::Link;
use super::action::{Action, Closed, ClosedKind, End, Event};
use crate::identity::Generation;
use crate::message::{Attached, ClientMessage, DetachReason, Failure, Replay, ServerMessage};
use crate::name::SessionName;
use crate::offset::{InputOffset, Offset};
use crate::outcome::Outcome;

/// What a server may say to a link, of all its messages.
#[derive(Debug)]
pub(super) enum LinkMessage {
    Attached(Attached),
    Failed(Failure),
    Replay(Replay),
    InputWritten(InputOffset),
    Finished(Outcome),
    Detached(DetachReason),
    Renamed(SessionName),
    Ping(u64),
    Pong(u64),
    /// The answer to a request that no link makes.
    Foreign,
}

impl LinkMessage {
    fn of(message: ServerMessage) -> Self {
        match message {
            ServerMessage::Attached(attached) => Self::Attached(attached),
            ServerMessage::Failed(failure) => Self::Failed(failure),
            ServerMessage::Replay(replay) => Self::Replay(replay),
            ServerMessage::InputWritten(written) => Self::InputWritten(written),
            ServerMessage::Finished(outcome) => Self::Finished(outcome),
            ServerMessage::Detached(reason) => Self::Detached(reason),
            ServerMessage::Renamed(name) => Self::Renamed(name),
            ServerMessage::Ping(number) => Self::Ping(number),
            ServerMessage::Pong(number) => Self::Pong(number),
            ServerMessage::ClientEnvironment(_)
            | ServerMessage::Created(_)
            | ServerMessage::Done
            | ServerMessage::Server(_)
            | ServerMessage::Sessions { .. }
            | ServerMessage::Usage(_)
            | ServerMessage::Ending(_)
            | ServerMessage::Shown { .. } => Self::Foreign,
        }
    }
}

impl Link {
    /// Bytes came on the connection, whatever they are. To be told before what is in them.
    pub fn handle_received(&mut self, now: Instant, generation: Generation) {
        let Some(carrier) = self.carrier_of(generation) else {
            return;
        };
        if carrier.handle_received(now) {
            // It lives after all: the second connection is not needed.
            self.is_full = false;
            self.close_dials();
            self.redial.reset();
        }
    }

    /// A message came on the connection.
    pub fn handle_message(
        &mut self,
        now: Instant,
        generation: Generation,
        message: ServerMessage,
    ) -> Option<Event> {
        if self.has_ended {
            return None;
        }
        let message = LinkMessage::of(message);
        if let Some(dial) = self.dials.attaching().copied()
            && dial.generation == generation
        {
            return self.handle_answer(now, dial, message);
        }
        self.carrier_of(generation)?;
        match message {
            LinkMessage::Replay(replay) => {
                let again = self.has_picture;
                self.output.begin_replay(replay);
                self.redrawing = false;
                self.note_picture();
                return Some(Event::Replay {
                    purpose: replay.purpose,
                    again,
                });
            }
            LinkMessage::InputWritten(written) => {
                self.input.confirm(written);
                if let Some(carrier) = &mut self.carrier {
                    carrier.handle_confirmed(now, &self.input);
                }
            }
            LinkMessage::Finished(outcome) => {
                // So that the session need not be kept for somebody else.
                self.actions
                    .push_back(Action::Send(generation, ClientMessage::Detach));
                self.end(End::Finished(outcome));
            }
            LinkMessage::Detached(DetachReason::Superseded) => {
                self.close(now, generation, ClosedKind::Broken, "superseded");
            }
            LinkMessage::Detached(reason) => self.end_detached(reason),
            LinkMessage::Renamed(name) => {
                if let Some((_, session)) = &mut self.session {
                    *session = name;
                }
                return Some(Event::Renamed);
            }
            // Input that it could not take, say: a new connection begins where it stands.
            LinkMessage::Failed(failure) => {
                self.close(now, generation, ClosedKind::Broken, &failure.message);
            }
            LinkMessage::Ping(number) => self.send_pong(now, generation, number),
            LinkMessage::Pong(number) => {
                if let Some(carrier) = &mut self.carrier {
                    carrier.heartbeat.handle_pong(now, number);
                }
            }
            LinkMessage::Attached(_) | LinkMessage::Foreign => {
                self.break_off(now, generation, "sent an answer that nobody asked for");
            }
        }
        None
    }

    /// Output came on the connection. Whether it is to be written to the user's terminal.
    #[must_use]
    pub fn handle_output(
        &mut self,
        now: Instant,
        generation: Generation,
        offset: Offset,
        length: usize,
    ) -> bool {
        if self.carrier_of(generation).is_none() {
            return false;
        }
        if !self.output.output(offset, length) {
            self.break_off(now, generation, "sent output that does not fit on");
            return false;
        }
        self.credit.handle_received(length);
        true
    }

    /// Bytes of a replay came on the connection. Whether they are to be written to the user's
    /// terminal.
    #[must_use]
    pub fn handle_replay(&mut self, now: Instant, generation: Generation, length: usize) -> bool {
        if self.carrier_of(generation).is_none() {
            return false;
        }
        if !self.output.replay(length) {
            self.break_off(now, generation, "sent a replay longer than announced");
            return false;
        }
        self.credit.handle_received(length);
        self.note_picture();
        true
    }

    /// The connection closed, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, generation: Generation, closed: Closed) {
        if self.has_ended {
            return;
        }
        if let Some(dial) = self.dials.remove(generation) {
            self.handle_dial_failed(now, dial, closed);
        } else if self.carrier_of(generation).is_some() {
            self.drop_carrier(now);
            self.redial(now);
        }
    }

    /// Notes when a replay became whole.
    fn note_picture(&mut self) {
        self.has_picture |= !self.output.is_in_replay();
    }

    /// The server broke the protocol on this connection: a new one starts clean.
    fn break_off(&mut self, now: Instant, generation: Generation, what: &str) {
        let words = format!("the server {what}");
        self.close(now, generation, ClosedKind::Broken, &words);
    }

    fn close(&mut self, now: Instant, generation: Generation, kind: ClosedKind, words: &str) {
        let closed = Closed {
            kind,
            words: words.to_owned(),
        };
        self.handle_closed(now, generation, closed);
    }

    fn send_pong(&mut self, now: Instant, generation: Generation, number: u64) {
        if let Some(carrier) = &mut self.carrier {
            carrier.handle_sent(now);
        }
        self.send(generation, ClientMessage::Pong(number));
    }
}
