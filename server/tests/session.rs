//! What a session does for its clients, in simulated time.

mod record;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use psess_protocol::capability::Capability;
use psess_protocol::codec;
use psess_protocol::frame::{Decoder, Frame};
use psess_protocol::hello::Hello;
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::message::{
    Attach, ClientMessage, DetachReason, Ending, EndingManner, FailureKind, History,
    NO_HEARTBEAT_MS, ReplayPurpose, ServerMessage, Target,
};
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};
use psess_server::journal::{Handling, Journal};
use psess_server::keeper::Predecessor;
use psess_server::session::{ConnectionId, Session, Transmit};

use record::record;

const ANN: ClientId = ClientId([1; 16]);
const BOB: ClientId = ClientId([2; 16]);

/// What a client was sent.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Message(ServerMessage),
    Output(Offset, Vec<u8>),
    Replay(Vec<u8>),
}

fn session() -> (Session, Instant) {
    let now = Instant::now();
    (
        Session::new(
            now,
            record(),
            Journal::unshared().unwrap(),
            Limits::default(),
        ),
        now,
    )
}

fn attach(client: ClientId, generation: u64, position: Option<u64>) -> Attach {
    Attach {
        session: Target::Latest,
        client,
        generation: Generation(generation),
        size: Size::new(24, 80),
        position: position.map(Offset),
        history: History::All,
        read_only: false,
        heartbeat_ms: 0,
        detach_others: false,
    }
}

fn print(session: &mut Session, now: Instant, text: &[u8]) {
    for part in text.chunks(4000) {
        session.output_buffer()[..part.len()].copy_from_slice(part);
        session.handle_output(now, part.len());
    }
}

fn sent(session: &mut Session, now: Instant, connection: u64) -> (Vec<Sent>, Transmit) {
    let mut wire = Vec::new();
    let transmit = session.poll_transmit(now, ConnectionId(connection), &mut wire);
    let mut decoder = Decoder::new();
    let mut rest = wire.as_slice();
    let mut sent = Vec::new();
    while !rest.is_empty() {
        let taken = decoder.feed(rest);
        rest = &rest[taken..];
        while let Some(frame) = decoder.next().unwrap() {
            sent.push(match frame {
                Frame::Message(body) => Sent::Message(codec::decode(body).unwrap()),
                Frame::Output(offset, bytes) => Sent::Output(offset, bytes.to_vec()),
                Frame::Replay(bytes) => Sent::Replay(bytes.to_vec()),
                Frame::Input(..) => panic!("a server sends no input"),
            });
        }
    }
    (sent, transmit)
}

fn output(sent: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sent in sent {
        if let Sent::Output(_, output) = sent {
            bytes.extend_from_slice(output);
        }
    }
    bytes
}

fn attached(sent: &[Sent]) -> (bool, InputOffset) {
    let found = sent.iter().find_map(|sent| match sent {
        Sent::Message(ServerMessage::Attached(attached)) => {
            Some((attached.resumed, attached.input))
        }
        _ => None,
    });
    found.expect("Attached was sent")
}

#[test]
fn a_client_that_resumes_gets_what_it_missed_and_no_more() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    print(&mut session, now, b"before ");
    let _ = sent(&mut session, now, 1);
    session.handle_closed(now, ConnectionId(1));
    print(&mut session, now, b"while away");
    session
        .attach(now, ConnectionId(2), &attach(ANN, 2, Some(7)))
        .unwrap();
    let (sent, _) = sent(&mut session, now, 2);
    assert!(attached(&sent).0);
    assert_eq!(output(&sent), b"while away");
}

#[test]
fn a_position_beyond_the_log_is_answered_by_a_replay() {
    let (mut session, now) = session();
    print(&mut session, now, b"hello");
    session
        .attach(now, ConnectionId(1), &attach(ANN, 2, Some(6)))
        .unwrap();
    let (sent, _) = sent(&mut session, now, 1);
    assert!(!attached(&sent).0);
    let replay = sent.iter().find_map(|sent| match sent {
        Sent::Message(ServerMessage::Replay(replay)) => Some(replay),
        _ => None,
    });
    let replay = replay.expect("a replay is announced");
    assert_eq!(replay.position, Some(Offset(5)));
    assert_eq!(replay.purpose, ReplayPurpose::CatchUp { skipped_lines: 0 });
}

