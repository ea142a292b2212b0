//! What of the output is taken, and what the server is told of it.

use super::*;

#[test]
fn a_server_is_told_what_waits_for_the_terminal_where_it_knows_what_that_means() {
    let mut bench = Bench::live(Reach::Remote);
    assert!(bench.output(1, 100, 30_000));
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
    assert!(bench.output(second, 30_100, 1_000));

    let (third, unwritten) = redial(&mut bench, second, &old);
    assert_eq!(unwritten, None);
    bench.message(third, attached(true, 0));
    assert!(bench.output(third, 31_100, 20_000));
    // The first 4,000 came before.
    assert_eq!(written(&mut bench, 24_000), [told(third, 20_000)]);

    let (_, unwritten) = redial(&mut bench, third, &new);
    assert_eq!(unwritten, None, "nothing waits");
}

#[test]
fn output_that_does_not_fit_on_is_never_shown() {
    let mut bench = Bench::live(Reach::Remote);
    assert!(!bench.output(1, 101, 3));
    assert!(bench.actions().contains(&dial(2)));
}

/// Cuts the first connection, and returns the request to attach on the next.
fn cut(bench: &mut Bench, server: &Hello) -> Attach {
    bench.closed(1, ClosedKind::Broken);
    bench.run(0);
    bench.link.handle_hello(bench.now, Generation(2), server);
    let request = bench.actions().into_iter().find_map(|action| match action {
        Action::Send(_, ClientMessage::Attach(attach)) => Some(attach),
        _ => None,
    });
    request.expect("a hello is followed by a request to attach")
}

fn replay(bench: &mut Bench, length: u64, position: Option<u64>) {
    let replay = Replay {
        length,
        position: position.map(Offset),
        purpose: ReplayPurpose::CatchUp { skipped_lines: 0 },
    };
    bench.message(1, ServerMessage::Replay(replay));
}

#[test]
fn a_terminal_that_is_resized_while_the_link_is_down_goes_on_where_it_was() {
    let mut bench = Bench::live(Reach::Remote);
    bench.closed(1, ClosedKind::Broken);
    bench.run(0);
    let size = Size::new(24, 90);
    bench.link.handle_resized(bench.now, size);
    let request = bench.attach(2, true, 0);
    assert_eq!(request.position, Some(Offset(100)));
    assert_eq!(request.size, size);
    assert!(bench.output(2, 100, 9));
}

#[test]
fn a_terminal_whose_screen_is_to_be_drawn_anew_is_sent_what_its_scrollback_lacks() {
    let new = Hello::of_client();
    let old = Hello {
        capabilities: 0,
        ..Hello::of_client()
    };
    let since = History::Since {
        offset: Offset(100),
        taken_back: 6,
    };
    for (server, history) in [(new, since), (old, History::None)] {
        // Another program wrote to it; it got half of a replay; it shows a picture.
        let spoil: [fn(&mut Bench); 3] = [
            |bench| bench.link.handle_disturbed(bench.now),
            |bench| replay(bench, 5, Some(300)),
            |bench| replay(bench, 0, None),
        ];
        for spoil in spoil {
            let mut bench = Bench::live(Reach::Remote);
            spoil(&mut bench);
            bench.link.handle_resized(bench.now, Size::new(30, 80));
            bench.actions();
            let request = cut(&mut bench, &server);
            assert_eq!((request.position, request.history), (None, history));
        }
    }
}

#[test]
fn a_terminal_that_only_ever_showed_a_picture_is_sent_the_history_it_asked_for() {
    let mut bench = Bench::new(Reach::Remote);
    bench.actions();
    bench.attach(1, false, 0);
    replay(&mut bench, 0, None);
    let request = cut(&mut bench, &Hello::of_client());
    assert_eq!((request.position, request.history), (None, History::All));
}
