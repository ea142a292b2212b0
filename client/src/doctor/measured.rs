//! What a measurement of a way has found so far. Pure.

use std::time::Duration;

use serde::Serialize;

use super::path_memory::Manner;
use super::seconds;

/// Close enough: the middle is then within ± 10 %.
pub(super) const CLOSE: f64 = 1.2;

/// Close enough for short times: ± 1 s.
const CLOSE_SECONDS: Duration = Duration::from_millis(1_800);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The longest time that was survived.
    pub survives: Option<Duration>,
    /// The shortest time that was not.
    pub forgets: Option<Duration>,
    /// What happened to what was sent then.
    pub manner: Option<Manner>,
    /// Whether the far side, speaking first, met the same; `None`: not tried.
    pub same_both_ways: Option<bool>,
    /// What ended connections before their time, in ssh's words.
    pub ended_early: Option<String>,
    /// Trials that did not count, because the way was broken or the machine slept.
    pub disturbed: u32,
    /// Whether it went to its end.
    pub is_complete: bool,
}

/// What kept a measurement from seeing further: a setting at an end, not the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bound {
    /// What does.
    pub manner: BoundManner,
    /// The setting.
    pub by: String,
    /// How often it sends something, or after how long it closes.
    #[serde(with = "seconds", rename = "after_seconds")]
    pub after: Duration,
}

/// How a setting keeps a measurement from seeing further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundManner {
    /// It sends something on the connections that were to be idle.
    KeepsAlive,
    /// It closes them.
    Closes,
}

impl Measured {
    /// What holds of this for the way itself, where `bounds` were in force at the ends: no gap was
    /// longer than what kept the connections alive, and what sshd closes was not forgotten between.
    #[must_use]
    pub fn within(mut self, bounds: &[Bound]) -> (Self, Option<Bound>) {
        let mut met = None;
        for bound in bounds {
            let is_beyond = |time: Option<Duration>| time.is_some_and(|time| time >= bound.after);
            match bound.manner {
                BoundManner::KeepsAlive if is_beyond(self.survives) => {
                    self.survives = Some(bound.after);
                    self.forgets = None;
                }
                BoundManner::Closes
                    if self.ended_early.is_some()
                        && self
                            .forgets
                            .is_some_and(|forgets| is_about(forgets, bound.after)) =>
                {
                    self.forgets = None;
                }
                BoundManner::KeepsAlive | BoundManner::Closes => continue,
            }
            self.manner = None;
            self.same_both_ways = None;
            met = Some(bound.clone());
        }
        (self, met)
    }

    /// The middle of what is known of the timeout, and how far off it may be.
    #[must_use]
    pub fn estimate(&self) -> Option<(Duration, Duration)> {
        let forgets = self.forgets?;
        let survives = self.survives.unwrap_or_default();
        let middle = (survives + forgets) / 2;
        Some((middle, forgets - middle))
    }

    /// Whether what is not survived is so little above what is that it need not be closer.
    pub(super) fn is_close(&self) -> bool {
        let survives = self.survives.unwrap_or_default();
        self.forgets.is_some_and(|forgets| {
            forgets <= survives.mul_f64(CLOSE) || forgets.saturating_sub(survives) <= CLOSE_SECONDS
        })
    }
}

/// sshd counts whole seconds, and begins within one.
fn is_about(measured: Duration, limit: Duration) -> bool {
    measured.abs_diff(limit) <= limit.mul_f64(0.1).max(Duration::from_millis(1_500))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn bound(manner: BoundManner, after: u64) -> Bound {
        Bound {
            manner,
            by: "sshd: a setting".to_owned(),
            after: seconds(after),
        }
    }

    #[test]
    fn what_a_setting_hides_is_not_said_of_the_way() {
        let patient = Measured {
            survives: Some(seconds(600)),
            is_complete: true,
            ..Measured::default()
        };
        let alive = bound(BoundManner::KeepsAlive, 60);
        let (way, met) = patient.clone().within(std::slice::from_ref(&alive));
        assert_eq!((way.survives, way.forgets), (Some(seconds(60)), None));
        assert_eq!(met, Some(alive.clone()));

        // A way that forgets sooner than the alive messages come is seen as it is.
        let short = Measured {
            survives: Some(seconds(28)),
            forgets: Some(seconds(33)),
            manner: Some(Manner::Drop),
            ..patient
        };
        assert_eq!(short.clone().within(&[alive]), (short.clone(), None));

        // What sshd closes says nothing of the way.
        let closes = bound(BoundManner::Closes, 32);
        let closed = Measured {
            ended_early: Some("the connection closed".to_owned()),
            ..short.clone()
        };
        let (way, met) = closed.within(std::slice::from_ref(&closes));
        assert_eq!((way.survives, way.forgets), (Some(seconds(28)), None));
        assert_eq!(met, Some(closes.clone()));
        assert_eq!(short.clone().within(&[closes]), (short, None));
    }
}
