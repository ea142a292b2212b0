//! What the user is told while the link is not well.

use std::time::{Duration, Instant};

use super::carrier::Carrier;
use super::{Dials, Link, Reach};

/// What the banner shows. How it is worded and drawn is the client's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// How long nothing has come from the server.
    pub silence: Duration,
    /// What is being done about it.
    pub trying: Trying,
    /// What was said of the dial that failed last, while others follow it.
    pub failure: Option<String>,
    /// Typed bytes that wait to be delivered.
    pub waiting_bytes: usize,
    /// Whether the queue of typed bytes is full, and what is typed now is lost.
    pub is_full: bool,
}

/// What is being done about a link that is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trying {
    /// The connection is silent; nothing else yet.
    Waiting,
    /// A dial is under way, the how manieth in a row.
    Dialling(u32),
    /// The next dial comes after this time; so many in a row have failed.
    Pausing(u32, Duration),
    /// It needs the user: Enter dials again, with questions allowed. In ssh's words.
    Stopped(String),
    /// The link is up again, and the user is asked whether what was typed meanwhile is still to
    /// be delivered: y or n.
    Asking,
}

impl Link {
    /// What the user is to be told now; `None`: all is well.
    #[must_use]
    pub fn banner(&self, now: Instant) -> Option<Banner> {
        if self.banner_at()? > now {
            return None;
        }
        let trying = match (&self.carrier, &self.dials) {
            (Some(_), _) if self.is_asking() => Trying::Asking,
            (_, Dials::Wanted { running, .. }) if running.is_empty() => {
                let wait = self.dial_due(now).saturating_duration_since(now);
                Trying::Pausing(self.redial.attempts(), wait)
            }
            (_, Dials::Wanted { .. }) => Trying::Dialling(self.redial.attempts()),
            (None, Dials::Stopped(closed)) => Trying::Stopped(closed.words.clone()),
            // As long as the first connection may still answer, keys are typed bytes.
            (Some(_), Dials::Stopped(_)) | (_, Dials::Idle) => Trying::Waiting,
        };
        Some(Banner {
            silence: now.saturating_duration_since(self.silent_since()),
            trying,
            failure: self.dials.failure().map(str::to_owned),
            waiting_bytes: self.input.waiting(),
            is_full: self.is_full || self.input.room() == 0,
        })
    }

    /// Since when the banner is to be shown, or from when on; `None` while all is well.
    fn banner_at(&self) -> Option<Instant> {
        self.session.as_ref()?;
        if self.is_asking() {
            return Some(self.contact().min(self.last_contact));
        }
        match (&self.carrier, self.lost) {
            (Some(carrier), _) => carrier.banner_at(&self.timing),
            (None, Some(loss)) => Some(loss.since + self.timing.banner_closed),
            (None, None) => None,
        }
    }

    /// When the banner appears, or its seconds change.
    pub(super) fn banner_timeout(&self, now: Instant) -> Option<Instant> {
        let at = self.banner_at()?;
        if at > now {
            return Some(at);
        }
        let since = self.silent_since();
        let silence = now.saturating_duration_since(since);
        Some(since + Duration::from_secs(silence.as_secs() + 1))
    }

    /// Since when nothing has come, though something was to. A server of this machine, which sends no
    /// heartbeats, was not asked for hours, perhaps.
    fn silent_since(&self) -> Instant {
        let carrier = self.carrier.as_ref().filter(|_| self.reach == Reach::Local);
        let owed = carrier.and_then(Carrier::owed_since);
        owed.unwrap_or(self.contact())
    }
}
