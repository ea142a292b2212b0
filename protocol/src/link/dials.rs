//! The connections that are being made, beside or instead of the carrier.
//!
//! Several at once, because a dial that began while nothing got through is slower to notice that
//! the path works again than one that begins then: TCP repeats its first packet after 1, 3, 7
//! and 15 s. The oldest is the patient one: it has all its time, for a path on which that is
//! what a dial takes. Those after it make way for younger ones. The first that is greeted by the
//! server attaches, and the others are closed.

use std::time::Instant;

use super::action::Closed;
use super::carrier::earliest;
use crate::identity::Generation;

/// What is done for a new connection.
#[derive(Clone, Debug)]
pub(super) enum Dials {
    /// None is needed.
    Idle,
    /// Some are under way; more follow as the row of redials has it.
    Wanted {
        /// The oldest first.
        running: Vec<Dial>,
        /// What was said of the one that failed last.
        failure: Option<String>,
    },
    /// The user must act first.
    Stopped(Closed),
}

/// One dial that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    pub(super) generation: Generation,
    /// The how manieth it is in its row.
    pub(super) attempt: u32,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    /// ssh may ask the user in it: no other dial disturbs that, or would be let in.
    pub(super) asks_user: bool,
    pub(super) stage: Stage,
}

/// How far a dial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// On its way to the server's hello.
    Connecting,
    /// The request to attach was sent then.
    Attaching(Instant),
}

impl Dials {
    /// One is wanted; none is under way.
    pub(super) const WANTED: Self = Self::Wanted {
        running: Vec::new(),
        failure: None,
    };

    /// Those under way, the oldest first.
    pub(super) fn running(&self) -> &[Dial] {
        match self {
            Self::Wanted { running, .. } => running,
            Self::Idle | Self::Stopped(_) => &[],
        }
    }

    /// Whether another may begin beside those under way: not beside one in which the user is
    /// asked.
    pub(super) fn may_grow(&self) -> bool {
        let Self::Wanted { running, .. } = self else {
            return false;
        };
        running.iter().all(|dial| !dial.asks_user)
    }

    /// One more begins; with it there are `most` at most. Gives the one that makes way.
    pub(super) fn begin(&mut self, dial: Dial, most: usize) -> Option<Dial> {
        match self {
            Self::Wanted { running, .. } => {
                running.push(dial);
                // The oldest stays; of one alone there is none but the oldest.
                (running.len() > most.max(2)).then(|| running.remove(1))
            }
            Self::Idle | Self::Stopped(_) => {
                *self = Self::Wanted {
                    running: vec![dial],
                    failure: None,
                };
                None
            }
        }
    }

    /// This one is no longer under way.
    pub(super) fn remove(&mut self, generation: Generation) -> Option<Dial> {
        let Self::Wanted { running, .. } = self else {
            return None;
        };
        let at = running
            .iter()
            .position(|dial| dial.generation == generation)?;
        Some(running.remove(at))
    }

    /// One came to nothing; others are still wanted.
    pub(super) fn note_failure(&mut self, words: String) {
        if let Self::Wanted { failure, .. } = self {
            *failure = Some(words);
        }
    }

    /// What was said of the one that failed last, while others are wanted.
    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Self::Wanted { failure, .. } => failure.as_deref(),
            Self::Idle | Self::Stopped(_) => None,
        }
    }

    /// The server greets this one, which now attaches until the deadline. Gives it; `None` where
    /// it is not under way, or was greeted before.
    pub(super) fn handle_hello(
        &mut self,
        now: Instant,
        generation: Generation,
        deadline: Instant,
    ) -> Option<Dial> {
        let Self::Wanted { running, .. } = self else {
            return None;
        };
        let dial = running
            .iter_mut()
            .find(|dial| dial.generation == generation && dial.stage == Stage::Connecting)?;
        dial.stage = Stage::Attaching(now);
        dial.deadline = deadline;
        Some(*dial)
    }

    /// All others are no longer under way. Gives them.
    pub(super) fn keep_only(&mut self, generation: Generation) -> Vec<Dial> {
        match self {
            Self::Wanted { running, .. } => running
                .extract_if(.., |dial| dial.generation != generation)
                .collect(),
            Self::Idle | Self::Stopped(_) => Vec::new(),
        }
    }

    /// One whose time is over.
    pub(super) fn overdue(&self, now: Instant) -> Option<Generation> {
        let mut running = self.running().iter();
        let overdue = running.find(|dial| dial.deadline <= now)?;
        Some(overdue.generation)
    }

    /// When [`Dials::overdue`] finds one.
    pub(super) fn deadline(&self) -> Option<Instant> {
        earliest(self.running().iter().map(|dial| Some(dial.deadline)))
    }

    /// The one that attaches.
    pub(super) fn attaching(&self) -> Option<&Dial> {
        let mut running = self.running().iter();
        running.find(|dial| dial.attaching_since().is_some())
    }
}

