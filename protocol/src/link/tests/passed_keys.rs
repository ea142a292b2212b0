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
    let typed_apart = Timing::default().typed_apart;
    assert_eq!(bench.run_for(typed_apart), [(0, told(false))]);
    bench.link.handle_typed_past(bench.now, false);
    bench.link.handle_typed_past(bench.now, true);
    assert_eq!(bench.actions(), [told(true)]);
    assert_eq!(bench.run_for(typed_apart * 2), [], "once");
}

#[test]
fn a_local_server_that_stands_still_is_noticed_when_somebody_types() {
    let is_ping = |(_, action): &(u64, Action)| {
        matches!(action, Action::Send(Generation(1), ClientMessage::Ping(_)))
    };
    for passes in [true, false] {
        let mut bench = Bench::live(Reach::Local);
        bench.actions();
        assert_eq!(bench.run(3_600), [], "nobody is woken");
        for _ in 0..20 {
            match passes {
                true => bench.link.handle_typed_past(bench.now, false),
                false => bench.typed(b"k"),
            }
            bench.run_for(Duration::from_millis(50));
        }
        let seen = bench.run(1);
        assert!(seen.iter().filter(|seen| is_ping(seen)).count() <= 1);
        assert_eq!(bench.link.banner(bench.now), None);
        let at = bench
            .link
            .poll_timeout(bench.now)
            .expect("it is waited for");
        bench.now = at;
        let banner = bench
            .link
            .banner(bench.now)
            .expect("no word from the server");
        assert_eq!(
            (banner.silence.as_secs(), &banner.trying),
            (3, &Trying::Waiting)
        );
        assert!(!bench.run(60).iter().any(is_ping), "it was asked");
        assert_eq!(bench.link.state(), State::Live, "no other is dialled");

        // It goes on.
        if !passes {
            bench.message(1, ServerMessage::InputWritten(InputOffset(20)));
        }
        bench.message(1, ServerMessage::Pong(1));
        assert_eq!(bench.link.banner(bench.now), None);
        assert_eq!(bench.link.poll_timeout(bench.now), None);
    }
}

#[test]
fn a_local_server_that_answers_is_asked_now_and_then_while_somebody_types() {
    let mut bench = Bench::live(Reach::Local);
    bench.actions();
    let mut pings = 0;
    for _ in 0..100 {
        bench.link.handle_typed_past(bench.now, false);
        for (_, action) in bench.run_for(Duration::from_millis(100)) {
            if let Action::Send(_, ClientMessage::Ping(number)) = action {
                pings += 1;
                bench.message(1, ServerMessage::Pong(number));
            }
        }
        assert_eq!(bench.link.banner(bench.now), None);
    }
    assert!((10..=20).contains(&pings), "{pings}");
    bench.run(1);
    assert_eq!(bench.link.poll_timeout(bench.now), None);
}
