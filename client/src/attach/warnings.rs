//! What the user ought to know before relying on the session: shown over the screen until a key is
//! pressed, as whatever was said before is scrolled off by the session's picture; and given back at
//! the end, to be said again to who detaches.

use std::time::{Duration, Instant};

use crate::keys;
use crate::paragraph;

/// How long they show when no key is pressed.
const SHOWN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Warnings {
    /// Each a sentence.
    said: Vec<String>,
    /// Until when they show.
    until: Option<Instant>,
}

impl Warnings {
    pub(super) fn add(&mut self, now: Instant, warnings: Vec<String>) {
        if !warnings.is_empty() {
            self.said.extend(warnings);
            self.until = Some(now + SHOWN);
        }
    }

    /// Something was typed: whether it takes the warnings away.
    pub(super) fn handle_typed(&mut self, typed: &[u8]) -> bool {
        keys::is_by_hand(typed) && self.until.take().is_some()
    }

    /// Whether it takes them away that it is `now`.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// What shows of them now, in lines of at most so many columns.
    pub(super) fn banner(&self, columns: usize) -> Option<String> {
        self.until?;
        let mut text = String::new();
        for warning in &self.said {
            paragraph::wrap(&mut text, &format!("psess: {warning}"), 2, columns);
        }
        text.pop();
        Some(text)
    }

    /// All that were there.
    pub(super) fn all(&self) -> Vec<String> {
        self.said.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_show_until_a_key_is_pressed_and_no_answer_of_the_terminal() {
        let now = Instant::now();
        let mut warnings = Warnings::default();
        assert_eq!(warnings.banner(80), None);
        warnings.add(now, vec!["one two three".to_owned(), "four".to_owned()]);
        let lines = "psess: one\n  two three\npsess: four";
        assert_eq!(warnings.banner(11).as_deref(), Some(lines));
        assert!(!warnings.handle_typed(b"\x1b[?62;22c"));
        assert_eq!(warnings.banner(11).as_deref(), Some(lines));
        assert!(warnings.handle_typed(b"l"));
        assert_eq!(warnings.banner(11), None);
        assert!(
            !warnings.handle_typed(b"s"),
            "there is nothing to take away"
        );
        assert_eq!(warnings.all().len(), 2);
    }

    #[test]
    fn they_do_not_cover_an_untouched_terminal_for_ever() {
        let now = Instant::now();
        let mut warnings = Warnings::default();
        warnings.add(now, vec!["one".to_owned()]);
        assert!(!warnings.handle_timeout(now));
        assert!(warnings.handle_timeout(now + SHOWN));
        assert_eq!(warnings.banner(80), None);
    }
}
