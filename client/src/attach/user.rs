//! The user's side: keys, and what the terminal takes.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use psess_protocol::link::State;
use psess_protocol::stop_keys;

use super::{AttachedClient, Left};
use crate::banner;
use crate::doctor::cut::Cut;
use crate::lending::LentPty;
use crate::shortcut::{Passage, Told};
use crate::signals::Signalled;
use crate::terminal::RawTerminal;

/// After so long without contact the user is told why, once there is contact again: shorter ones
/// hardly interrupt.
const WORTH_A_REASON: Duration = Duration::from_secs(30);

/// How long that stays when no key is pressed.
const REASON_SHOWN: Duration = Duration::from_secs(60);

impl AttachedClient {
    pub(super) fn handle_typed(&mut self, now: Instant, typed: &[u8]) {
        self.last_key = now;
        self.reason = None;
        // The signal of it may not have come yet, and the program is to know its size before the key.
        if self.tty.size() != self.screen.size() {
            self.handle_resized(now);
        }
        if self.warnings.handle_typed(typed) {
            self.take_warnings_away();
        }
        let mut passed = Vec::with_capacity(typed.len());
        let detach = self.keys.scan(now, typed, &mut passed);
        self.watching.handle_typed(now, &passed);
        self.handle_keys(now, &passed, detach);
    }

    /// Shows over the screen what the user is to know now.
    pub(super) fn show_line(&mut self, now: Instant) {
        let banner = self.link.banner(now);
        let line = match &banner {
            Some(banner) => {
                let columns = self.screen.size().columns;
                Some(banner::text(
                    banner,
                    &self.keys.detach_key().to_string(),
                    columns,
                ))
            }
            // What is for a while, and covers what comes, must go without a trace.
            None if !self.screen.keeps_model() => None,
            None if self.reason.is_some() => self.reason.as_ref().map(|(_, text)| text.clone()),
            None if self.watching.poll_timeout().is_some() => {
                self.watching.banner(&self.keys.detach_key().to_string())
            }
            None if self.stats && self.link.state() == State::Live => {
                Some(banner::stats(&self.link.stats(now)))
            }
            None => None,
        };
        let columns = usize::from(self.screen.size().columns.saturating_sub(1));
        let keeps_model = self.screen.keeps_model();
        let line = line.or_else(|| self.warnings.banner(columns).filter(|_| keeps_model));
        // The terminal is ssh's while that may ask: a line would take its cursor away.
        let line = line.filter(|_| !self.dials.ask_user());
        self.screen.show_banner(line);
    }

    pub(super) fn handle_found_out(&mut self, now: Instant, cut: Option<&Cut>) {
        self.reason = cut.and_then(|cut| {
            let away = cut.evidence.back_after?;
            let reason = (away >= WORTH_A_REASON).then(|| cut.phrase())??;
            Some((now + REASON_SHOWN, banner::reason(away, &reason)))
        });
    }

    /// The warnings of a connection that was made.
    pub(super) fn handle_warnings(&mut self, now: Instant, warnings: Vec<String>) {
        if !warnings.is_empty() && self.link.session().is_none() {
            self.screen.keep_model();
        }
        self.warnings.add(now, warnings);
    }

    pub(super) fn take_warnings_away(&mut self) {
        // On a link that is never lost they were all that could cover the screen of who may type.
        if self.transport.is_local() && !self.watching.is_on() {
            self.screen.forget_model();
        }
    }

    pub(super) fn handle_keys(&mut self, now: Instant, passed: &[u8], detach: bool) {
        let typed = self.lent_pty().map_or(0, |pty| pty.type_in(passed));
        if typed > 0 {
            let stops = stop_keys::are_in(&passed[..typed]);
            self.link.handle_typed_past(now, stops);
        }
        if typed < passed.len() {
            self.link.handle_typed(now, &passed[typed..]);
        }
        if detach {
            self.link.handle_detach(now);
        }
    }

