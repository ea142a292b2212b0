//! The link's behaviour in simulated time, event by event. Random faults against a session are
//! the simulation's affair.

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
        self.link
            .handle_hello(self.now, Generation(generation), &Hello::of_client());
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

#[test]
fn a_key_that_is_not_answered_leads_to_a_second_connection_that_takes_over() {
    let mut bench = Bench::live(Reach::Remote);
    bench.run(1);
    bench.link.handle_typed(bench.now, b"ls");
    assert_eq!(bench.actions(), [input(1, 0, b"ls")]);
    let ping = Action::Send(Generation(1), ClientMessage::Ping(1));
    assert_eq!(bench.run(1), [(1, ping), (2, dial(2))]);
    assert_eq!(bench.link.state(), State::Suspect);
    assert_eq!(bench.trying(), None, "it may be nothing");
    bench.run(2);
    assert_eq!(bench.trying(), Some(Trying::Dialling(2)));

    bench.link.handle_typed(bench.now, b"\r");
    bench.actions();
    let request = bench.attach(2, true, 1);
    assert_eq!(request.position, Some(Offset(100)));
    assert_eq!(request.session, Target::Id(ID));
    assert_eq!(request.history, History::All, "of the lines missed");
    assert_eq!(bench.actions(), [input(2, 1, b"s\r")]);
    assert_eq!(bench.trying(), None);

    let late = bench
        .link
        .handle_output(bench.now, Generation(1), Offset(100), 3);
    assert!(!late, "the old connection is left for good");
    assert!(
        bench
            .link
            .handle_output(bench.now, Generation(2), Offset(100), 3)
    );
}

#[test]
fn a_connection_that_answers_after_all_stays() {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"l");
    bench.run(4);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.message(1, ServerMessage::InputWritten(InputOffset(1)));
    let dials = [2, 3].map(|dial| Action::Close(Generation(dial)));
    assert_eq!(bench.actions(), dials);
    assert_eq!(bench.link.state(), State::Live);
    bench
        .link
        .handle_hello(bench.now, Generation(2), &Hello::of_client());
    assert_eq!(bench.actions(), []);
}

#[test]
fn suspicion_waits_for_four_round_trips_but_not_longer_than_until_the_banner() {
    for (round_trip, wait) in [(100, 1_000), (500, 2_000), (700, 2_800), (5_000, 3_000)] {
        let mut bench = Bench::new(Reach::Remote);
        bench.actions();
        bench.attach_within(1, false, 0, Duration::from_millis(round_trip));
        bench.actions();
        let measured = bench.link.stats(bench.now).round_trip;
        assert_eq!(measured, Some(Duration::from_millis(round_trip)));
        // So that the first dial is not too near.
        bench.run(2);
        bench.link.handle_typed(bench.now, b"l");
        let dials = |seen: &[(u64, Action)]| seen.iter().any(|(_, action)| *action == dial(2));
        let before = bench.run_for(Duration::from_millis(wait - 1));
        assert!(!dials(&before), "{round_trip}: {before:?}");
        let then = bench.run_for(Duration::from_millis(1));
        assert!(dials(&then), "{round_trip}: {then:?}");
    }
}

#[test]
fn a_key_that_is_answered_soon_ends_the_patience_with_a_slow_line() {
    let mut bench = Bench::new(Reach::Remote);
    bench.actions();
    bench.attach_within(1, false, 0, Duration::from_secs(3));
    bench.link.handle_typed(bench.now, b"l");
    bench.actions();
    bench.now += Duration::from_millis(20);
    bench.link.handle_received(bench.now, Generation(1));
    bench.message(1, ServerMessage::InputWritten(InputOffset(1)));
    let round_trip = bench.link.stats(bench.now).round_trip;
    assert_eq!(round_trip, Some(Duration::from_millis(20)));
    bench.link.handle_typed(bench.now, b"s");
    assert_eq!(bench.run(1).last(), Some(&(3 + 1, dial(2))));
}

#[test]
fn who_leaves_during_a_moment_of_silence_says_so() {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"l");
    bench.run(1);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.link.handle_detach(bench.now);
    let leave = Action::Send(Generation(1), ClientMessage::Detach);
    assert_eq!(bench.actions(), [leave]);

    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"l");
    bench.run(3);
    bench.link.handle_detach(bench.now);
    assert!(
        matches!(bench.actions().last(), Some(Action::End(_))),
        "she was told"
    );
}