#[test]
fn input_is_taken_once_whatever_is_sent_again() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    session
        .handle_input(now, ConnectionId(1), InputOffset(0), b"abc")
        .unwrap();
    session.handle_closed(now, ConnectionId(1));
    session
        .attach(now, ConnectionId(2), &attach(ANN, 2, None))
        .unwrap();
    assert_eq!(attached(&sent(&mut session, now, 2).0).1, InputOffset(3));
    session
        .handle_input(now, ConnectionId(2), InputOffset(0), b"abcde")
        .unwrap();
    session
        .handle_input(now, ConnectionId(2), InputOffset(2), b"cde")
        .unwrap();
    assert_eq!(session.take_input(now).unwrap(), b"abcde");
    let gap = session.handle_input(now, ConnectionId(2), InputOffset(7), b"x");
    assert_eq!(gap.unwrap_err().kind, FailureKind::Protocol);
    assert_eq!(sent(&mut session, now, 2).0, []);
    let due = session.poll_timeout().expect("the report is due");
    let written = Sent::Message(ServerMessage::InputWritten(InputOffset(5)));
    assert_eq!(sent(&mut session, due, 2).0, [written]);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn what_the_program_read_is_reported_along_with_its_echo() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    let _ = sent(&mut session, now, 1);
    session
        .handle_input(now, ConnectionId(1), InputOffset(0), b"x")
        .unwrap();
    session.take_input(now).unwrap();
    print(&mut session, now, b"x");
    let written = Sent::Message(ServerMessage::InputWritten(InputOffset(1)));
    let echo = Sent::Output(Offset(0), b"x".to_vec());
    assert_eq!(sent(&mut session, now, 1).0, [written, echo]);
}

#[test]
fn the_higher_generation_takes_over_and_the_lower_is_refused() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    session
        .attach(now, ConnectionId(2), &attach(ANN, 3, None))
        .unwrap();
    assert_eq!(session.poll_closed(), Some(ConnectionId(1)));
    let late = session.attach(now, ConnectionId(3), &attach(ANN, 2, None));
    assert_eq!(late.unwrap_err().kind, FailureKind::Superseded);
    session.handle_closed(now, ConnectionId(2));
    let later = session.attach(now, ConnectionId(4), &attach(ANN, 2, None));
    assert_eq!(later.unwrap_err().kind, FailureKind::Superseded);
}

#[test]
fn a_client_that_writes_nothing_is_sent_no_more_than_its_window() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    session
        .attach(now, ConnectionId(2), &attach(BOB, 1, None))
        .unwrap();
    let mut total = [0; 3];
    for _ in 0..200 {
        print(&mut session, now, &[b'x'; 8000]);
        let taken = output(&sent(&mut session, now, 1).0).len();
        total[1] += taken;
        total[2] += output(&sent(&mut session, now, 2).0).len();
        let written = ClientMessage::Written(u64::MAX);
        session
            .handle_message(now, ConnectionId(2), &written)
            .unwrap();
    }
    assert!(
        total[1] <= 64 << 10,
        "the stopped client was sent {}",
        total[1]
    );
    assert_eq!(total[2], 200 * 8000);
}

#[test]
fn ctrl_c_in_a_flood_skips_to_its_end() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    let _ = sent(&mut session, now, 1);
    print(&mut session, now, &b"line\r\n".repeat(50_000));
    let before = output(&sent(&mut session, now, 1).0).len();
    session
        .handle_input(now, ConnectionId(1), InputOffset(0), b"\x03")
        .unwrap();
    session
        .handle_message(now, ConnectionId(1), &ClientMessage::Written(u64::MAX))
        .unwrap();
    let (skipped, _) = sent(&mut session, now, 1);
    assert!(skipped.iter().any(|sent| matches!(
        sent,
        Sent::Message(ServerMessage::Replay(replay))
            if matches!(replay.purpose, ReplayPurpose::CatchUp { .. })
    )));
    assert!(before <= 64 << 10);
    assert_eq!(output(&skipped), b"");
    print(&mut session, now, b"^C\r\n$ ");
    assert_eq!(output(&sent(&mut session, now, 1).0), b"^C\r\n$ ");
}

