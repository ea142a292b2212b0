//! What happens at the user's side: typed bytes, another size, the wish to leave.

use std::time::Instant;

use super::action::Action;
use super::banner::Trying;
use super::dials::Dials;
use super::{INPUT_CHUNK_BYTES, Link};
use crate::identity::Generation;
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
        if self.is_deliberate(now) && self.handle_answer_typed(now, typed) {
            return;
        }
        if self.request.read_only {
            return;
        }
        self.doubtful |= self.is_stopped();
        self.last_kept = Some(now);
        // After a gap nothing more is kept until the link is up: half a line is worse than none.
        if !self.is_full {
            self.is_full = self.input.push(typed) < typed.len();
        }
        self.dial_if_due(now);
    }

    /// Whether typed bytes may reach the pty past this connection: whatever was said on it before
    /// that they could overtake has arrived.
    #[must_use]
    pub fn is_passable(&self, generation: Generation) -> bool {
        let is_live = self.carrier.as_ref().map(|carrier| carrier.generation) == Some(generation);
        let is_settled = self.input.waiting() == 0 && !self.resize_pending;
        is_live && is_settled && !self.request.read_only && self.leaving.is_none()
    }

    /// The user typed, and the pty got it past the connection: see [`Link::is_passable`]. Whether
    /// that was to stop the program.
    pub fn handle_typed_past(&mut self, now: Instant, stops: bool) {
        self.last_typed = Some(now);
        self.last_kept = Some(now);
        if let Some(carrier) = &mut self.carrier {
            carrier.handle_passed(now);
        }
        match stops {
            true => self.tell_typed(true),
            false => {
                let due = now + self.timing.typed_apart;
                self.untold_typed.get_or_insert(due);
            }
        }
    }

    /// Tells the server that the user typed.
    pub(super) fn tell_typed(&mut self, stops: bool) {
        self.untold_typed = None;
        if let Some(carrier) = &self.carrier {
            self.send(carrier.generation, ClientMessage::Typed { stops });
        }
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
                if self.untold_typed.is_some() {
                    self.tell_typed(false);
                }
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
        self.output.handle_resized(self.request.size, size);
        self.request.size = size;
        if let Some(carrier) = &mut self.carrier {
            carrier.handle_sent(now);
            let generation = carrier.generation;
            self.told_size = size;
            self.resize_pending = true;
            self.send(generation, ClientMessage::Resize(size));
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
        self.asking.is_some() && self.carrier.is_some()
    }

    /// Whether nothing happens before the user acts.
    fn is_stopped(&self) -> bool {
        matches!(self.dials, Dials::Stopped(_)) && self.carrier.is_none()
    }

    /// Whether a key pressed now may be an answer: it is not one of many that are being typed, by
    /// somebody who has not seen the question.
    fn is_deliberate(&self, now: Instant) -> bool {
        let before = self.last_kept.max(self.asking);
        before.is_none_or(|before| now >= before + self.timing.answer_after)
    }

    /// Takes a key that may be an answer to what the user is told. Whether it was one; else it is
    /// for the program.
    fn handle_answer_typed(&mut self, now: Instant, typed: &[u8]) -> bool {
        let (Some(key), Some(banner)) = (key_pressed(typed), self.banner(now)) else {
            return false;
        };
        match (banner.trying, key) {
            (Trying::Stopped(_), b'\r' | b'\n') => self.start_dial(now, true),
            (Trying::Asking, b'y' | b'Y') => self.asking = None,
            (Trying::Asking, b'n' | b'N') => {
                self.asking = None;
                self.input.discard();
            }
            (
                Trying::Stopped(_)
                | Trying::Asking
                | Trying::Waiting
                | Trying::Dialling(_)
                | Trying::Pausing(..),
                _,
            ) => return false,
        }
        // What was typed too much before the answer was lost, and no more is.
        self.is_full = false;
        true
    }

    /// Sends what is typed before the client leaves.
    fn flush_input(&mut self, now: Instant) {
        while self.asking.is_none()
            && let Some(carrier) = &mut self.carrier
            && let Some((offset, bytes)) = self.input.take(INPUT_CHUNK_BYTES)
        {
            carrier.handle_input_sent(now, self.input.sent());
            let generation = carrier.generation;
            self.actions
                .push_back(Action::SendInput(generation, offset, bytes));
        }
    }
}

/// The one key that this is, as a control character or letter; also as a terminal sends it that
/// is to report all keys as sequences (kitty, "Comprehensive keyboard handling in terminals").
fn key_pressed(typed: &[u8]) -> Option<u8> {
    if let [key] = typed {
        return Some(*key);
    }
    let sequence = typed.strip_prefix(b"\x1b[")?.strip_suffix(b"u")?;
    let mut fields = std::str::from_utf8(sequence).ok()?.split(';');
    let code = fields.next()?.split(':').next()?;
    let (modifiers, event) = fields.next().map_or(("1", "1"), |field| {
        field.split_once(':').unwrap_or((field, "1"))
    });
    // None or Shift; pressed.
    (matches!(modifiers, "" | "1" | "2") && event == "1")
        .then(|| code.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_told_from_a_word_in_each_form_that_terminals_send() {
        for (typed, key) in [
            (&b"y"[..], Some(b'y')),
            (b"\r", Some(b'\r')),
            (b"\x1b[13u", Some(b'\r')),
            (b"\x1b[110;1:1u", Some(b'n')),
            (b"\x1b[121:89;2u", Some(b'y')),
            (b"\x1b[121;1:3u", None),
            (b"\x1b[121;5u", None),
            (b"\x1b[57441u", None),
            (b"\x1b[I", None),
            (b"no", None),
            (b"", None),
        ] {
            assert_eq!(key_pressed(typed), key, "{}", typed.escape_ascii());
        }
    }
}