#[test]
fn a_connection_that_is_silent_after_its_hello_has_another_dialled_beside_it() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.run(1);
    bench
        .link
        .handle_hello(bench.now, Generation(2), &Hello::of_client());
    bench.actions();
    let seen = bench.run(2);
    assert_eq!(seen, [(2, dial(3))]);
    bench
        .link
        .handle_hello(bench.now, Generation(3), &Hello::of_client());
    let actions = bench.actions();
    assert_eq!(
        actions[0],
        Action::Close(Generation(2)),
        "the younger goes on"
    );
    bench.message(2, ServerMessage::Done);
    assert_eq!(bench.actions(), [], "it is left for good");
    // The answer comes while a third is under way, which is not needed any more.
    assert_eq!(bench.run(2), [(4, dial(4))]);
    bench.message(3, attached(true, 0));
    assert_eq!(bench.link.state(), State::Live);
    assert_eq!(bench.actions(), [Action::Close(Generation(4))]);
}

#[test]
fn a_connection_that_breaks_after_its_hello_is_followed_at_once() {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"x");
    bench.closed(1, ClosedKind::Broken);
    bench.run(1);
    bench
        .link
        .handle_hello(bench.now, Generation(2), &Hello::of_client());
    bench.actions();
    bench.closed(2, ClosedKind::Broken);
    assert_eq!(
        bench.actions(),
        [dial(3)],
        "sshd let it in, and does not mind"
    );
}

#[test]
fn one_that_is_let_in_is_not_given_up_because_another_is_not() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.run(1);
    bench
        .link
        .handle_hello(bench.now, Generation(2), &Hello::of_client());
    bench.run(2);
    bench.closed(3, ClosedKind::NeedsUser);
    assert_eq!(bench.link.state(), State::Lost);
    bench.message(2, attached(true, 0));
    assert_eq!(bench.link.state(), State::Live);
}

#[test]
fn a_program_that_does_not_read_is_no_dead_connection() {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"l");
    bench.actions();
    for _ in 0..500 {
        for (_, action) in bench.run_for(Duration::from_millis(200)) {
            let Action::Send(_, ClientMessage::Ping(number)) = action else {
                panic!("{action:?}");
            };
            bench.message(1, ServerMessage::Pong(number));
        }
        assert_eq!(bench.trying(), None);
    }
}

#[test]
fn an_idle_link_says_one_ping_every_fifteen_seconds() {
    let mut bench = Bench::live(Reach::Remote);
    for number in 1..=4 {
        let seen = bench.run(15);
        let ping = Action::Send(Generation(1), ClientMessage::Ping(number));
        assert_eq!(seen, [(15 * number, ping)]);
        bench.message(1, ServerMessage::Pong(number));
    }
}

#[test]
fn the_idle_time_after_which_the_path_forgets_is_learned() {
    let mut bench = Bench::live(Reach::Remote);
    let seen = bench.run(24);
    assert_eq!(seen.last(), Some(&(23, dial(2))));
    bench.attach(2, true, 0);
    let stats = bench.link.stats(bench.now);
    assert_eq!(stats.heartbeat, Some(Duration::from_secs(6)));
}

#[test]
fn redials_follow_the_ladder_until_one_succeeds() {
    let mut bench = Bench::live(Reach::Remote);
    bench.run(5);
    bench.closed(1, ClosedKind::Broken);
    let mut dialled = Vec::new();
    for generation in 2..8 {
        let before = bench.now;
        while !bench.run(1).iter().any(|seen| seen.1 == dial(generation)) {
            assert!(bench.now < before + Duration::from_secs(60));
        }
        let seconds = (bench.now - before).as_secs();
        dialled.push(seconds);
        bench.closed(generation, ClosedKind::Unreachable);
    }
    assert_eq!(dialled[0], 1);
    assert!(dialled.windows(2).all(|pair| pair[0] <= pair[1]));
    assert!(dialled[5] >= 16);
}