/// What the model was not fed by then, the client's screen shows all the same.
#[test]
fn ctrl_c_in_a_flood_shows_the_end_of_the_output() {
    let parts: [&[u8]; 4] = [b"", b"\x1b[31", b"m\x1b]2;ti", b"tle\x07$ \x1b[?2004h"];
    for printed in 0..=parts.len() {
        let (mut session, now) = session();
        session
            .attach(now, ConnectionId(1), &attach(ANN, 1, None))
            .unwrap();
        let _ = sent(&mut session, now, 1);
        let line = |number| format!("\x1b[3{}m{number} words\r\n", number % 8);
        let flood: String = (0..100_000).map(line).collect();
        let text = [flood.as_bytes(), &parts[..printed].concat()].concat();
        print(&mut session, now, flood.as_bytes());
        for part in &parts[..printed] {
            print(&mut session, now, part);
        }
        session
            .handle_input(now, ConnectionId(1), InputOffset(0), b"\x03")
            .unwrap();
        let (sent, _) = sent(&mut session, now, 1);
        let mut shown = Terminal::new(Size::new(24, 80), Limits::default());
        for sent in sent {
            if let Sent::Replay(bytes) = sent {
                shown.feed(&bytes);
            }
        }
        let mut printed = Terminal::new(Size::new(24, 80), Limits::default());
        printed.feed(&text);
        let screen = |terminal: Terminal| terminal.snapshot().without_history();
        let [shown, printed] = [shown, printed].map(screen);
        assert_eq!(shown.difference(&printed), None);
    }
}

const LINE: &[u8] = b"a line\r\n";

/// Asserts that Ctrl-C brings a client forward, and says how many lines went by since `shown`.
fn assert_skipped_lines(session: &mut Session, now: Instant, shown: Offset) {
    let typed = session.handle_input(now, ConnectionId(1), InputOffset(0), b"\x03");
    typed.unwrap();
    let (sent, _) = sent(session, now, 1);
    let replay = sent.iter().find_map(|sent| match sent {
        Sent::Message(ServerMessage::Replay(replay)) => Some(*replay),
        _ => None,
    });
    let replay = replay.expect("it is brought forward");
    let end = replay.position.expect("it goes on in the log");
    let lines = end.bytes_since(shown) / LINE.len() as u64;
    let ReplayPurpose::CatchUp { skipped_lines } = replay.purpose else {
        panic!("nothing was skipped: {replay:?}");
    };
    // Some are on the screen.
    let difference = skipped_lines.abs_diff(lines);
    assert!(difference <= 24, "{skipped_lines} and {lines}");
}

#[test]
fn how_many_lines_were_skipped_is_known_though_the_model_was_far_behind() {
    // Lines that are printed, of which so many bytes are shown, and lines that follow.
    for (first, until, more) in [(300_000, u64::MAX, 20_000), (900_000, 2_000_000, 0)] {
        let (mut session, now) = session();
        session
            .attach(now, ConnectionId(1), &attach(ANN, 1, None))
            .unwrap();
        print(&mut session, now, &LINE.repeat(first));
        let mut shown = Offset(0);
        while shown.0 < until {
            let all = ClientMessage::Written(u64::MAX);
            session.handle_message(now, ConnectionId(1), &all).unwrap();
            let (sent, _) = sent(&mut session, now, 1);
            let Some(Sent::Output(offset, bytes)) = sent.last() else {
                break;
            };
            shown = offset.advanced_by(bytes.len());
        }
        print(&mut session, now, &LINE.repeat(more));
        assert_skipped_lines(&mut session, now, shown);
    }
}

#[test]
fn how_many_lines_were_skipped_is_known_across_servers() {
    let journal = Journal::unshared().unwrap();
    let (file, input) = journal.descriptors().unwrap();
    let now = Instant::now();
    let mut killed = Session::new(now, record(), journal, Limits::default());
    print(&mut killed, now, &LINE.repeat(200_000));
    drop(killed);
    let mut session = recovered(&file, &input, Predecessor::Killed);
    let shown = Offset(20_000 * LINE.len() as u64);
    session
        .attach(now, ConnectionId(1), &attach(ANN, 2, Some(shown.0)))
        .unwrap();
    assert_skipped_lines(&mut session, now, shown);
}

/// A client that is behind, with a question on its way to it that its terminal is to answer.
fn asked_while_behind() -> (Session, Instant) {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    print(&mut session, now, &[b'x'; 100_000]);
    let _ = sent(&mut session, now, 1);
    print(&mut session, now, b"\x1b[5n");
    print(&mut session, now, &[b'y'; 100_000]);
    assert!(!session.has_input());
    (session, now)
}

#[test]
fn a_question_that_is_skipped_is_answered() {
    let (mut session, now) = asked_while_behind();
    let typed = session.handle_input(now, ConnectionId(1), InputOffset(0), b"\x03");
    typed.unwrap();
    let _ = sent(&mut session, now, 1);
    assert_eq!(session.take_input(now).unwrap(), b"\x03\x1b[0n");
    let (mut session, now) = asked_while_behind();
    let redraw = ClientMessage::Redraw;
    session
        .handle_message(now, ConnectionId(1), &redraw)
        .unwrap();
    assert_eq!(session.take_input(now).unwrap(), b"\x1b[0n");
    let (mut session, now) = asked_while_behind();
    let small = ClientMessage::Resize(Size::new(10, 40));
    session
        .attach(now, ConnectionId(2), &attach(BOB, 1, None))
        .unwrap();
    session
        .handle_message(now, ConnectionId(1), &small)
        .unwrap();
    assert_eq!(session.take_input(now).unwrap(), b"\x1b[0n");
}