    /// The session's pty, where keys overtake nothing on the way there.
    fn lent_pty(&self) -> Option<&Arc<LentPty>> {
        let connection = self.connections.last()?;
        let pty = connection.lent_pty()?;
        self.link.is_passable(connection.generation).then_some(pty)
    }

    /// Where plain keys may go that nothing here needs to know of before.
    fn passage(&self) -> Option<Passage> {
        let says_nothing = self.warnings.poll_timeout().is_none() && self.reason.is_none();
        let is_idle = says_nothing && self.keys.is_at_rest() && self.raw.is_some();
        let pty = self.lent_pty()?;
        (is_idle && pty.lets_pass()).then(|| Passage {
            pty: pty.clone(),
            size: self.screen.size(),
            detach_key: self.keys.detach_key(),
        })
    }

    /// Has keys take the shortcut while they may, and listens for them otherwise. Whether there was
    /// something to be told at its end.
    pub(super) fn tend_shortcut(&mut self, now: Instant) -> anyhow::Result<bool> {
        let passage = self.passage();
        if passage.is_some() && self.shortcut.is_open() {
            return Ok(false);
        }
        // It may have closed by itself: what it read comes before whatever is typed now.
        if self.close_shortcut(now) {
            return Ok(true);
        }
        let opened = passage.map(|passage| self.shortcut.open(self.tty.as_fd(), passage));
        match opened {
            Some(Ok(())) => self.tty.stop_listening(),
            Some(Err(_)) | None => self.tty.listen().context("cannot wait for keys")?,
        }
        Ok(false)
    }

    /// Whether there was something to be told.
    pub(super) fn close_shortcut(&mut self, now: Instant) -> bool {
        self.shortcut.close();
        let mut was_told = false;
        while let Some(told) = self.shortcut.poll() {
            was_told = true;
            self.handle_told(now, told);
        }
        was_told
    }

    pub(super) fn handle_told(&mut self, now: Instant, told: Told) {
        match told {
            Told::Passed { stops } => {
                self.last_key = now;
                self.link.handle_typed_past(now, stops);
            }
            Told::Typed(Ok(typed)) if !typed.is_empty() => self.handle_typed(now, &typed),
            Told::Typed(_) => self.leave_by_itself(now, Left::BySignal(libc::SIGHUP)),
        }
    }

    fn handle_resized(&mut self, now: Instant) {
        let size = self.tty.size();
        self.screen.resize(size);
        self.link.handle_resized(now, size);
    }

    /// The client was stopped. A shell that had the terminal meanwhile left its marks on it.
    fn handle_continued(&mut self, now: Instant) {
        if self.raw.is_some() && !self.tty.is_raw() {
            self.raw = None;
            self.raw = RawTerminal::enter().ok();
            self.link.handle_disturbed(now);
        }
        self.handle_resized(now);
    }

    pub(super) async fn handle_signalled(&mut self, now: Instant, signalled: Signalled) {
        match signalled {
            Signalled::Leave(signal) => self.leave_by_itself(now, Left::BySignal(signal)),
            Signalled::Resized => self.handle_resized(now),
            Signalled::Stop => self.stop(now).await,
            Signalled::Continued => self.handle_continued(now),
        }
    }

    pub(super) fn leave_by_itself(&mut self, now: Instant, left: Left) {
        // What was typed before counts.
        self.close_shortcut(now);
        self.left.get_or_insert(left);
        self.link.handle_detach(now);
    }

    /// Writes what the terminal takes at once.
    pub(super) fn write_to_terminal(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while !self.screen.queue().is_empty() {
            let pending = self.screen.queue().pending();
            match self.tty.shown.poll_write(&mut context, pending) {
                Poll::Ready(Ok(count)) => self.handle_written(count),
                // The main loop waits for it with its own waker; and an error comes again
                // there, which knows what to do.
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
    }

    pub(super) fn handle_written(&mut self, count: usize) {
        let counted = self.screen.queue().take(count);
        self.link.handle_written(counted);
    }
}