#[test]
fn the_banner_says_why_the_last_dial_failed_until_the_link_is_up() {
    let mut bench = Bench::live(Reach::Remote);
    let failure = |bench: &Bench| bench.link.banner(bench.now)?.failure;
    bench.closed(1, ClosedKind::Broken);
    bench.run(1);
    assert_eq!(failure(&bench), None, "the first is under way");
    bench.closed(2, ClosedKind::Unreachable);
    assert_eq!(failure(&bench).as_deref(), Some("words"));
    let seen = bench.run(60);
    assert_eq!(
        failure(&bench).as_deref(),
        Some("no answer in time"),
        "of those that followed the first had its time"
    );
    let Some((_, Action::Dial { generation, .. })) = seen.last() else {
        panic!("others follow: {seen:?}");
    };
    bench.attach(generation.0, true, 0);
    bench.closed(generation.0, ClosedKind::Broken);
    bench.run(3);
    assert_eq!(failure(&bench), None, "that was another row");
}

#[test]
fn a_refused_login_waits_for_the_user() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    assert!(bench.actions().contains(&dial(2)));
    bench.closed(2, ClosedKind::NeedsUser);
    bench.run(600);
    assert_eq!(bench.trying(), Some(Trying::Stopped("words".to_owned())));
    // Whoever types a whole line has not seen that Enter is asked for.
    for key in [b"l", b"s", b"\r"] {
        bench.link.handle_typed(bench.now, key);
    }
    assert_eq!(bench.actions(), []);
    bench.run(1);
    bench.link.handle_typed(bench.now, b"\r");
    let again = Action::Dial {
        generation: Generation(3),
        interactive: true,
    };
    assert_eq!(bench.actions(), [again]);
    bench.attach(3, true, 0);
    assert_eq!(bench.actions(), [], "it may have been meant for ssh");
    assert_eq!(bench.trying(), Some(Trying::Asking));
    bench.run(1);
    bench.link.handle_typed(bench.now, b"y");
    assert_eq!(bench.actions(), [input(3, 0, b"ls\r")]);
}

/// A bench whose user typed this, and whose link is back after a long cut; and the generation.
fn asked_about(typed: &[u8]) -> (Bench, u64) {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, typed);
    bench.run(31);
    let last = loop {
        let seen = bench.run(1);
        if let Some((_, Action::Dial { generation, .. })) = seen.last() {
            break generation.0;
        }
    };
    bench.attach(last, true, 0);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.trying(), Some(Trying::Asking));
    (bench, last)
}

#[test]
fn waiting_lines_are_asked_about_after_a_long_cut() {
    for (answer, sent) in [(b"y", true), (b"n", false)] {
        let (mut bench, last) = asked_about(b"rm\r");
        bench.run(1);
        bench.link.handle_typed(bench.now, answer);
        let expected = sent.then(|| input(last, 0, b"rm\r"));
        assert_eq!(bench.actions(), expected.into_iter().collect::<Vec<_>>());
        assert_eq!(bench.trying(), None);
    }
}

#[test]
fn what_is_being_typed_when_the_question_appears_is_no_answer_and_is_kept() {
    let (mut bench, last) = asked_about(b"cd x\r");
    let apart = Duration::from_millis(200);
    for key in [b"y", b"e", b"n"] {
        bench.link.handle_typed(bench.now, key);
        bench.run_for(apart);
    }
    assert_eq!(bench.trying(), Some(Trying::Asking));
    bench.run(1);
    bench.link.handle_typed(bench.now, b"y");
    assert_eq!(bench.actions(), [input(last, 0, b"cd x\ryen")]);
}

#[test]
fn enter_is_for_the_program_before_the_user_is_told_what_else_it_does() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    assert!(bench.actions().contains(&dial(2)));
    bench.closed(2, ClosedKind::NeedsUser);
    assert_eq!(bench.trying(), None);
    bench.link.handle_typed(bench.now, b"\r");
    assert_eq!(bench.actions(), []);
    bench.run(1);
    let banner = bench.link.banner(bench.now);
    assert_eq!(banner.map(|banner| banner.waiting_bytes), Some(1));
}