#[test]
fn a_question_that_reaches_nobody_as_its_client_left_is_answered_and_only_once() {
    for farewell in [None, Some(ClientMessage::Detach)] {
        let (mut session, now) = asked_while_behind();
        if let Some(farewell) = &farewell {
            session
                .handle_message(now, ConnectionId(1), farewell)
                .unwrap();
            let _ = sent(&mut session, now, 1);
        }
        session.handle_closed(now, ConnectionId(1));
        assert_eq!(session.take_input(now).unwrap(), b"\x1b[0n");
        session
            .attach(now, ConnectionId(2), &attach(ANN, 2, Some(99_990)))
            .unwrap();
        let (sent, _) = sent(&mut session, now, 2);
        assert!(output(&sent).starts_with(b"xxxxxxxxxx\0\0\0\0yy"));
    }
}

#[test]
fn a_question_asked_before_the_first_client_attaches_is_for_its_terminal() {
    let (mut session, now) = session();
    session.wait_for_first_client(now, ConnectionId(1));
    assert!(!session.reads_output());
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    assert!(session.reads_output());
    print(&mut session, now, b"\x1b]11;?\x1b\\");
    let (sent, _) = sent(&mut session, now, 1);
    assert_eq!(output(&sent), b"\x1b]11;?\x1b\\");
    assert!(!session.has_input(), "nobody else answers");
}

#[test]
fn the_first_client_is_waited_for_only_while_it_may_come() {
    let waiting = || {
        let (mut session, now) = session();
        session.wait_for_first_client(now, ConnectionId(1));
        (session, now)
    };
    let (mut session, _) = waiting();
    session.handle_left(ConnectionId(2));
    assert!(!session.reads_output(), "another connection ended");
    session.handle_left(ConnectionId(1));
    assert!(session.reads_output(), "its connection ended");

    let (mut session, _) = waiting();
    session.handle_exit(Outcome::Exited(0), 0);
    assert!(session.reads_output(), "the program ended");

    let (mut session, now) = waiting();
    let due = session.poll_timeout().unwrap();
    assert_eq!(due, now + Duration::from_secs(1));
    session.handle_timeout(due - Duration::from_millis(1));
    assert!(!session.reads_output());
    session.handle_timeout(due);
    assert!(session.reads_output(), "it takes too long");
    assert_eq!(session.poll_timeout(), None);
}

/// Attaches connection 1 of a client as this build has it, and 2 of one that cannot do `missing`.
fn attach_both(session: &mut Session, now: Instant, missing: Capability) {
    let older = Hello {
        capabilities: Capability::OF_THIS_BUILD & !missing.bit(),
        ..Hello::of_client()
    };
    for (connection, client, hello) in [(1, ANN, &Hello::of_client()), (2, BOB, &older)] {
        let attach = attach(client, 1, None);
        session
            .attach(now, ConnectionId(connection), &attach)
            .unwrap();
        session.handle_hello(ConnectionId(connection), hello);
        sent(session, now, connection);
    }
}

#[test]
fn a_new_name_is_told_to_clients_that_understand_it_and_to_no_other() {
    let (mut session, now) = session();
    attach_both(&mut session, now, Capability::Renaming);
    session.rename("play".parse().unwrap());
    let renamed = ServerMessage::Renamed("play".parse().unwrap());
    assert_eq!(sent(&mut session, now, 1).0, [Sent::Message(renamed)]);
    assert_eq!(sent(&mut session, now, 2).0, []);
}

#[test]
fn the_end_comes_after_the_last_output() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    print(&mut session, now, b"done\r\n");
    session.handle_exit(Outcome::Exited(2), 1);
    assert_eq!(sent(&mut session, now, 1).1, Transmit::GoOn);
    session.handle_end_of_output(now);
    let (sent, transmit) = sent(&mut session, now, 1);
    assert_eq!(
        sent,
        [Sent::Message(ServerMessage::Finished(Outcome::Exited(2)))]
    );
    assert_eq!(transmit, Transmit::GoOn);
    assert!(!session.was_seen(), "it may never have arrived");
    session
        .handle_message(now, ConnectionId(1), &ClientMessage::Detach)
        .unwrap();
    assert!(session.was_seen());
}

