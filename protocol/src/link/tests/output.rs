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
