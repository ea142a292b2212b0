//! What is typed without contact, and which of its keys answer psess.

use super::*;

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
        bench.typed(key);
    }
    assert_eq!(bench.actions(), []);
    bench.run(1);
    bench.typed(b"\r");
    let again = Action::Dial {
        generation: Generation(3),
        interactive: true,
    };
    assert_eq!(bench.actions(), [again]);
    bench.attach(3, true, 0);
    assert_eq!(bench.actions(), [], "it may have been meant for ssh");
    assert_eq!(bench.trying(), Some(Trying::Asking));
    bench.run(1);
    bench.typed(b"y");
    assert_eq!(bench.actions(), [input(3, 0, b"ls\r")]);
}

/// A bench whose user typed this, and whose link is back after a long cut; and the generation.
fn asked_about(typed: &[u8]) -> (Bench, u64) {
    let mut bench = Bench::live(Reach::Remote);
    bench.typed(typed);
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
        bench.typed(answer);
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
        bench.typed(key);
        bench.run_for(apart);
    }
    assert_eq!(bench.trying(), Some(Trying::Asking));
    bench.run(1);
    bench.typed(b"y");
    assert_eq!(bench.actions(), [input(last, 0, b"cd x\ryen")]);
}

#[test]
fn enter_is_for_the_program_before_the_user_is_told_what_else_it_does() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    assert!(bench.actions().contains(&dial(2)));
    bench.closed(2, ClosedKind::NeedsUser);
    assert_eq!(bench.trying(), None);
    bench.typed(b"\r");
    assert_eq!(bench.actions(), []);
    bench.run(1);
    let banner = bench.link.banner(bench.now);
    assert_eq!(banner.map(|banner| banner.waiting_bytes), Some(1));
}

#[test]
fn a_connection_that_answers_after_all_takes_keys_again_that_did_not_fit() {
    let mut bench = Bench::live(Reach::Remote);
    let most = Timing::default().input_bytes;
    bench.typed(&vec![b'x'; most + 1]);
    bench.run(4);
    assert_eq!(bench.link.state(), State::Suspect);
    bench.link.handle_received(bench.now, Generation(1));
    let all = InputOffset(Timing::default().input_in_flight_bytes as u64);
    bench.message(1, ServerMessage::InputWritten(all));
    let room = bench.link.input_room();
    bench.typed(b"y");
    assert_eq!(bench.link.input_room(), room - 1);
}
