//! Keys that pass the link by.

use super::*;

#[test]
fn keys_pass_the_link_by_only_while_they_overtake_nothing() {
    let mut bench = Bench::live(Reach::Local);
    let (first, second) = (Generation(1), Generation(2));
    assert!(bench.link.is_passable(first));
    assert!(!bench.link.is_passable(second), "no such connection");

    // What was pasted is on its way through the server.
    bench.typed(b"pasted");
    assert!(!bench.link.is_passable(first));
    bench.actions();
    bench.message(1, ServerMessage::InputWritten(InputOffset(5)));
    assert!(!bench.link.is_passable(first), "a byte is on its way");
    bench.message(1, ServerMessage::InputWritten(InputOffset(6)));
    assert!(bench.link.is_passable(first));

    // A program is told of another size before it gets the next key.
    bench.link.handle_resized(bench.now, Size::new(5, 6));
    assert!(!bench.link.is_passable(first));
    bench.typed(b"k");
    bench.actions();
    assert!(!bench.link.is_passable(first));
    bench.message(1, ServerMessage::InputWritten(InputOffset(7)));
    assert!(bench.link.is_passable(first));

    bench.link.handle_detach(bench.now);
    assert!(!bench.link.is_passable(first), "they would come after it");

    let mut bench = Bench::live(Reach::Local);
    bench.link.request.read_only = true;
    assert!(!bench.link.is_passable(first), "its user only watches");

    let mut bench = Bench::live(Reach::Local);
    bench.closed(1, ClosedKind::Broken);
    assert!(!bench.link.is_passable(first), "there is no server");
}

#[test]
fn the_server_is_told_at_once_of_keys_that_stop_and_later_of_others() {
    let told = |stops| Action::Send(Generation(1), ClientMessage::Typed { stops });
    let mut bench = Bench::live(Reach::Local);
    bench.actions();
    bench.link.handle_typed_past(bench.now, false);
    bench.link.handle_typed_past(bench.now, false);
    assert_eq!(bench.actions(), []);
    let due = bench.now + Timing::default().typed_apart;
    assert_eq!(bench.link.poll_timeout(bench.now), Some(due));
    assert_eq!(bench.run(1), [(0, told(false))]);
    bench.link.handle_typed_past(bench.now, false);
    bench.link.handle_typed_past(bench.now, true);
    assert_eq!(bench.actions(), [told(true)]);
    assert_eq!(bench.run(1), [], "once");
}