#[test]
fn a_connection_that_answers_after_all_takes_keys_again_that_did_not_fit() {
    let mut bench = Bench::live(Reach::Remote);
    let most = Timing::default().input_bytes;
    bench.link.handle_typed(bench.now, &vec![b'x'; most + 1]);
    bench.run(4);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.link.handle_received(bench.now, Generation(1));
    let all = InputOffset(Timing::default().input_in_flight_bytes as u64);
    bench.message(1, ServerMessage::InputWritten(all));
    let room = bench.link.input_room();
    bench.link.handle_typed(bench.now, b"y");
    assert_eq!(bench.link.input_room(), room - 1);
}

#[test]
fn after_waking_up_a_silent_connection_is_suspect_within_a_second() {
    let mut bench = Bench::live(Reach::Remote);
    bench.run(5);
    bench.link.handle_network_changed(bench.now);
    assert_eq!(bench.run(1).last(), Some(&(5, dial(2))));
}

#[test]
fn without_its_address_a_connection_is_not_waited_for() {
    let mut bench = Bench::live(Reach::Remote);
    bench.run(5);
    bench.link.handle_address_gone(bench.now);
    assert_eq!(bench.actions(), [dial(2)]);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.link.handle_address_gone(bench.now);
    assert_eq!(bench.actions(), []);
    // That was on its way before.
    bench.link.handle_received(bench.now, Generation(1));
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.attach(2, true, 0);
    assert_eq!(bench.link.state(), State::Live);
}

#[test]
fn without_its_address_dials_of_the_old_network_are_not_waited_for_either() {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"x");
    bench.run(1);
    assert_eq!(bench.link.state(), State::Suspect);
    let before = bench.link.request.generation.0;
    bench.link.handle_received(bench.now, Generation(1));
    bench.actions();
    bench.run_for(Duration::from_millis(600));
    bench.link.handle_address_gone(bench.now);
    assert_eq!(bench.actions().last(), Some(&dial(before + 1)));
}

#[test]
fn typing_on_without_an_answer_asks_once() {
    let mut bench = Bench::live(Reach::Remote);
    let mut pings = 0;
    for _ in 0..20 {
        bench.link.handle_typed(bench.now, b"x");
        let seen = bench.run_for(Duration::from_millis(50));
        let is_ping = |action: &Action| matches!(action, Action::Send(_, ClientMessage::Ping(_)));
        pings += seen.iter().filter(|(_, action)| is_ping(action)).count();
    }
    assert_eq!(pings, 1);
}

#[test]
fn a_local_link_has_no_timers_and_redials_a_server_that_restarts() {
    let mut bench = Bench::live(Reach::Local);
    bench.link.handle_typed(bench.now, b"x");
    bench.actions();
    assert_eq!(bench.link.poll_timeout(bench.now), None);
    bench.closed(1, ClosedKind::Broken);
    assert!(bench.actions().contains(&dial(2)));
    bench.attach(2, true, 0);
    assert_eq!(bench.actions(), [input(2, 0, b"x")]);

    bench.closed(2, ClosedKind::Broken);
    let mut generation = 3;
    let end = loop {
        let seen = bench.run(1);
        if let Some((second, Action::End(end))) = seen.last() {
            break (*second, end.clone());
        }
        bench.closed(generation, ClosedKind::Unreachable);
        generation += 1;
    };
    assert!(matches!(end, (10, End::Gone(_))), "{end:?}");
}

#[test]
fn the_first_dial_fails_once_and_for_all() {
    let mut bench = Bench::new(Reach::Remote);
    bench.closed(1, ClosedKind::Unreachable);
    assert!(matches!(
        bench.actions().last(),
        Some(Action::End(End::Unreached(_)))
    ));
    assert_eq!(bench.link.poll_timeout(bench.now), None);
}

#[test]
fn a_dial_that_never_answers_is_given_up_by_the_watchdog() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    let seen = bench.run(30);
    assert!(seen.contains(&(20, Action::Close(Generation(2)))));
    assert!(
        seen.contains(&(1, dial(3))),
        "the next does not wait for it"
    );
}

