//! What a session keeps in memory, and when it gives that back, in simulated time.

mod record;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use psess_protocol::frame::{Decoder, Frame};
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::message::{Attach, ClientMessage, History, Target};
use psess_protocol::offset::Offset;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};
use psess_server::journal::Journal;
use psess_server::session::{ConnectionId, Session};

use record::record;

const MIB: u64 = 1 << 20;

/// What is kept though nobody needs it, in whole pieces.
const USUAL: u64 = 5 * MIB;

/// All that is kept for somebody.
const RING: u64 = 32 * MIB;

const CONNECTION: ConnectionId = ConnectionId(1);

fn session() -> (Session, Instant) {
    let now = Instant::now();
    let journal = Journal::unshared().unwrap();
    (Session::new(now, record(), journal, Limits::default()), now)
}

/// A session, and its journal as a keeper holds it.
fn held_session() -> (Session, Instant, (OwnedFd, OwnedFd)) {
    let now = Instant::now();
    let journal = Journal::unshared().unwrap();
    let held = journal.descriptors().unwrap();
    let session = Session::new(now, record(), journal, Limits::default());
    (session, now, held)
}

/// What the next server makes of a finished session.
fn successor(session: &Session, now: Instant, held: &(OwnedFd, OwnedFd)) -> Session {
    let (file, input) = held;
    let journal = Journal::open(file.try_clone().unwrap(), input.try_clone().unwrap());
    let record = session.record.clone();
    let mut successor = Session::new(now, record, journal.unwrap(), Limits::default());
    successor.handle_end_of_output(now);
    successor
}

fn attach(session: &mut Session, now: Instant, generation: u64, position: Option<Offset>) {
    let attach = Attach {
        session: Target::Latest,
        client: ClientId([1; 16]),
        generation: Generation(generation),
        size: Size::new(24, 80),
        position,
        history: History::None,
        read_only: false,
        heartbeat_ms: 0,
        detach_others: false,
    };
    session.attach(now, CONNECTION, &attach).unwrap();
}

/// Lines without end, so many bytes.
fn print(session: &mut Session, now: Instant, bytes: u64) {
    let line = b"the quick brown fox jumps over the lazy dog\r\n";
    let text: Vec<u8> = line.iter().copied().cycle().take(4000).collect();
    for _ in 0..bytes / text.len() as u64 {
        session.output_buffer()[..text.len()].copy_from_slice(&text);
        session.handle_output(now, text.len());
    }
    rest(session, now);
}

/// Lines that cannot be packed, so many bytes.
fn print_noise(session: &mut Session, now: Instant, bytes: u64) {
    let mut random = 1_u64;
    let mut printed = 0;
    while printed < bytes {
        let mut line: Vec<u8> = Vec::new();
        for _ in 0..43 {
            random = random.wrapping_mul(6_364_136_223_846_793_005);
            random = random.wrapping_add(1_442_695_040_888_963_407);
            line.push(b'0' + (random >> 58) as u8);
        }
        line.extend_from_slice(b"\r\n");
        session.output_buffer()[..line.len()].copy_from_slice(&line);
        session.handle_output(now, line.len());
        printed += line.len() as u64;
    }
    rest(session, now);
}

/// When the burst is over, the terminal model has seen it; some time later all is packed.
fn rest(session: &mut Session, now: Instant) {
    for step in 0..1000 {
        session.settle(now + Duration::from_secs(1) + step * Duration::from_millis(1));
    }
}

/// What the output log takes.
fn log(session: &Session) -> u64 {
    session.usage().log
}