impl Dial {
    /// When the request to attach was sent, if it was.
    pub(super) fn attaching_since(&self) -> Option<Instant> {
        match self.stage {
            Stage::Connecting => None,
            Stage::Attaching(since) => Some(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOST: usize = 3;

    fn dial(number: u64) -> Dial {
        let started = Instant::now();
        Dial {
            generation: Generation(number),
            attempt: number as u32,
            started,
            deadline: started + Duration::from_secs(number),
            asks_user: false,
            stage: Stage::Connecting,
        }
    }

    fn generations(dials: &Dials) -> Vec<u64> {
        let running = dials.running().iter();
        running.map(|dial| dial.generation.0).collect()
    }

    fn begun(numbers: std::ops::RangeInclusive<u64>) -> (Dials, Vec<u64>) {
        let mut dials = Dials::Idle;
        let displaced = numbers
            .filter_map(|number| dials.begin(dial(number), MOST))
            .map(|dial| dial.generation.0)
            .collect();
        (dials, displaced)
    }

    #[test]
    fn the_oldest_stays_and_the_second_oldest_makes_way() {
        let (dials, displaced) = begun(1..=5);
        assert_eq!(displaced, [2, 3]);
        assert_eq!(generations(&dials), [1, 4, 5]);
    }

    #[test]
    fn when_the_oldest_had_its_time_the_next_is_the_patient_one() {
        let (mut dials, _) = begun(1..=4);
        let later = dials.running()[0].deadline;
        assert_eq!(dials.deadline(), Some(later));
        assert_eq!(dials.overdue(later), Some(Generation(1)));
        dials.remove(Generation(1));
        dials.begin(dial(5), MOST);
        let displaced = dials.begin(dial(6), MOST);
        assert_eq!(displaced.map(|dial| dial.generation), Some(Generation(4)));
        assert_eq!(generations(&dials), [3, 5, 6]);
    }

    #[test]
    fn only_the_first_that_is_greeted_goes_on() {
        let (mut dials, _) = begun(1..=3);
        let now = Instant::now();
        let deadline = now + Duration::from_secs(60);
        let greeted = dials.handle_hello(now, Generation(2), deadline);
        assert_eq!(greeted.map(|dial| dial.stage), Some(Stage::Attaching(now)));
        assert_eq!(dials.keep_only(Generation(2)).len(), 2);
        assert_eq!(dials.deadline(), Some(deadline));
        assert!(dials.may_grow(), "it may be silent");
        for gone in [2, 3].map(Generation) {
            assert!(dials.handle_hello(now, gone, deadline).is_none());
        }
        let attaching = dials.attaching().map(|dial| dial.generation);
        assert_eq!(attaching, Some(Generation(2)));
    }

    #[test]
    fn nothing_disturbs_a_dial_in_which_the_user_is_asked() {
        let mut dials = Dials::Idle;
        assert!(!dials.may_grow(), "none is wanted");
        let asking = Dial {
            asks_user: true,
            ..dial(1)
        };
        dials.begin(asking, MOST);
        assert!(!dials.may_grow());
        let now = Instant::now();
        dials.handle_hello(now, Generation(1), now);
        assert!(!dials.may_grow());
        dials.remove(Generation(1));
        assert!(dials.may_grow());
    }
}