/// A path that is down for a while: dials hang, and the user types.
#[test]
fn while_the_user_types_a_new_dial_begins_every_second_or_so_and_one_is_patient() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Unreachable);
    let mut begun = vec![];
    let mut running = vec![];
    for _ in 0..18 {
        bench.link.handle_typed(bench.now, b"x");
        for (_, action) in bench.run(1) {
            match action {
                Action::Dial { generation, .. } => {
                    begun.push(bench.now);
                    running.push(generation);
                }
                Action::Close(generation) => running.retain(|dial| *dial != generation),
                _ => {}
            }
            assert!(running.len() <= 3, "{running:?}");
        }
    }
    assert!(begun.len() >= 11, "{begun:?}");
    assert_eq!(running.first(), Some(&Generation(2)), "{running:?}");
    let youngest = running.last().expect("they follow each other").0;
    bench.attach(youngest, true, 0);
    let last = bench.actions();
    assert!(
        matches!(last.last(), Some(Action::SendInput(..))),
        "{last:?}"
    );
    assert_eq!(bench.link.state(), State::Live);
}

#[test]
fn the_first_dial_that_is_greeted_closes_the_others() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.run(2);
    bench
        .link
        .handle_hello(bench.now, Generation(2), &Hello::of_client());
    let actions = bench.actions();
    assert_eq!(actions[0], Action::Close(Generation(3)));
    assert!(matches!(actions[1], Action::Send(Generation(2), _)));
    bench
        .link
        .handle_hello(bench.now, Generation(3), &Hello::of_client());
    assert_eq!(bench.actions(), []);
}

#[test]
fn a_dial_that_failed_at_once_is_followed_as_soon_as_a_key_is_typed() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    for generation in 2..8 {
        while !bench.run(1).iter().any(|seen| seen.1 == dial(generation)) {}
        bench.closed(generation, ClosedKind::Unreachable);
    }
    bench.run(1);
    bench.link.handle_typed(bench.now, b"x");
    assert_eq!(bench.actions(), [dial(8)]);
    bench.closed(8, ClosedKind::Broken);
    let begun = (bench.now - bench.start).as_secs();
    let next = bench.run(10).into_iter().next();
    assert_eq!(next, Some((begun + 5, dial(9))), "sshd saw it");
}

#[test]
fn another_network_is_dialled_on_beside_the_dials_of_the_old_one() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.run(30);
    let before = bench.link.request.generation.0;
    bench.run(4);
    assert_eq!(bench.link.request.generation.0, before, "a long wait");
    bench.link.handle_network_changed(bench.now);
    assert_eq!(bench.actions(), [dial(before + 1)]);
    bench.link.handle_network_changed(bench.now);
    assert_eq!(bench.actions(), [], "they come in bursts");
}

#[test]
fn leaving_waits_for_the_server_but_not_for_ever() {
    let mut bench = Bench::live(Reach::Remote);
    bench.link.handle_typed(bench.now, b"x");
    bench.link.handle_detach(bench.now);
    let leave = Action::Send(Generation(1), ClientMessage::Detach);
    assert_eq!(bench.actions(), [input(1, 0, b"x"), leave]);
    let ping = Action::Send(Generation(1), ClientMessage::Ping(1));
    let seen = bench.run(2);
    let end = End::Detached {
        reason: DetachReason::Requested,
        undelivered_bytes: 1,
    };
    assert_eq!(seen, [(0, ping), (1, Action::End(end))]);
}

