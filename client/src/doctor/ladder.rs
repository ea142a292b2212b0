//! How to measure after how long idle a way forgets a connection: the plan. Pure.
//!
//! Connections of their own are idle for a ladder of times at once; after its time each is asked
//! for an answer. Between the longest time that was survived and the shortest that was not,
//! further rounds of three close in to ± 10 %. At last the far side speaks first, once below and
//! once above, because some boxes treat the two directions differently.
//!
//! A control connection that is never idle tells a way that is broken, or a laptop that sleeps,
//! from a timeout: what fails while it is silent does not count, and is tried again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::measured::Measured;
use super::path_memory::Manner;
use super::trial::{ANSWER_WITHIN, First, Phase, Running, Trial, between, rungs};

/// Dials are so far apart, that no sshd takes them for an attack (PerSourcePenalties).
pub const DIALS_APART: Duration = Duration::from_secs(5);

/// How often the control connection is asked for an answer.
pub const CONTROL_EVERY: Duration = Duration::from_secs(2);

/// How often a trial that was disturbed is tried again.
const MOST_DISTURBANCES: u32 = 12;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Open the control connection, and ask for an answer every [`CONTROL_EVERY`].
    DialControl,
    /// Open a connection for a trial; [`Ladder::handle_ready`] when it has answered once and is
    /// to be left alone. Where the server speaks first, it is to be told so before.
    Dial(usize, Trial),
    /// Send something on this connection.
    Speak(usize),
    /// Close this connection.
    Close(usize),
    /// The end: see [`Ladder::measured`].
    Done,
}

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct LadderOptions {
    /// The longest idle time to try.
    pub max: Duration,
    /// Whether to leave out what makes it exact: closing in below a factor of two, and the other
    /// direction.
    pub quick: bool,
}

/// The measurement under way.
#[derive(Debug)]
pub struct Ladder {
    options: LadderOptions,
    todo: VecDeque<Trial>,
    running: Vec<Running>,
    numbers: usize,
    next_dial: Instant,
    control: Control,
    measured: Measured,
    confirming: Option<Confirming>,
    steps: VecDeque<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Wanted,
    Dialling,
    Up { answered: Instant },
}

/// What the far side met, speaking first.
#[derive(Clone, Copy, Debug, Default)]
struct Confirming {
    below: Option<bool>,
    above: Option<bool>,
}

impl Ladder {
    /// A measurement that begins with its control connection.
    #[must_use]
    pub fn new(now: Instant, options: LadderOptions) -> Self {
        Self {
            todo: rungs(options.max).into(),
            options,
            running: Vec::new(),
            numbers: 0,
            next_dial: now,
            control: Control::Wanted,
            measured: Measured::default(),
            confirming: None,
            steps: VecDeque::new(),
        }
    }

    // --- what happened ---

    /// The control connection answered.
    pub fn handle_control(&mut self, now: Instant) {
        self.control = Control::Up { answered: now };
    }

    /// The control connection closed, or could not be opened.
    pub fn handle_control_lost(&mut self, now: Instant) {
        self.control = Control::Wanted;
        self.next_dial = self.next_dial.max(now + DIALS_APART);
    }

    /// A trial's connection is up, and left alone from now on.
    pub fn handle_ready(&mut self, now: Instant, number: usize) {
        if let Some(running) = self.find(number) {
            running.phase = Phase::Idle { since: now };
        }
    }

    /// Something came on a trial's connection after its time: it was survived.
    pub fn handle_answer(&mut self, now: Instant, number: usize) {
        let Some(running) = self.find(number).copied() else {
            return;
        };
        let is_due = match running.phase {
            Phase::Dialling => false,
            Phase::Idle { since } => {
                // The far side's clock may run a little faster.
                running.trial.first == First::Server
                    && now + Duration::from_secs(1) >= since + running.trial.idle
            }
            Phase::Asked { .. } => true,
        };
        if is_due {
            self.close(number);
            self.conclude(running.tried(), true, None);
        }
    }

    /// A trial's connection closed, or could not be opened; ssh's last words.
    pub fn handle_closed(&mut self, now: Instant, number: usize, words: &str) {
        let Some(running) = self.find(number).copied() else {
            return;
        };
        self.close(number);
        match running.phase {
            Phase::Dialling => self.try_again(now, running.trial),
            Phase::Asked { .. } => self.conclude(running.tried(), false, Some(Manner::Reset)),
            Phase::Idle { since } => {
                // Nobody had sent anything: an end cut it, or RST came by itself.
                self.measured.ended_early = Some(words.to_owned());
                let trial = Trial {
                    idle: now.saturating_duration_since(since),
                    ..running.trial
                };
                self.conclude(trial, false, Some(Manner::Reset));
            }
        }
    }

    /// The machine slept, or its network changed: nothing that is under way counts.
    pub fn handle_disturbed(&mut self, now: Instant) {
        for running in std::mem::take(&mut self.running) {
            self.steps.push_back(Step::Close(running.number));
            self.try_again(now, running.trial);
        }
        self.control = Control::Wanted;
    }

    // --- what to do ---

    /// The next thing to do; `None`: wait until something happens or [`Ladder::poll_timeout`].
    pub fn poll(&mut self, now: Instant) -> Option<Step> {
        if self.measured.is_complete {
            return self.steps.pop_front().or(Some(Step::Done));
        }
        self.check(now);
        if self.todo.is_empty() && self.running.is_empty() {
            self.plan();
        }
        if let Some(step) = self.steps.pop_front() {
            return Some(step);
        }
        if self.measured.is_complete {
            return Some(Step::Done);
        }
        if now < self.next_dial {
            return None;
        }
        match self.control {
            Control::Wanted => {
                self.control = Control::Dialling;
                self.next_dial = now + DIALS_APART;
                Some(Step::DialControl)
            }
            Control::Dialling => None,
            Control::Up { .. } => {
                let trial = self.todo.pop_front()?;
                let number = self.numbers;
                self.numbers += 1;
                self.next_dial = now + DIALS_APART;
                self.running.push(Running {
                    number,
                    trial,
                    phase: Phase::Dialling,
                });
                Some(Step::Dial(number, trial))
            }
        }
    }