#[test]
fn who_only_watched_leaves_the_outcome_to_be_seen() {
    let (mut session, now) = session();
    let watching = Attach {
        read_only: true,
        ..attach(ANN, 1, None)
    };
    session.attach(now, ConnectionId(1), &watching).unwrap();
    session.handle_exit(Outcome::Exited(2), 1);
    session.handle_end_of_output(now);
    let finished = Sent::Message(ServerMessage::Finished(Outcome::Exited(2)));
    assert_eq!(sent(&mut session, now, 1).0.last(), Some(&finished));
    session
        .handle_message(now, ConnectionId(1), &ClientMessage::Detach)
        .unwrap();
    assert_eq!(sent(&mut session, now, 1).1, Transmit::ThenClose);
    assert!(!session.was_seen());
}

#[test]
fn an_outcome_that_nobody_confirmed_is_told_to_the_next() {
    let (mut session, now) = session();
    session.handle_exit(Outcome::Exited(2), 1);
    session.handle_end_of_output(now);
    for connection in 1..4 {
        session
            .attach(
                now,
                ConnectionId(connection),
                &attach(ANN, connection, Some(0)),
            )
            .unwrap();
        let (sent, _) = sent(&mut session, now, connection);
        let finished = Sent::Message(ServerMessage::Finished(Outcome::Exited(2)));
        assert_eq!(sent.last(), Some(&finished));
        session.handle_closed(now, ConnectionId(connection));
        assert!(!session.was_seen());
    }
}

#[test]
fn a_client_that_comes_back_is_told_how_its_connection_was_seen_to_end() {
    let (mut session, now) = session();
    let second = Duration::from_secs(1);
    let mut connection = 0;
    let mut attach_at = |session: &mut Session, at: Instant| {
        connection += 1;
        let id = ConnectionId(connection);
        session
            .attach(at, id, &attach(ANN, connection, None))
            .unwrap();
        session
            .handle_message(at, id, &ClientMessage::AskEnding)
            .unwrap();
        let (sent, _) = sent(session, at, connection);
        let ending = sent.iter().find_map(|sent| match sent {
            Sent::Message(ServerMessage::Ending(ending)) => Some(*ending),
            _ => None,
        });
        (id, ending.expect("it is answered"))
    };
    let (first, ending) = attach_at(&mut session, now);
    assert_eq!(ending, None);
    let pong = ClientMessage::Pong(0);
    session
        .handle_message(now + 4 * second, first, &pong)
        .unwrap();
    session.handle_closed(now + 9 * second, first);
    let (_, ending) = attach_at(&mut session, now + 12 * second);
    let seen = |manner, ended_ago_ms, received_ago_ms, sent_ago_ms| Ending {
        manner,
        ended_ago_ms,
        received_ago_ms,
        sent_ago_ms,
    };
    let closed = seen(EndingManner::Closed, 3_000, 8_000, 12_000);
    assert_eq!(ending, Some(closed));
    let (_, ending) = attach_at(&mut session, now + 20 * second);
    let replaced = seen(EndingManner::Replaced, 0, 8_000, 8_000);
    assert_eq!(ending, Some(replaced));
}

/// A session whose last server ended like this while it handled it.
fn recovered(file: &OwnedFd, input: &OwnedFd, end: Predecessor) -> Session {
    let open = || Journal::open(file.try_clone().unwrap(), input.try_clone().unwrap()).unwrap();
    open().set_handling(Handling::Working);
    let now = Instant::now();
    Session::after(end, now, record(), open(), Limits::default())
}

#[test]
fn a_session_that_three_servers_crashed_on_is_set_aside() {
    let mut journal = Journal::unshared().unwrap();
    journal.log_spare()[..6].copy_from_slice(b"poison");
    journal.commit_output(6);
    let (file, input) = journal.descriptors().unwrap();
    drop(journal);
    for _ in 0..2 {
        assert!(!recovered(&file, &input, Predecessor::Crashed).is_set_aside());
    }
    let mut session = recovered(&file, &input, Predecessor::Crashed);
    assert!(session.is_set_aside());
    assert!(session.title().contains("set aside"));
    let now = Instant::now();
    let refused = session.shown(now, History::All).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Internal);
    assert!(refused.message.contains("'psess attach work'"));
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    print(&mut session, now, b"goes on");
    assert_eq!(output(&sent(&mut session, now, 1).0), b"goes on");
    // Killed or not: it stays so, until somebody restarts the server on purpose.
    assert!(recovered(&file, &input, Predecessor::Killed).is_set_aside());
    assert!(!recovered(&file, &input, Predecessor::Left).is_set_aside());
}

