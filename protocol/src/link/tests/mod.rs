//! The link's behaviour in simulated time, event by event. Random faults against a session are
//! the simulation's affair.

mod ending;
mod output;
mod passed_keys;
mod redial;
mod suspicion;
mod typed_ahead;

use super::*;
use crate::hello::Hello;
use crate::message::{Attached, Failure, FailureKind, Replay, ReplayPurpose, ServerMessage};
use crate::offset::{InputOffset, Offset};
use std::time::Duration;

const ID: SessionId = SessionId([7; 16]);

/// A link with a clock that only the test moves.
struct Bench {
    link: Link,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(reach: Reach) -> Self {
        let now = Instant::now();
        let link = Link::new(
            now,
            LinkOptions {
                timing: Timing::default(),
                reach,
                session: Target::Latest,
                client: ClientId([1; 16]),
                size: Size::default(),
                history: History::All,
                read_only: false,
                detach_others: false,
                seed: 5,
            },
        );
        Self {
            link,
            start: now,
            now,
        }
    }

    /// One that is attached and has shown 100 bytes of output.
    fn live(reach: Reach) -> Self {
        let mut bench = Self::new(reach);
        bench.actions();
        bench.attach(1, false, 0);
        let replay = Replay {
            length: 0,
            position: Some(Offset(100)),
            purpose: ReplayPurpose::Attach,
        };
        bench.message(1, ServerMessage::Replay(replay));
        bench
    }

    /// Lets time pass, and returns what was to be done meanwhile, with the second it was due.
    fn run(&mut self, seconds: u64) -> Vec<(u64, Action)> {
        self.run_for(Duration::from_secs(seconds))
    }

    fn run_for(&mut self, time: Duration) -> Vec<(u64, Action)> {
        let end = self.now + time;
        let mut seen = Vec::new();
        loop {
            let second = (self.now - self.start).as_secs();
            seen.extend(self.actions().into_iter().map(|action| (second, action)));
            match self.link.poll_timeout(self.now).filter(|at| *at <= end) {
                Some(at) => self.now = at.max(self.now),
                None => break,
            }
            self.link.handle_timeout(self.now);
        }
        self.now = end;
        seen
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.link.poll(self.now)).collect()
    }

    fn message(&mut self, generation: u64, message: ServerMessage) -> Option<Event> {
        let generation = Generation(generation);
        self.link.handle_received(self.now, generation);
        self.link.handle_message(self.now, generation, message)
    }

    /// The server greets the dial of this generation.
    fn hello(&mut self, generation: u64) {
        self.link
            .handle_hello(self.now, Generation(generation), &Hello::of_client());
    }

    /// The dial of this generation succeeds; returns the request to attach.
    fn attach(&mut self, generation: u64, resumed: bool, input: u64) -> Attach {
        self.attach_within(generation, resumed, input, Duration::ZERO)
    }

    /// The same, where the answer takes so long.
    fn attach_within(
        &mut self,
        generation: u64,
        resumed: bool,
        input: u64,
        takes: Duration,
    ) -> Attach {
        self.hello(generation);
        let request = self
            .actions()
            .into_iter()
            .find_map(|action| match action {
                Action::Send(_, ClientMessage::Attach(attach)) => Some(attach),
                _ => None,
            })
            .expect("a hello is followed by a request to attach");
        self.now += takes;
        self.message(generation, attached(resumed, input));
        request
    }

    fn typed(&mut self, keys: &[u8]) {
        self.link.handle_typed(self.now, keys);
    }

    /// Output came; whether it is to be shown.
    fn output(&mut self, generation: u64, offset: u64, length: usize) -> bool {
        let generation = Generation(generation);
        self.link
            .handle_output(self.now, generation, Offset(offset), length)
    }

    fn closed(&mut self, generation: u64, kind: ClosedKind) {
        let closed = Closed {
            kind,
            words: "words".to_owned(),
        };
        self.link
            .handle_closed(self.now, Generation(generation), closed);
    }

    fn trying(&self) -> Option<Trying> {
        Some(self.link.banner(self.now)?.trying)
    }
}

fn attached(resumed: bool, input: u64) -> ServerMessage {
    ServerMessage::Attached(Attached {
        id: ID,
        name: "build".parse().unwrap(),
        resumed,
        input: InputOffset(input),
        size: Size::default(),
    })
}

fn dial(generation: u64) -> Action {
    Action::Dial {
        generation: Generation(generation),
        interactive: false,
    }
}

fn input(generation: u64, offset: u64, bytes: &[u8]) -> Action {
    Action::SendInput(Generation(generation), InputOffset(offset), bytes.to_vec())
}