#[test]
fn a_new_session_keeps_nothing_for_clients_that_it_never_had() {
    let (mut session, now) = session();
    print(&mut session, now, 40 * MIB);
    assert!(log(&session) <= USUAL, "{}", log(&session));
    assert!(session.usage().journal <= USUAL + 2 * MIB);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_session_that_was_taken_over_keeps_what_its_clients_may_need_for_a_minute() {
    let journal = Journal::unshared().unwrap();
    let (file, input) = journal.descriptors().unwrap();
    drop(journal);
    let now = Instant::now();
    let journal = Journal::open(file, input).unwrap();
    let mut session = Session::new(now, record(), journal, Limits::default());
    print(&mut session, now, 20 * MIB);
    // Nothing was printed before, but somebody was there.
    attach(&mut session, now, 2, Some(Offset(0)));
    let minute = Duration::from_secs(60);
    assert!(log(&session) > 19 * MIB);
    session.handle_closed(now, CONNECTION);
    session.handle_timeout(now + minute);
    assert!(log(&session) <= USUAL, "{}", log(&session));
}

#[test]
fn what_was_kept_for_a_lost_client_is_given_back_when_the_program_is_silent() {
    let (mut session, now) = session();
    attach(&mut session, now, 1, None);
    print(&mut session, now, MIB);
    let mut wire = Vec::new();
    let _ = session.poll_transmit(now, CONNECTION, &mut wire);
    session.handle_closed(now, CONNECTION);
    print(&mut session, now, 40 * MIB);
    assert!(log(&session) > RING - 2 * MIB, "{}", log(&session));
    let released = now + Duration::from_secs(60);
    session.handle_timeout(released - Duration::from_millis(1));
    assert!(log(&session) > RING - 2 * MIB, "{}", log(&session));
    assert_eq!(session.poll_timeout(), Some(released));
    session.handle_timeout(released);
    assert!(log(&session) <= USUAL, "{}", log(&session));
    let tidied = session.poll_timeout().expect("memory is to be given back");
    session.handle_timeout(tidied);
    assert!(session.usage().journal <= USUAL + 2 * MIB);
    assert_eq!(
        session.poll_timeout(),
        None,
        "it never wakes again for that"
    );
}

#[test]
fn what_a_slow_client_holds_is_given_back_once_it_has_it_or_leaves() {
    for leaves in [false, true] {
        let (mut session, now) = session();
        attach(&mut session, now, 1, None);
        // It takes nothing yet, and then all.
        print(&mut session, now, 20 * MIB);
        assert!(log(&session) > 19 * MIB, "{}", log(&session));
        let mut written = 0;
        loop {
            let mut wire = Vec::new();
            let _ = session.poll_transmit(now, CONNECTION, &mut wire);
            if wire.is_empty() {
                break;
            }
            if leaves && written > MIB {
                let leave = ClientMessage::Detach;
                session.handle_message(now, CONNECTION, &leave).unwrap();
                let _ = session.poll_transmit(now, CONNECTION, &mut wire);
                session.handle_closed(now, CONNECTION);
                break;
            }
            // More than it was sent: a client that counts generously.
            written += wire.len() as u64;
            let message = ClientMessage::Written(written);
            session.handle_message(now, CONNECTION, &message).unwrap();
        }
        session.settle(now);
        assert!(log(&session) <= USUAL, "{leaves}: {}", log(&session));
    }
}

#[test]
fn what_is_on_its_way_to_a_slow_client_is_kept_for_when_the_server_dies() {
    let (mut session, now) = session();
    attach(&mut session, now, 1, None);
    print(&mut session, now, 20 * MIB);
    let end = 20 * MIB / 4000 * 4000;
    let mut written = 0;
    loop {
        let mut wire = Vec::new();
        let _ = session.poll_transmit(now, CONNECTION, &mut wire);
        let Some(Offset(first)) = first_output(&wire) else {
            break;
        };
        // Nothing of this has left the server yet.
        let start = end - log(&session);
        assert!(start <= first, "{first} is on its way, and {start} kept");
        written += wire.len() as u64;
        let message = ClientMessage::Written(written);
        session.handle_message(now, CONNECTION, &message).unwrap();
    }
    assert!(written > 19 * MIB);
}

/// Where the output begins that is sent.
fn first_output(wire: &[u8]) -> Option<Offset> {
    let mut decoder = Decoder::new();
    let mut rest = wire;
    loop {
        match decoder.next().unwrap() {
            Some(Frame::Output(offset, _)) => return Some(offset),
            Some(Frame::Message(_) | Frame::Replay(_) | Frame::Input(..)) => {}
            None if rest.is_empty() => return None,
            None => rest = &rest[decoder.feed(rest)..],
        }
    }
}

/// The program ends with all of its output read.
fn finish(session: &mut Session, now: Instant) {
    session.handle_exit(Outcome::Exited(2), 1);
    session.handle_end_of_output(now);
}

/// What a client that attaches shows, history included.
fn shown(session: &mut Session, now: Instant) -> Terminal {
    let connection = ConnectionId(9);
    let attach = Attach {
        client: ClientId([9; 16]),
        generation: Generation(session.connections().count() as u64 + 1),
        history: History::All,
        session: Target::Latest,
        size: Size::new(24, 80),
        position: None,
        read_only: true,
        heartbeat_ms: 0,
        detach_others: false,
    };
    session.attach(now, connection, &attach).unwrap();
    let mut terminal = Terminal::new(Size::new(24, 80), Limits::default());
    let (mut decoder, mut written) = (Decoder::new(), 0);
    loop {
        let mut wire = Vec::new();
        let _ = session.poll_transmit(now, connection, &mut wire);
        if wire.is_empty() {
            return terminal;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            rest = &rest[decoder.feed(rest)..];
            while let Some(frame) = decoder.next().unwrap() {
                if let Frame::Replay(bytes) = frame {
                    terminal.feed(bytes);
                    written += bytes.len() as u64;
                }
            }
        }
        let message = ClientMessage::Written(written);
        session.handle_message(now, connection, &message).unwrap();
    }
}

#[test]
fn a_finished_session_keeps_screen_history_and_outcome_and_no_log() {
    let (mut session, now, held) = held_session();
    print(&mut session, now, 3 * MIB);
    let (mut unfinished, _) = self::session();
    print(&mut unfinished, now, 3 * MIB);
    let mut expected = shown(&mut unfinished, now);
    assert_eq!(expected.history_lines(), 10_000);
    assert!(session.usage().journal > 2 * MIB);
    finish(&mut session, now);
    let usage = session.usage();
    assert_eq!(usage.log, 0);
    // 10,000 lines, and the header.
    assert!(usage.journal < MIB, "{usage:?}");
    assert_eq!(session.poll_timeout(), None);

    let mut successor = successor(&session, now, &held);
    assert!(shown(&mut session, now).snapshot() == expected.snapshot());
    assert_eq!(successor.outcome(), Some(Outcome::Exited(2)));
    assert!(shown(&mut successor, now).snapshot() == expected.snapshot());
    // What is left in the background may print all the same.
    let late = b"late\r\n";
    successor.output_buffer()[..late.len()].copy_from_slice(late);
    successor.handle_output(now, late.len());
    successor.settle(now + Duration::from_secs(1));
    expected.feed(late);
    assert!(shown(&mut successor, now).snapshot() == expected.snapshot());
}

#[test]
fn a_finished_session_keeps_what_a_lost_client_goes_on_from() {
    let (mut session, now, held) = held_session();
    attach(&mut session, now, 1, None);
    print(&mut session, now, MIB);
    let (mut written, mut position) = (0, Offset(0));
    loop {
        let mut wire = Vec::new();
        let _ = session.poll_transmit(now, CONNECTION, &mut wire);
        if wire.is_empty() {
            break;
        }
        position = first_output(&wire).unwrap_or(position);
        written += wire.len() as u64;
        let message = ClientMessage::Written(written);
        session.handle_message(now, CONNECTION, &message).unwrap();
    }
    assert!(position > Offset(MIB / 2));
    session.handle_closed(now, CONNECTION);
    print(&mut session, now, 2 * MIB);
    finish(&mut session, now);
    let later = now + Duration::from_secs(3600);
    session.handle_timeout(later);
    let end = Offset(3 * MIB / 4000 * 4000);
    assert!(log(&session) > end.bytes_since(position));
    assert_eq!(session.poll_timeout(), None);
    // The server dies as well.
    let mut session = successor(&session, later, &held);
    let later = later + Duration::from_secs(3600);
    session.handle_timeout(later);
    assert!(log(&session) > end.bytes_since(position));
    attach(&mut session, later, 2, Some(position));
    let mut wire = Vec::new();
    let _ = session.poll_transmit(later, CONNECTION, &mut wire);
    assert_eq!(first_output(&wire), Some(position));
    // It leaves in order: nobody is waited for any more, but those of the server before.
    let leave = ClientMessage::Detach;
    session.handle_message(later, CONNECTION, &leave).unwrap();
    let _ = session.poll_transmit(later, CONNECTION, &mut wire);
    session.handle_closed(later, CONNECTION);
    assert!(log(&session) > 0);
}

#[test]
fn a_finished_session_keeps_no_log_for_who_left_or_is_too_far_behind() {
    for leaves in [true, false] {
        let (mut session, now) = session();
        attach(&mut session, now, 1, None);
        let mut wire = Vec::new();
        let _ = session.poll_transmit(now, CONNECTION, &mut wire);
        print(&mut session, now, MIB);
        if leaves {
            let leave = ClientMessage::Detach;
            session.handle_message(now, CONNECTION, &leave).unwrap();
            let _ = session.poll_transmit(now, CONNECTION, &mut wire);
        }
        session.handle_closed(now, CONNECTION);
        print(&mut session, now, if leaves { MIB } else { 40 * MIB });
        finish(&mut session, now);
        session.handle_timeout(now + Duration::from_secs(60));
        assert_eq!(log(&session), 0, "{leaves}");
        assert_eq!(session.poll_timeout(), None);
    }
}

#[test]
fn a_checkpoint_gives_back_the_memory_of_the_one_before() {
    let mut journal = Journal::unshared().unwrap();
    let replay = vec![b'x'; 8 << 20];
    let size = Size::new(24, 80);
    for _ in 0..3 {
        journal
            .write_checkpoint(journal.log.end(), size, &replay)
            .unwrap();
        assert_eq!(journal.read_checkpoint().unwrap().replay, replay);
        let memory = journal.memory_bytes().unwrap();
        assert!(memory < 9 * MIB, "{memory}");
    }
    journal
        .write_checkpoint(journal.log.end(), size, b"small")
        .unwrap();
    assert!(journal.memory_bytes().unwrap() < MIB);
}

#[test]
fn a_share_of_the_budget_takes_the_oldest_lines_out_of_memory_and_journal() {
    const SHARE: usize = 256 << 10;
    let limits = Limits {
        history_lines: 1_000_000,
        history_bytes: 4 << 20,
    };
    let now = Instant::now();
    let journal = Journal::unshared().unwrap();
    let (file, input) = journal.descriptors().unwrap();
    let mut session = Session::new(now, record(), journal, limits);
    print_noise(&mut session, now, 10 * MIB);
    assert!(session.history_bytes() > 3 << 20);
    let journal = session.usage().journal;
    assert!(!session.poll_freed());
    session.set_history_share(SHARE);
    assert!(session.poll_freed());
    let usage = session.usage();
    assert!(usage.history <= SHARE as u64, "{usage:?}");
    assert!(usage.history > SHARE as u64 / 2, "{usage:?}");
    // The journal had a copy of what went.
    assert!(usage.journal + 3 * MIB < journal, "{usage:?}");
    // It keeps to that by itself.
    print_noise(&mut session, now, MIB);
    assert!(session.history_bytes() <= SHARE);
    // Also where the share becomes less while the model is behind.
    let line = b"the terminal model has not seen this line yet\r\n";
    session.output_buffer()[..line.len()].copy_from_slice(line);
    session.handle_output(now, line.len());
    session.set_history_share(SHARE / 2);
    session.settle(now + Duration::from_secs(1));
    assert!(session.history_bytes() <= SHARE / 2);
    let journal = Journal::open(file, input).unwrap();
    let successor = Session::new(now, record(), journal, limits);
    assert_eq!(successor.history_bytes(), session.history_bytes());
}

#[test]
fn a_history_too_long_for_the_journal_leaves_its_newest_lines_to_the_next_server() {
    let limits = Limits {
        history_lines: 1_000_000,
        history_bytes: 16 << 20,
    };
    let now = Instant::now();
    let journal = Journal::unshared().unwrap();
    let (file, input) = journal.descriptors().unwrap();
    let mut session = Session::new(now, record(), journal, limits);
    // In the history the colours take a few bytes, in a replay many.
    let line: String = (0..70)
        .map(|column| format!("\x1b[38;2;1;2;{};48;2;3;4;5mx", column % 3))
        .collect();
    let line = line + "\r\n";
    for _ in 0..30_000 {
        session.output_buffer()[..line.len()].copy_from_slice(line.as_bytes());
        session.handle_output(now, line.len());
    }
    rest(&mut session, now);
    let journal = Journal::open(file, input).unwrap();
    let successor = Session::new(now, record(), journal, limits);
    assert!(successor.history_bytes() > session.history_bytes() / 8);
}

/// As of a log whose lines are alike.
#[test]
fn a_history_is_packed_once_the_burst_is_over_and_after_a_takeover_at_once() {
    let now = Instant::now();
    let (mut session, _, held) = held_session();
    let line = b"the quick brown fox jumps over the lazy dog\r\n";
    for _ in 0..10_000 {
        session.output_buffer()[..line.len()].copy_from_slice(line);
        session.handle_output(now, line.len());
    }
    let burst = Duration::from_secs(1);
    session.settle(now + burst);
    let plain = session.history_bytes();
    assert!(plain > 300 << 10, "{plain}");
    assert!(!session.poll_freed());
    let mut steps = 0;
    while let Some(due) = session.poll_timeout() {
        session.handle_timeout(due);
        steps += 1;
    }
    let packed = session.history_bytes();
    // The newest block is written to still.
    assert!(packed < plain / 50 + (32 << 10), "{plain}, then {packed}");
    // One at a time, so that keys wait for one at most.
    assert_eq!(steps, plain / (32 << 10));
    assert!(session.poll_freed() && !session.poll_freed());
    let successor = successor(&session, now, &held);
    assert_eq!(successor.history_bytes(), packed);
}