#[test]
fn servers_that_are_killed_set_no_session_aside() {
    let (file, input) = Journal::unshared().unwrap().descriptors().unwrap();
    for _ in 0..20 {
        assert!(!recovered(&file, &input, Predecessor::Killed).is_set_aside());
    }
}

#[test]
fn a_session_that_no_server_survives_taking_over_is_set_aside() {
    let (file, input) = Journal::unshared().unwrap().descriptors().unwrap();
    let journal = Journal::open(file, input).unwrap();
    let deaths = (0..3).map(|_| {
        journal.set_handling(Handling::Recovering);
        journal.count_death(Predecessor::Killed)
    });
    assert_eq!(deaths.collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn the_pty_gets_the_size_that_a_dead_server_did_not_give_it() {
    let mut journal = Journal::unshared().unwrap();
    journal
        .write_checkpoint(journal.log.end(), Size::new(10, 40), b"")
        .unwrap();
    let (file, input) = journal.descriptors().unwrap();
    drop(journal);
    let mut session = recovered(&file, &input, Predecessor::Killed);
    assert_eq!(session.poll_pty_size(), Some(Size::new(10, 40)));
}

#[test]
fn keys_typed_after_the_end_are_dropped_and_break_no_link() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    assert!(session.lets_keys_pass(ConnectionId(1)));
    session.handle_exit(Outcome::Exited(0), 1);
    assert!(!session.lets_keys_pass(ConnectionId(1)));
    for (at, key) in [b"l", b"s"].into_iter().enumerate() {
        let offset = InputOffset(at as u64);
        session
            .handle_input(now, ConnectionId(1), offset, key)
            .unwrap();
    }
    assert_eq!(session.take_input(now).unwrap(), b"");
}

#[test]
fn the_size_follows_whoever_typed_last() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    let small = Attach {
        size: Size::new(10, 40),
        ..attach(BOB, 1, None)
    };
    session.attach(now, ConnectionId(2), &small).unwrap();
    assert_eq!(session.poll_pty_size(), Some(Size::new(10, 40)));
    session
        .handle_input(now, ConnectionId(1), InputOffset(0), b"x")
        .unwrap();
    assert_eq!(session.poll_pty_size(), Some(Size::new(24, 80)));
    session
        .handle_message(
            now,
            ConnectionId(2),
            &ClientMessage::Resize(Size::new(9, 9)),
        )
        .unwrap();
    assert_eq!(session.poll_pty_size(), None);
    let wide = ClientMessage::Resize(Size::new(50, 200));
    session.handle_message(now, ConnectionId(1), &wide).unwrap();
    assert_eq!(session.poll_pty_size(), Some(Size::new(50, 200)));
}

#[test]
fn a_picture_shows_what_came_while_the_one_before_was_written() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    let small = Attach {
        size: Size::new(10, 40),
        read_only: true,
        ..attach(BOB, 1, None)
    };
    session.attach(now, ConnectionId(2), &small).unwrap();
    let _ = sent(&mut session, now, 2);
    // The next picture is due by then, and the model has not been fed what came.
    let later = now + Duration::from_millis(50);
    print(&mut session, later, b"news");
    let (pictures, _) = sent(&mut session, later, 2);
    let drawn = pictures.iter().any(|sent| match sent {
        Sent::Replay(bytes) => bytes.windows(4).any(|part| part == b"news"),
        Sent::Message(_) | Sent::Output(..) => false,
    });
    assert!(drawn, "{pictures:?}");
}

#[test]
fn keys_pass_the_server_by_only_where_they_overtake_nothing_and_the_size_is_theirs() {
    let (mut session, now) = session();
    let (ann, bob) = (ConnectionId(1), ConnectionId(2));
    session.attach(now, ann, &attach(ANN, 1, None)).unwrap();
    assert!(session.lets_keys_pass(ann));
    assert!(!session.lets_keys_pass(bob), "not attached");

    let later = now + Duration::from_secs(1);
    session.attach(later, bob, &attach(BOB, 1, None)).unwrap();
    assert!(!session.lets_keys_pass(ann), "the size is the other's");
    assert!(session.lets_keys_pass(bob));
    session
        .handle_input(later, bob, InputOffset(0), b"b")
        .unwrap();
    assert!(!session.lets_keys_pass(bob), "input waits");
    session.take_input(later).unwrap();
    assert!(session.lets_keys_pass(bob));
    // What is heard late of keys before changes nothing.
    let typed = ClientMessage::Typed { stops: false };
    session.handle_message(later, ann, &typed).unwrap();
    assert!(session.lets_keys_pass(bob));
    assert!(!session.lets_keys_pass(ann));

    // Of what was pasted before a detach, the rest waits still when its user is back.
    session
        .handle_input(later, bob, InputOffset(1), b"pasted")
        .unwrap();
    session.handle_closed(later, bob);
    let last = later + Duration::from_secs(1);
    session.attach(last, bob, &attach(BOB, 2, None)).unwrap();
    session
        .handle_input(last, bob, InputOffset(7), b"k")
        .unwrap();
    assert!(!session.lets_keys_pass(bob), "input waits");
    session.take_input(last).unwrap();
    assert!(session.lets_keys_pass(bob));
    session
        .handle_message(last, bob, &ClientMessage::Detach)
        .unwrap();
    assert!(!session.lets_keys_pass(bob), "it is leaving");
}

