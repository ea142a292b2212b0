//! Tells when the machine slept, from what its clocks say. Pure: it takes the readings.
//!
//! The wall clock has no part in it: whoever sets that, by an hour or for the summer, puts nothing
//! to sleep.

use std::time::Duration;

/// A machine that slept for less is as it was.
const SLEPT: Duration = Duration::from_secs(1);

/// What two clocks of the machine say at one moment, since it was started or about then. Where
/// they are not known they stand still, and nobody is ever told of sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// The one that counts always (CLOCK_BOOTTIME in clock_gettime(2)). To be read first.
    pub boottime: Duration,
    /// The one that stands still while the machine sleeps (CLOCK_MONOTONIC).
    pub monotonic: Duration,
}

/// Compares the clocks with what they said before.
#[derive(Clone, Copy, Debug, Default)]
pub struct SleepWatch {
    /// When the one clock was least ahead of the other since the last sleep.
    before: Clocks,
}

impl SleepWatch {
    /// Begins with these.
    #[must_use]
    pub fn new(clocks: Clocks) -> Self {
        Self { before: clocks }
    }

    /// The clocks were read again. How long the machine slept since the readings before; `None`
    /// when it did not, or for less than a second.
    pub fn handle_clocks(&mut self, clocks: Clocks) -> Option<Duration> {
        let passed = clocks.boottime.saturating_sub(self.before.boottime);
        let counted = clocks.monotonic.saturating_sub(self.before.monotonic);
        let slept = passed.checked_sub(counted)?;
        // A process that was stopped between the two readings sees the second clock too late, and
        // so too little sleep. The next readings would then show as much sleep too many, and are
        // compared with older ones instead.
        self.before = clocks;
        (slept >= SLEPT).then_some(slept)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use psess_protocol::hello::Hello;
    use psess_protocol::identity::{ClientId, Generation, SessionId};
    use psess_protocol::link::{Action, Link, LinkOptions, Reach, State};
    use psess_protocol::message::{
        Attached, ClientMessage, History, Replay, ReplayPurpose, ServerMessage, Target,
    };
    use psess_protocol::offset::{InputOffset, Offset};
    use psess_protocol::size::Size;
    use psess_protocol::timing::Timing;

    use super::*;
    use crate::doctor::cause::Cause;
    use crate::doctor::route::Route;
    use crate::doctor::verdict::classify;
    use crate::doctor::witness::Witness;

    const HOUR: Duration = Duration::from_secs(3_600);
    const SECOND: Duration = Duration::from_secs(1);
    const FIRST: Generation = Generation(1);

    /// A machine with its clocks, and an attached client on it.
    struct Laptop {
        /// The day on its wall.
        wall: Duration,
        clocks: Clocks,
        /// Its CLOCK_MONOTONIC, as the link knows it.
        now: Instant,
        watch: SleepWatch,
        link: Link,
        witness: Witness,
    }

    impl Laptop {
        fn attached() -> Self {
            let clocks = Clocks {
                boottime: HOUR * 70,
                monotonic: HOUR * 24,
            };
            let now = Instant::now();
            let options = LinkOptions {
                timing: Timing::default(),
                reach: Reach::Remote,
                session: Target::Latest,
                client: ClientId([1; 16]),
                size: Size::default(),
                history: History::All,
                read_only: false,
                detach_others: false,
                seed: 5,
            };
            let mut laptop = Self {
                wall: HOUR * 500_000,
                clocks,
                now,
                watch: SleepWatch::new(clocks),
                link: Link::new(now, options),
                witness: Witness::new(Route::default(), clocks),
            };
            laptop.attach(FIRST);
            laptop
        }

        fn attach(&mut self, generation: Generation) {
            let attached = Attached {
                id: SessionId([7; 16]),
                name: "work".parse().unwrap(),
                resumed: false,
                input: InputOffset(0),
                size: Size::default(),
            };
            let replay = Replay {
                length: 0,
                position: Some(Offset(100)),
                purpose: ReplayPurpose::Attach,
            };
            self.link
                .handle_hello(self.now, generation, &Hello::of_client());
            for message in [
                ServerMessage::Attached(attached),
                ServerMessage::Replay(replay),
            ] {
                self.link.handle_message(self.now, generation, message);
            }
            self.actions();
            assert_eq!(self.link.state(), State::Live);
        }

        fn actions(&mut self) -> Vec<Action> {
            std::iter::from_fn(|| self.link.poll(self.now)).collect()
        }

        /// Time passes while it is awake.
        fn run(&mut self, time: Duration) {
            self.wall += time;
            self.clocks.boottime += time;
            self.clocks.monotonic += time;
            self.now += time;
        }

        fn sleep(&mut self, time: Duration) {
            self.wall += time;
            self.clocks.boottime += time;
        }

        /// The wall clock was set, as far as the kernel says, which it does on waking up as well.
        /// As `NetworkWatch` and the main loop do it.
        fn clock_was_set(&mut self) -> Vec<Action> {
            if self.watch.handle_clocks(self.clocks).is_some() {
                self.link.handle_network_changed(self.now);
            }
            self.witness.handle_woken(self.now, None, self.clocks);
            self.actions()
        }
    }

    fn is_ping(action: &Action) -> bool {
        matches!(action, Action::Send(FIRST, ClientMessage::Ping(_)))
    }

    #[test]
    fn a_wall_clock_that_jumps_by_an_hour_means_nothing() {
        for later in [true, false] {
            let mut laptop = Laptop::attached();
            laptop.run(SECOND * 5);
            let due = laptop.link.poll_timeout(laptop.now);
            laptop.wall = if later {
                laptop.wall + HOUR
            } else {
                laptop.wall - HOUR
            };
            assert_eq!(laptop.clock_was_set(), []);
            assert_eq!(laptop.link.state(), State::Live);
            assert_eq!(laptop.link.poll_timeout(laptop.now), due);
            // Nor does `why` take it for a sleep when the connection is cut soon after.
            laptop
                .witness
                .handle_attached(laptop.now, FIRST, Route::default());
            laptop.run(SECOND);
            let (now, route) = (laptop.now, Route::default());
            laptop.witness.handle_closed(now, FIRST, None, false);
            let cut = laptop.witness.handle_attached(now, Generation(2), route);
            assert_eq!(cut.as_ref().map(|cut| cut.slept), Some(Duration::ZERO));
            assert_ne!(cut.map(|cut| classify(&cut).cause), Some(Cause::Slept));
        }
    }

    #[test]
    fn a_machine_that_wakes_up_asks_at_once_whether_its_connection_lives() {
        let mut laptop = Laptop::attached();
        laptop.run(SECOND * 5);
        laptop.sleep(HOUR);
        let asked = laptop.clock_was_set();
        assert!(matches!(&asked[..], [ping] if is_ping(ping)), "{asked:?}");
        assert_eq!(laptop.clock_was_set(), [], "once for each sleep");
        // Without an answer the next dial is close.
        laptop.run(Timing::default().suspect_after_wake);
        laptop.link.handle_timeout(laptop.now);
        let dials = |action: &Action| matches!(action, Action::Dial { .. });
        assert!(laptop.actions().iter().any(dials));
    }

    #[test]
    fn why_knows_that_the_machine_slept_and_for_how_long() {
        let mut laptop = Laptop::attached();
        laptop
            .witness
            .handle_attached(laptop.now, FIRST, Route::default());
        laptop.run(SECOND * 5);
        laptop.sleep(HOUR);
        laptop.clock_was_set();
        laptop.witness.handle_sent(laptop.now, FIRST, true);
        laptop.run(SECOND);
        let (now, route) = (laptop.now, Route::default());
        laptop.witness.handle_given_up(now, FIRST, false);
        let cut = laptop.witness.handle_attached(now, Generation(2), route);
        let cut = cut.expect("a cut is over");
        assert_eq!(cut.slept, HOUR);
        assert_eq!(classify(&cut).cause, Cause::Slept);
    }

    #[test]
    fn a_process_that_is_stopped_between_the_readings_did_not_sleep() {
        let mut laptop = Laptop::attached();
        laptop.run(SECOND);
        let torn = Clocks {
            monotonic: laptop.clocks.monotonic + SECOND * 30,
            ..laptop.clocks
        };
        assert_eq!(laptop.watch.handle_clocks(torn), None);
        laptop.run(SECOND * 30);
        assert_eq!(laptop.watch.handle_clocks(laptop.clocks), None);
        laptop.sleep(SECOND * 2);
        let slept = laptop.watch.handle_clocks(laptop.clocks);
        assert_eq!(slept, Some(SECOND * 2));
    }

    /// Each clock may begin anywhere, in a container with clocks of its own (time_namespaces(7)).
    #[test]
    fn sleep_is_noticed_where_the_one_clock_is_behind_the_other() {
        let mut clocks = Clocks {
            boottime: HOUR,
            monotonic: HOUR * 5,
        };
        let mut watch = SleepWatch::new(clocks);
        clocks.boottime += HOUR;
        assert_eq!(watch.handle_clocks(clocks), Some(HOUR));
    }
}
