//! How a link ends.

use super::*;

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
fn who_leaves_during_a_moment_of_silence_says_so() {
    let mut bench = Bench::live(Reach::Remote);
    bench.typed(b"l");
    bench.run(1);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.link.handle_detach(bench.now);
    let leave = Action::Send(Generation(1), ClientMessage::Detach);
    assert_eq!(bench.actions(), [leave]);

    let mut bench = Bench::live(Reach::Remote);
    bench.typed(b"l");
    bench.run(3);
    bench.link.handle_detach(bench.now);
    assert!(
        matches!(bench.actions().last(), Some(Action::End(_))),
        "she was told"
    );
}

#[test]
fn leaving_waits_for_the_server_but_not_for_ever() {
    let mut bench = Bench::live(Reach::Remote);
    bench.typed(b"x");
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
fn a_local_server_that_was_stopped_is_not_waited_for() {
    let mut bench = Bench::live(Reach::Local);
    bench.closed(1, ClosedKind::Broken);
    let lost = bench.now;
    let mut generation = 1;
    let end = loop {
        let dials = |(_, action): &(u64, Action)| matches!(action, Action::Dial { .. });
        let seen = bench.run_for(Duration::from_millis(10));
        if let Some((_, Action::End(end))) = seen.last() {
            break end.clone();
        }
        if seen.iter().any(dials) {
            generation += 1;
            bench.closed(generation, ClosedKind::Gone);
        }
    };
    assert!(generation > 4, "a keeper may come to its place again");
    let patience = Timing::default().banner_closed;
    let took = bench.now - lost;
    assert!(took >= patience && took < patience * 2, "{took:?}");
    assert!(matches!(end, End::Gone(closed) if closed.words == "words"));
    assert_eq!(bench.link.poll_timeout(bench.now), None);
}

#[test]
fn a_session_that_is_gone_ends_the_link() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.hello(2);
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