#[test]
fn keys_that_passed_by_count_as_activity_but_not_of_who_only_watches() {
    let (mut session, now) = session();
    let watching = Attach {
        read_only: true,
        ..attach(BOB, 1, None)
    };
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    session.attach(now, ConnectionId(2), &watching).unwrap();
    let later = now + Duration::from_secs(9);
    let typed = ClientMessage::Typed { stops: false };
    session
        .handle_message(later, ConnectionId(2), &typed)
        .unwrap();
    assert_eq!(session.idle(later), Duration::from_secs(9));
    session
        .handle_message(later, ConnectionId(1), &typed)
        .unwrap();
    assert_eq!(session.idle(later), Duration::ZERO);
    assert!(!session.lets_keys_pass(ConnectionId(2)));
}

#[test]
fn a_read_only_client_types_nothing_and_sets_no_size() {
    let (mut session, now) = session();
    let watcher = Attach {
        read_only: true,
        size: Size::new(9, 9),
        ..attach(ANN, 1, None)
    };
    session.attach(now, ConnectionId(1), &watcher).unwrap();
    session
        .handle_input(now, ConnectionId(1), InputOffset(0), b"rm -rf\r")
        .unwrap();
    assert_eq!(session.take_input(now).unwrap(), b"");
    assert_eq!(session.poll_pty_size(), None);
}

#[test]
fn a_silent_client_is_given_up_after_three_heartbeats_and_a_grace() {
    let (mut session, now) = session();
    let remote = Attach {
        heartbeat_ms: 15_000,
        ..attach(ANN, 1, None)
    };
    session.attach(now, ConnectionId(1), &remote).unwrap();
    let mut at = now;
    let mut pings = 0;
    while session.poll_closed().is_none() {
        let due = session.poll_timeout().expect("heartbeats are on");
        assert!(due > at, "time goes on");
        at = due;
        session.handle_timeout(at);
        let (sent, _) = sent(&mut session, at, 1);
        let ping = |sent: &&Sent| matches!(sent, Sent::Message(ServerMessage::Ping(_)));
        pings += sent.iter().filter(ping).count();
    }
    assert_eq!(at - now, Duration::from_secs(50));
    assert_eq!(pings, 3);
    assert!(session.lost(at).is_some());
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_loss_is_told_until_anybody_attaches() {
    let (mut session, now) = session();
    let lose = |session: &mut Session, connection: u64, client: ClientId| {
        let connection = ConnectionId(connection);
        let attach = attach(client, connection.0, None);
        session.attach(now, connection, &attach).unwrap();
        assert_eq!(session.lost(now), None);
        session.handle_closed(now, connection);
        assert!(session.lost(now).is_some());
    };
    lose(&mut session, 1, ANN);
    lose(&mut session, 2, ANN);
    lose(&mut session, 3, BOB);
    let last = attach(BOB, 4, None);
    session.attach(now, ConnectionId(4), &last).unwrap();
    session
        .handle_message(now, ConnectionId(4), &ClientMessage::Detach)
        .unwrap();
    let _ = sent(&mut session, now, 4);
    session.handle_closed(now, ConnectionId(4));
    assert_eq!(session.lost(now), None, "who leaves on purpose is not lost");
}

#[test]
fn what_is_shown_to_who_is_not_attached_changes_nothing() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    let _ = sent(&mut session, now, 1);
    let _ = session.poll_pty_size();
    session.handle_closed(now, ConnectionId(1));
    for number in 0..100 {
        print(&mut session, now, format!("{number}\r\n").as_bytes());
    }
    session.handle_exit(Outcome::Exited(2), 5);
    session.handle_end_of_output(now);
    for (history, lines) in [
        (History::None, 23),
        (History::Lines(7), 30),
        (History::All, 100),
    ] {
        let shown = session.shown(now, history).unwrap();
        let mut terminal = Terminal::new(shown.size, Limits::default());
        terminal.feed(&shown.replay);
        let mut numbers = Vec::<i32>::new();
        terminal.visit_lines(&mut |line| numbers.push(line.parse().unwrap()));
        assert_eq!(numbers, (100 - lines..100).collect::<Vec<_>>());
    }
    let later = now + Duration::from_secs(3600);
    assert_eq!(session.lost(later), Some(later - now), "it stays lost");
    assert_eq!(session.idle(later), later - now);
    assert!(!session.was_seen());
    assert_eq!(session.connections().count(), 0);
    assert_eq!(session.poll_pty_size(), None);
    // The client that was lost goes on as if nobody had asked.
    session
        .attach(now, ConnectionId(2), &attach(ANN, 2, Some(0)))
        .unwrap();
    let all: Vec<u8> = (0..100)
        .flat_map(|number| format!("{number}\r\n").into_bytes())
        .collect();
    assert_eq!(output(&sent(&mut session, now, 2).0), all);
}

