use std::collections::BTreeMap;

use super::*;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A way that forgets, and a world in which it is measured.
struct World {
    now: Instant,
    start: Instant,
    timeout: Duration,
    manner: Manner,
    /// The way drops everything from, to.
    broken: Option<(Duration, Duration)>,
    /// Only what the server sends first survives.
    one_way: bool,
    ladder: Ladder,
    open: BTreeMap<usize, (Instant, Trial)>,
    control: Option<Instant>,
    dials: Vec<Instant>,
}

impl World {
    fn new(timeout: Duration, manner: Manner, max: Duration) -> Self {
        let now = Instant::now();
        Self {
            now,
            start: now,
            timeout,
            manner,
            broken: None,
            one_way: false,
            ladder: Ladder::new(now, LadderOptions { max, quick: false }),
            open: BTreeMap::new(),
            control: None,
            dials: Vec::new(),
        }
    }

    fn is_broken(&self) -> bool {
        let elapsed = self.now - self.start;
        self.broken
            .is_some_and(|(from, to)| from <= elapsed && elapsed < to)
    }

    fn run(mut self) -> (Measured, Duration, Vec<Instant>) {
        while self.step() {}
        (
            self.ladder.measured().clone(),
            self.now - self.start,
            self.dials,
        )
    }

    /// Whether it goes on.
    fn step(&mut self) -> bool {
        while let Some(step) = self.ladder.poll(self.now) {
            match step {
                Step::DialControl => {
                    self.dials.push(self.now);
                    self.control = Some(self.now);
                    if !self.is_broken() {
                        self.ladder.handle_control(self.now);
                    } else {
                        self.control = None;
                        self.ladder.handle_control_lost(self.now);
                    }
                }
                Step::Dial(number, trial) => {
                    self.dials.push(self.now);
                    self.open.insert(number, (self.now, trial));
                    self.ladder.handle_ready(self.now, number);
                }
                Step::Speak(number) => {
                    let (since, _) = self.open[&number];
                    if self.is_broken() {
                    } else if self.now - since < self.timeout {
                        self.ladder.handle_answer(self.now, number);
                    } else if self.manner == Manner::Reset {
                        self.ladder.handle_closed(self.now, number, "Broken pipe");
                    }
                }
                Step::Close(number) => {
                    self.open.remove(&number);
                }
                Step::Done => return false,
            }
        }
        // Time goes by in quarters of a second; the far side speaks when its time has come.
        self.now += Duration::from_millis(250);
        assert!(self.now - self.start < seconds(100_000), "it ends");
        let due: Vec<usize> = self
            .open
            .iter()
            .filter(|(_, (since, trial))| {
                trial.first == First::Server
                    && self.now - *since >= trial.idle
                    && (trial.idle < self.timeout || self.one_way)
            })
            .map(|(number, _)| *number)
            .collect();
        if !self.is_broken() {
            for number in due {
                self.ladder.handle_answer(self.now, number);
            }
            if self
                .control
                .is_some_and(|asked| self.now - asked >= CONTROL_EVERY)
            {
                self.control = Some(self.now);
                self.ladder.handle_control(self.now);
            }
        }
        true
    }
}

#[test]
fn every_timeout_is_found_within_a_tenth_or_a_second() {
    for manner in [Manner::Drop, Manner::Reset] {
        for timeout in [2, 6, 7, 13, 30, 60, 240, 350, 1_200, 3_000] {
            let timeout = seconds(timeout) + Duration::from_millis(120);
            let (found, took, dials) = World::new(timeout, manner, seconds(3_600)).run();
            let (estimate, error) = found.estimate().expect("there is a timeout");
            let allowed = timeout.mul_f64(0.1).max(seconds(1));
            assert!(
                estimate.abs_diff(timeout) <= allowed,
                "{timeout:?}: {found:?}"
            );
            assert!(error <= allowed.mul_f64(1.1), "{timeout:?}: {found:?}");
            assert_eq!(found.manner, Some(manner));
            assert_eq!(found.same_both_ways, Some(true), "{timeout:?}: {found:?}");
            assert!(found.is_complete);
            assert!(
                took < timeout * 5 + seconds(180),
                "{timeout:?} took {took:?}"
            );
            assert!(
                dials
                    .windows(2)
                    .all(|pair| pair[1] - pair[0] >= DIALS_APART)
            );
        }
    }
}

#[test]
fn a_way_that_forgets_nothing_takes_little_longer_than_the_longest_rung() {
    let (found, took, _) = World::new(seconds(90_000), Manner::Drop, seconds(600)).run();
    assert_eq!((found.survives, found.forgets), (Some(seconds(600)), None));
    assert!(found.is_complete);
    assert!(took < seconds(700), "{took:?}");
}

#[test]
fn a_broken_way_is_not_taken_for_a_timeout() {
    let mut world = World::new(seconds(60), Manner::Drop, seconds(600));
    world.broken = Some((seconds(14), seconds(44)));
    let (found, _, _) = world.run();
    assert!(found.disturbed > 0);
    let (estimate, _) = found.estimate().unwrap();
    assert!(estimate.abs_diff(seconds(60)) <= seconds(6), "{found:?}");
}

#[test]
fn a_sleep_makes_everything_begin_anew() {
    let mut world = World::new(seconds(30), Manner::Drop, seconds(600));
    while world.now - world.start < seconds(12) {
        assert!(world.step());
    }
    world.now += seconds(3_000);
    world.ladder.handle_disturbed(world.now);
    let (found, _, _) = world.run();
    let (estimate, _) = found.estimate().unwrap();
    assert!(estimate.abs_diff(seconds(30)) <= seconds(3), "{found:?}");
}

#[test]
fn a_box_that_treats_the_directions_differently_is_found_out() {
    let mut world = World::new(seconds(30), Manner::Drop, seconds(600));
    world.one_way = true;
    let (found, _, _) = world.run();
    assert_eq!(found.same_both_ways, Some(false));
}

#[test]
fn a_quick_measurement_ends_with_a_factor_of_two() {
    let mut world = World::new(seconds(30), Manner::Drop, seconds(600));
    world.ladder = Ladder::new(
        world.now,
        LadderOptions {
            max: seconds(600),
            quick: true,
        },
    );
    let (found, took, _) = world.run();
    assert_eq!(
        (found.survives, found.forgets),
        (Some(seconds(20)), Some(seconds(40)))
    );
    assert!(took < seconds(75), "{took:?}");
}

#[test]
fn what_is_left_to_do_takes_a_known_time() {
    let now = Instant::now();
    let mut ladder = Ladder::new(
        now,
        LadderOptions {
            max: seconds(60),
            quick: false,
        },
    );
    // 5, 10, 20, 40 and 60 s: the last is dialled after four pauses.
    assert_eq!(ladder.time_left(now), seconds(20 + 60 + 5));
    assert_eq!(ladder.poll(now), Some(Step::DialControl));
    assert_eq!(ladder.poll(now), None);
    ladder.handle_control(now);
    assert_eq!(ladder.poll_timeout(), Some(now + DIALS_APART));
}