#[test]
fn a_server_is_told_what_waits_for_the_terminal_where_it_knows_what_that_means() {
    let mut bench = Bench::live(Reach::Remote);
    let output = |bench: &mut Bench, generation, offset, length| {
        let generation = Generation(generation);
        let offset = Offset(offset);
        bench
            .link
            .handle_output(bench.now, generation, offset, length)
    };
    assert!(output(&mut bench, 1, 100, 30_000));
    bench.link.handle_written(10_000);
    // The connection is cut and a dial succeeds: which, and what its server is told.
    let redial = |bench: &mut Bench, cut: u64, server: &Hello| {
        bench.closed(cut, ClosedKind::Broken);
        let mut seconds = (0..30).flat_map(|_| bench.run(1));
        let generation = seconds.find_map(|(_, action)| match action {
            Action::Dial { generation, .. } => Some(generation),
            _ => None,
        });
        let generation = generation.expect("a cut is followed by a dial");
        bench.link.handle_hello(bench.now, generation, server);
        let told = bench.actions().into_iter().find_map(|action| match action {
            Action::Send(_, ClientMessage::Unwritten(bytes)) => Some(bytes),
            _ => None,
        });
        (generation.0, told)
    };
    let written = |bench: &mut Bench, bytes| {
        bench.link.handle_written(bytes);
        bench.actions()
    };
    let told =
        |generation, total| Action::Send(Generation(generation), ClientMessage::Written(total));
    let new = Hello::of_client();
    let old = Hello {
        capabilities: 0,
        ..Hello::of_client()
    };

    let (second, unwritten) = redial(&mut bench, 1, &new);
    assert_eq!(unwritten, Some(20_000));
    // What is written before the answer comes counts as well.
    assert_eq!(written(&mut bench, 5_000), []);
    bench.message(second, attached(true, 0));
    assert_eq!(written(&mut bench, 12_000), [told(second, 17_000)]);
    assert!(output(&mut bench, second, 30_100, 1_000));

    let (third, unwritten) = redial(&mut bench, second, &old);
    assert_eq!(unwritten, None);
    bench.message(third, attached(true, 0));
    assert!(output(&mut bench, third, 31_100, 20_000));
    // The first 4,000 came before.
    assert_eq!(written(&mut bench, 24_000), [told(third, 20_000)]);

    let (_, unwritten) = redial(&mut bench, third, &new);
    assert_eq!(unwritten, None, "nothing waits");
}

#[test]
fn a_session_that_is_gone_ends_the_link() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench
        .link
        .handle_hello(bench.now, Generation(2), &Hello::of_client());
    let failure = Failure {
        kind: FailureKind::NoSuchSession,
        message: "gone".to_owned(),
    };
    bench.message(2, ServerMessage::Failed(failure.clone()));
    assert_eq!(
        bench.actions().last(),
        Some(&Action::End(End::Failed(failure)))
    );
}

#[test]
fn output_that_does_not_fit_on_is_never_shown() {
    let mut bench = Bench::live(Reach::Remote);
    assert!(
        !bench
            .link
            .handle_output(bench.now, Generation(1), Offset(101), 3)
    );
    assert!(bench.actions().contains(&dial(2)));
}

#[test]
fn keys_pass_the_link_by_only_while_they_overtake_nothing() {
    let mut bench = Bench::live(Reach::Local);
    let (first, second) = (Generation(1), Generation(2));
    assert!(bench.link.is_passable(first));
    assert!(!bench.link.is_passable(second), "no such connection");

    // What was pasted is on its way through the server.
    bench.link.handle_typed(bench.now, b"pasted");
    assert!(!bench.link.is_passable(first));
    bench.actions();
    bench.message(1, ServerMessage::InputWritten(InputOffset(5)));
    assert!(!bench.link.is_passable(first), "a byte is on its way");
    bench.message(1, ServerMessage::InputWritten(InputOffset(6)));
    assert!(bench.link.is_passable(first));

    // A program is told of another size before it gets the next key.
    bench.link.handle_resized(bench.now, Size::new(5, 6));
    assert!(!bench.link.is_passable(first));
    bench.link.handle_typed(bench.now, b"k");
    bench.actions();
    assert!(!bench.link.is_passable(first));
    bench.message(1, ServerMessage::InputWritten(InputOffset(7)));
    assert!(bench.link.is_passable(first));

    bench.closed(1, ClosedKind::Broken);
    assert!(!bench.link.is_passable(first), "there is no server");
}

#[test]
fn the_server_is_told_at_once_of_keys_that_stop_and_later_of_others() {
    let told = |stops| Action::Send(Generation(1), ClientMessage::Typed { stops });
    let mut bench = Bench::live(Reach::Local);
    bench.actions();
    bench.link.handle_typed_past(bench.now, b"k");
    bench.link.handle_typed_past(bench.now, b"l");
    assert_eq!(bench.actions(), []);
    let due = bench.now + Timing::default().typed_apart;
    assert_eq!(bench.link.poll_timeout(bench.now), Some(due));
    assert_eq!(bench.run(1), [(0, told(false))]);
    bench.link.handle_typed_past(bench.now, b"k");
    bench.link.handle_typed_past(bench.now, b"\x03");
    assert_eq!(bench.actions(), [told(true)]);
    assert_eq!(bench.run(1), [], "once");
}