    /// When [`Ladder::poll`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let dials = match self.control {
            Control::Wanted => true,
            Control::Dialling => false,
            Control::Up { .. } => !self.todo.is_empty(),
        };
        let deadlines = self.running.iter().filter_map(Running::deadline);
        deadlines.chain(dials.then_some(self.next_dial)).min()
    }

    /// What is known so far.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The idle times that are being tried now, with the time that each still takes.
    pub fn running(&self, now: Instant) -> impl Iterator<Item = (Trial, Duration)> {
        self.running.iter().map(move |running| {
            let end = match running.phase {
                Phase::Dialling => now + running.trial.idle,
                Phase::Idle { since } => since + running.trial.idle,
                Phase::Asked { at, .. } => at + ANSWER_WITHIN,
            };
            (running.trial, end.saturating_duration_since(now))
        })
    }

    /// How long it will still take at most, as far as can be known.
    #[must_use]
    pub fn time_left(&self, now: Instant) -> Duration {
        let dials = self.next_dial.saturating_duration_since(now);
        let waiting = self.todo.iter().zip(0_u32..).map(|(trial, before)| {
            dials + DIALS_APART.saturating_mul(before) + trial.idle + ANSWER_WITHIN
        });
        let running = self.running(now).map(|(_, left)| left + ANSWER_WITHIN);
        waiting.chain(running).max().unwrap_or_default()
    }

    // --- within ---

    fn find(&mut self, number: usize) -> Option<&mut Running> {
        self.running
            .iter_mut()
            .find(|running| running.number == number)
    }

    fn close(&mut self, number: usize) {
        self.running.retain(|running| running.number != number);
        self.steps.push_back(Step::Close(number));
    }

    /// Asks those whose time has come, and judges those that did not answer.
    fn check(&mut self, now: Instant) {
        let due: Vec<Running> = self
            .running
            .iter()
            .filter(|running| running.deadline().is_some_and(|at| at <= now))
            .copied()
            .collect();
        for running in due {
            match running.phase {
                Phase::Dialling => {}
                Phase::Idle { since } => {
                    if running.trial.first == First::Client {
                        self.steps.push_back(Step::Speak(running.number));
                    }
                    if let Some(running) = self.find(running.number) {
                        running.phase = Phase::Asked { since, at: now };
                    }
                }
                Phase::Asked { at, .. } => {
                    self.close(running.number);
                    let way_works = match self.control {
                        Control::Up { answered } => answered >= at,
                        Control::Wanted | Control::Dialling => false,
                    };
                    if way_works {
                        self.conclude(running.tried(), false, Some(Manner::Drop));
                    } else {
                        self.try_again(now, running.trial);
                    }
                }
            }
        }
    }

    fn try_again(&mut self, now: Instant, trial: Trial) {
        self.measured.disturbed += 1;
        self.next_dial = self.next_dial.max(now + DIALS_APART);
        if self.measured.disturbed > MOST_DISTURBANCES {
            self.measured.is_complete = true;
        } else {
            self.todo.push_back(trial);
        }
    }

    /// A trial was survived, or not.
    fn conclude(&mut self, trial: Trial, survived: bool, manner: Option<Manner>) {
        if trial.first == First::Server {
            let Some(confirming) = &mut self.confirming else {
                return;
            };
            if Some(trial.idle) <= self.measured.survives {
                confirming.below = Some(survived);
            } else {
                confirming.above = Some(survived);
            }
            return;
        }
        let measured = &mut self.measured;
        if survived {
            measured.survives = measured.survives.max(Some(trial.idle));
        } else if measured.forgets.is_none_or(|known| trial.idle < known) {
            measured.forgets = Some(trial.idle);
            measured.manner = manner;
        }
        // What the outcome already tells of the others need not be waited for.
        let (survives, forgets) = (measured.survives, measured.forgets);
        let is_known = |trial: &Trial| {
            trial.first == First::Client
                && (forgets.is_some_and(|forgets| trial.idle >= forgets)
                    || survives.is_some_and(|survives| trial.idle <= survives))
        };
        self.todo.retain(|trial| !is_known(trial));
        let known: Vec<usize> = self
            .running
            .iter()
            .filter(|running| is_known(&running.trial))
            .map(|running| running.number)
            .collect();
        for number in known {
            self.close(number);
        }
    }

    /// Plans the next round, or ends.
    fn plan(&mut self) {
        let Some(forgets) = self.measured.forgets else {
            self.measured.is_complete = true;
            return;
        };
        let survives = self.measured.survives.unwrap_or_default();
        if self.options.quick {
            self.measured.is_complete = true;
            return;
        }
        if !self.measured.is_close() {
            let times = between(survives, forgets);
            self.todo.extend(times.map(|idle| Trial {
                idle,
                first: First::Client,
            }));
            return;
        }
        match self.confirming {
            None => {
                self.confirming = Some(Confirming::default());
                let times = [survives, forgets]
                    .into_iter()
                    .filter(|idle| !idle.is_zero());
                self.todo.extend(times.map(|idle| Trial {
                    idle,
                    first: First::Server,
                }));
            }
            Some(confirming) => {
                let below = confirming.below.unwrap_or(true);
                let above = confirming.above.unwrap_or(false);
                self.measured.same_both_ways = Some(below && !above);
                self.measured.is_complete = true;
            }
        }
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
