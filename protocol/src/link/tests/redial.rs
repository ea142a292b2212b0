//! When the link dials again, and which dials go on.

use super::*;

#[test]
fn a_connection_that_is_silent_after_its_hello_has_another_dialled_beside_it() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.run(1);
    bench.hello(2);
    bench.actions();
    let seen = bench.run(2);
    assert_eq!(seen, [(2, dial(3))]);
    bench.hello(3);
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
    bench.typed(b"x");
    bench.closed(1, ClosedKind::Broken);
    bench.run(1);
    bench.hello(2);
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
    bench.hello(2);
    bench.run(2);
    bench.closed(3, ClosedKind::NeedsUser);
    assert_eq!(bench.link.state(), State::Lost);
    bench.message(2, attached(true, 0));
    assert_eq!(bench.link.state(), State::Live);
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
fn without_its_address_dials_of_the_old_network_are_not_waited_for_either() {
    let mut bench = Bench::live(Reach::Remote);
    bench.typed(b"x");
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
fn a_local_link_has_no_timers_and_redials_a_server_that_restarts() {
    let mut bench = Bench::live(Reach::Local);
    bench.actions();
    assert_eq!(bench.link.poll_timeout(bench.now), None);
    bench.typed(b"x");
    bench.actions();
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
        bench.typed(b"x");
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
    bench.hello(2);
    let actions = bench.actions();
    assert_eq!(actions[0], Action::Close(Generation(3)));
    assert!(matches!(actions[1], Action::Send(Generation(2), _)));
    bench.hello(3);
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
    bench.typed(b"x");
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
fn the_user_is_told_of_all_dials_since_the_address_was_gone() {
    let mut bench = Bench::live(Reach::Remote);
    bench.run(5);
    bench.link.handle_address_gone(bench.now);
    bench.typed(b"x");
    let seen = bench.run(4);
    let is_dial = |(_, action): &&(u64, Action)| matches!(action, Action::Dial { .. });
    let dials = seen.iter().filter(is_dial).count() as u32;
    assert!(dials > 1);
    assert_eq!(bench.trying(), Some(Trying::Dialling(dials)));
}
