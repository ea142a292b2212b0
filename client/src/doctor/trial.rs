//! One connection of a measurement: how long it is left alone, and how far it is. Pure.

use std::time::{Duration, Instant};

use super::measured::CLOSE;

/// How long an answer may take. TCP repeats a lost packet four times in it.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The lowest rung. Below, nothing deserves the name of an idle timeout.
const LOWEST: Duration = Duration::from_secs(5);

/// Which side sends the first byte after the idle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// This one.
    Client,
    /// The far one.
    Server,
}

/// One connection's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How long nothing is sent.
    pub idle: Duration,
    /// Who breaks the silence.
    pub first: First,
}

/// A trial on its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) number: usize,
    pub(super) trial: Trial,
    pub(super) phase: Phase,
}

/// How far a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its connection is not up yet.
    Dialling,
    /// Nothing has been sent since.
    Idle { since: Instant },
    /// The silence that began at `since` was broken, and an answer is awaited.
    Asked { since: Instant, at: Instant },
}

impl Running {
    /// The trial with the time that really went by: wake-ups come late, never early.
    pub(super) fn tried(&self) -> Trial {
        let idle = match (self.phase, self.trial.first) {
            (Phase::Asked { since, at }, First::Client) => at.saturating_duration_since(since),
            (Phase::Asked { .. }, First::Server) => self.trial.idle,
            (Phase::Dialling | Phase::Idle { .. }, _) => self.trial.idle,
        };
        Trial { idle, ..self.trial }
    }

    /// When it is to be asked, or given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Dialling => None,
            Phase::Idle { since } => Some(since + self.trial.idle),
            Phase::Asked { at, .. } => Some(at + ANSWER_WITHIN),
        }
    }
}

/// 5 s, 10 s, 20 s … and the longest.
pub(super) fn rungs(max: Duration) -> Vec<Trial> {
    let doubled = std::iter::successors(Some(LOWEST), |idle| idle.checked_mul(2));
    let below = doubled.take_while(|idle| idle.mul_f64(CLOSE) < max);
    below
        .chain([max])
        .map(|idle| Trial {
            idle,
            first: First::Client,
        })
        .collect()
}

/// Three times between two, evenly by ratio; whole milliseconds.
pub(super) fn between(survives: Duration, forgets: Duration) -> impl Iterator<Item = Duration> {
    let from = survives.max(Duration::from_millis(500)).as_secs_f64();
    let ratio = forgets.as_secs_f64() / from;
    [0.25, 0.5, 0.75].into_iter().map(move |share| {
        let seconds = from * ratio.powf(share);
        Duration::from_millis((seconds * 1_000.0) as u64)
    })
}
