//! What happens at the user's side: typed bytes, another size, the wish to leave.

use std::time::Instant;

use super::action::Action;
use super::banner::Trying;
use super::dials::Dials;
use super::{INPUT_CHUNK_BYTES, Link};
use crate::message::{ClientMessage, DetachReason};
use crate::offset::Offset;
use crate::size::Size;

impl Link {
    /// The user typed, the detach key taken out. What does not fit any more is lost, and the
    /// banner says so; a client that reads no more than [`Link::input_room`] while the link is
    /// live loses nothing.
    pub fn handle_typed(&mut self, now: Instant, typed: &[u8]) {
        self.last_typed = Some(now);
        self.refresh_interval(now);
        if let Dials::Stopped(_) = self.dials
            && self.carrier.is_none()
        {
            if typed.contains(&b'\r') || typed.contains(&b'\n') {
                self.start_dial(now, true);
            }
            return;
        }
        if self.request.read_only {
            return;
        }
        if self.is_asking() {
            self.handle_answer_typed(typed);
            return;
        }
        // After a gap nothing more is kept until the link is up: half a line is worse than none.
        if !self.is_full {
            self.is_full = self.input.push(typed) < typed.len();
        }
        self.dial_if_due(now);
    }

    /// The user wants to leave.
    pub fn handle_detach(&mut self, now: Instant) {
        // Who was told that there is no contact does not wait for any.
        let banner = self.banner(now);
        let is_told = banner.is_some_and(|banner| banner.trying != Trying::Asking);
        match &self.carrier {
            Some(carrier) if !is_told && self.leaving.is_none() => {
                let generation = carrier.generation;
                self.leaving = Some(now + self.timing.leave);
                self.flush_input(now);
                self.send(generation, ClientMessage::Detach);
            }
            Some(_) | None => self.end_detached(DetachReason::Requested),
        }
    }

    /// The user's terminal took `bytes` more of what [`Link::handle_output`] and
    /// [`Link::handle_replay`] let through.
    pub fn handle_written(&mut self, bytes: usize) {
        self.credit.handle_written(bytes);
    }

    /// The server wrote output before `offset` straight to the user's terminal.
    pub fn handle_lent_written(&mut self, offset: Offset) {
        self.output.advance(offset);
    }

    /// The user's terminal has another size.
    pub fn handle_resized(&mut self, now: Instant, size: Size) {
        if size == self.request.size {
            return;
        }
        self.request.size = size;
        let attaching = self.dials.attaching().is_some();
        match &mut self.carrier {
            Some(carrier) => {
                carrier.handle_sent(now);
                let generation = carrier.generation;
                self.told_size = size;
                self.send(generation, ClientMessage::Resize(size));
            }
            None if attaching => {}
            None => self.output.forget(),
        }
    }

    /// Another program wrote to the user's terminal: the picture must be drawn anew.
    pub fn handle_disturbed(&mut self, now: Instant) {
        self.redrawing = true;
        if let Some(carrier) = &mut self.carrier {
            carrier.handle_sent(now);
            let generation = carrier.generation;
            self.send(generation, ClientMessage::Redraw);
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking && self.carrier.is_some()
    }

    /// The answer to the question whether waiting input is still to be delivered.
    fn handle_answer_typed(&mut self, typed: &[u8]) {
        match typed.iter().find(|key| b"yYnN".contains(key)) {
            Some(b'y' | b'Y') => self.asking = false,
            Some(_) => {
                self.asking = false;
                self.input.discard();
            }
            None => {}
        }
    }

    /// Sends what is typed before the client leaves.
    fn flush_input(&mut self, now: Instant) {
        while !self.asking
            && let Some(carrier) = &mut self.carrier
            && let Some((offset, bytes)) = self.input.take(INPUT_CHUNK_BYTES)
        {
            carrier.handle_input_sent(now);
            let generation = carrier.generation;
            self.actions
                .push_back(Action::SendInput(generation, offset, bytes));
        }
    }
}