#[test]
fn without_heartbeats_and_output_nothing_is_ever_due() {
    for heartbeat_ms in [0, NO_HEARTBEAT_MS] {
        let (mut session, now) = session();
        let quiet = Attach {
            heartbeat_ms,
            ..attach(ANN, 1, None)
        };
        session.attach(now, ConnectionId(1), &quiet).unwrap();
        let _ = sent(&mut session, now, 1);
        assert_eq!(session.poll_timeout(), None);
    }
}

#[test]
fn a_far_client_without_heartbeats_has_the_credit_of_a_far_one() {
    let under_way = |heartbeat_ms| {
        let (mut session, mut now) = session();
        let client = Attach {
            heartbeat_ms,
            ..attach(ANN, 1, None)
        };
        session.attach(now, ConnectionId(1), &client).unwrap();
        print(&mut session, now, &[b'x'; 1 << 20]);
        let mut total = 0;
        let mut last = 0;
        // A line on which a round trip takes 200 ms, and whatever is sent arrives.
        for _ in 0..12 {
            let before = total;
            loop {
                let (sent, _) = sent(&mut session, now, 1);
                if sent.is_empty() {
                    break;
                }
                total += terminal_bytes(&sent);
            }
            last = total - before;
            now += Duration::from_millis(200);
            let written = ClientMessage::Written(total);
            let id = ConnectionId(1);
            session.handle_message(now, id, &written).unwrap();
        }
        last
    };
    assert_eq!(under_way(NO_HEARTBEAT_MS), under_way(15_000));
    assert!(under_way(NO_HEARTBEAT_MS) > under_way(0));
}

fn terminal_bytes(sent: &[Sent]) -> u64 {
    let length = |sent: &Sent| match sent {
        Sent::Output(_, bytes) | Sent::Replay(bytes) => bytes.len() as u64,
        Sent::Message(_) => 0,
    };
    sent.iter().map(length).sum()
}

#[test]
fn nothing_is_due_for_a_client_that_is_still_being_written_to() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    session
        .handle_input(now, ConnectionId(1), InputOffset(0), b"x")
        .unwrap();
    let blocked = sent(&mut session, now, 1);
    session.take_input(now).unwrap();
    assert_ne!(blocked.0, []);
    assert_eq!(session.poll_timeout(), None);
    let _ = sent(&mut session, now, 1);
    let due = session.poll_timeout().expect("the report is due");
    let written = Sent::Message(ServerMessage::InputWritten(InputOffset(1)));
    assert_eq!(sent(&mut session, due, 1).0, [written]);
}

#[test]
fn a_command_that_detaches_is_named_to_clients_that_understand_it_and_to_no_other() {
    let (mut session, now) = session();
    attach_both(&mut session, now, Capability::DetachCommand);
    session.handle_detach_all();
    for (connection, reason) in [(1, DetachReason::ByCommand), (2, DetachReason::ByOther)] {
        let farewell = Sent::Message(ServerMessage::Detached(reason));
        assert_eq!(sent(&mut session, now, connection).0, [farewell]);
    }
}

#[test]
fn detaching_says_why_and_then_closes() {
    let (mut session, now) = session();
    session
        .attach(now, ConnectionId(1), &attach(ANN, 1, None))
        .unwrap();
    let alone = Attach {
        detach_others: true,
        ..attach(BOB, 1, None)
    };
    session.attach(now, ConnectionId(2), &alone).unwrap();
    let (sent, transmit) = sent(&mut session, now, 1);
    let farewell = Sent::Message(ServerMessage::Detached(DetachReason::ByOther));
    assert_eq!(
        (sent.last(), transmit),
        (Some(&farewell), Transmit::ThenClose)
    );
}
