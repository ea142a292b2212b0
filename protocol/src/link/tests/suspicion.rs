//! When the connection is suspected, and what the link does beside it.

use super::*;

#[test]
fn a_key_that_is_not_answered_leads_to_a_second_connection_that_takes_over() {
    let mut bench = Bench::live(Reach::Remote);
    bench.run(1);
    bench.typed(b"ls");
    assert_eq!(bench.actions(), [input(1, 0, b"ls")]);
    let ping = Action::Send(Generation(1), ClientMessage::Ping(1));
    assert_eq!(bench.run(1), [(1, ping), (2, dial(2))]);
    assert_eq!(bench.link.state(), State::Suspect);
    assert_eq!(bench.trying(), None, "it may be nothing");
    bench.run(2);
    assert_eq!(bench.trying(), Some(Trying::Dialling(2)));

    bench.typed(b"\r");
    bench.actions();
    let request = bench.attach(2, true, 1);
    assert_eq!(request.position, Some(Offset(100)));
    assert_eq!(request.session, Target::Id(ID));
    assert_eq!(request.history, History::All, "of the lines missed");
    assert_eq!(bench.actions(), [input(2, 1, b"s\r")]);
    assert_eq!(bench.trying(), None);

    let late = bench.output(1, 100, 3);
    assert!(!late, "the old connection is left for good");
    assert!(bench.output(2, 100, 3));
}

#[test]
fn a_connection_that_answers_after_all_stays() {
    let mut bench = Bench::live(Reach::Remote);
    bench.typed(b"l");
    bench.run(4);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.message(1, ServerMessage::InputWritten(InputOffset(1)));
    let dials = [2, 3].map(|dial| Action::Close(Generation(dial)));
    assert_eq!(bench.actions(), dials);
    assert_eq!(bench.link.state(), State::Live);
    bench.hello(2);
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
        bench.typed(b"l");
        let dials = |seen: &[(u64, Action)]| seen.iter().any(|(_, action)| *action == dial(2));
        let before = bench.run_for(Duration::from_millis(wait - 1));
        assert!(!dials(&before), "{round_trip}: {before:?}");
        let then = bench.run_for(Duration::from_millis(1));
        assert!(dials(&then), "{round_trip}: {then:?}");
    }
}

#[test]
fn an_answer_that_an_outage_held_up_makes_nobody_wait_for_the_next_cut() {
    let mut bench = Bench::live(Reach::Remote);
    let seen = bench.run(22);
    let ping = Action::Send(Generation(1), ClientMessage::Ping(1));
    assert_eq!(seen, [(15, ping)]);
    // Not suspect yet.
    bench.link.handle_received(bench.now, Generation(1));
    bench.message(1, ServerMessage::Pong(1));
    bench.run(2);
    bench.typed(b"l");
    bench.actions();
    assert_eq!(bench.run(1).last(), Some(&(25, dial(2))));
}

#[test]
fn a_key_that_is_answered_soon_ends_the_patience_with_a_slow_line() {
    let mut bench = Bench::new(Reach::Remote);
    bench.actions();
    bench.attach_within(1, false, 0, Duration::from_secs(3));
    bench.typed(b"l");
    bench.actions();
    bench.now += Duration::from_millis(20);
    bench.link.handle_received(bench.now, Generation(1));
    bench.message(1, ServerMessage::InputWritten(InputOffset(1)));
    let round_trip = bench.link.stats(bench.now).round_trip;
    assert_eq!(round_trip, Some(Duration::from_millis(20)));
    bench.typed(b"s");
    assert_eq!(bench.run(1).last(), Some(&(3 + 1, dial(2))));
}

#[test]
fn a_program_that_does_not_read_is_no_dead_connection() {
    let mut bench = Bench::live(Reach::Remote);
    bench.typed(b"l");
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
fn typing_on_without_an_answer_asks_once() {
    let mut bench = Bench::live(Reach::Remote);
    let mut pings = 0;
    for _ in 0..20 {
        bench.typed(b"x");
        let seen = bench.run_for(Duration::from_millis(50));
        let is_ping = |action: &Action| matches!(action, Action::Send(_, ClientMessage::Ping(_)));
        pings += seen.iter().filter(|(_, action)| is_ping(action)).count();
    }
    assert_eq!(pings, 1);
}
