//! What clients' terminals have in their scrollbacks when others attach in other sizes, links are
//! cut, and servers die: each line once.

mod record;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use fastrand::Rng;
use psess_protocol::codec;
use psess_protocol::frame::{Decoder, Frame};
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::link::OutputPosition;
use psess_protocol::message::{
    Attach, ClientMessage, History, ReplayPurpose, ServerMessage, Target,
};
use psess_protocol::offset::InputOffset;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};
use psess_server::journal::Journal;
use psess_server::session::{ConnectionId, Session};

use record::record;

const SMALL: Size = Size {
    rows: 24,
    columns: 80,
    pixel_width: 0,
    pixel_height: 0,
};
const LARGE: Size = Size { rows: 30, ..SMALL };

/// A session that prints numbered lines.
struct Printer {
    session: Session,
    /// Its journal's.
    descriptors: (OwnedFd, OwnedFd),
    now: Instant,
    printed: u32,
    /// How much stands in each line behind its number.
    padding: usize,
}

impl Printer {
    fn new() -> Self {
        let now = Instant::now();
        let journal = Journal::unshared().unwrap();
        let descriptors = journal.descriptors().unwrap();
        Self {
            session: Session::new(now, record(), journal, Limits::default()),
            descriptors,
            now,
            printed: 0,
            padding: 0,
        }
    }

    /// The server is killed, and another one takes over.
    fn restart(&mut self) {
        let copy = |fd: &OwnedFd| fd.try_clone().unwrap();
        let (file, input) = &self.descriptors;
        let journal = Journal::open(copy(file), copy(input)).unwrap();
        self.session = Session::new(self.now, record(), journal, Limits::default());
    }

    fn print_text(&mut self, text: &str) {
        for part in text.as_bytes().chunks(4000) {
            self.session.output_buffer()[..part.len()].copy_from_slice(part);
            self.session.handle_output(self.now, part.len());
        }
    }

    fn print(&mut self, lines: u32) {
        let first = self.printed;
        self.printed += lines;
        let text: String = (first..self.printed)
            .map(|number| format!("line {number};{}\r\n", "x".repeat(self.padding)))
            .collect();
        self.print_text(&text);
    }
}

/// A client, and the terminal of its user.
struct Client {
    number: u8,
    generation: u64,
    size: Size,
    terminal: Terminal,
    /// What is under way to it.
    wire: Vec<u8>,
    decoder: Decoder,
    written: u64,
    output: OutputPosition,
    /// Lines that it was told went by.
    skipped: u64,
    typed: u64,
}

impl Client {
    fn attach(printer: &mut Printer, number: u8, size: Size) -> Self {
        let limits = Limits {
            history_lines: 100_000,
            history_bytes: 64 << 20,
        };
        let mut client = Self {
            number,
            generation: 0,
            size,
            terminal: Terminal::new(size, limits),
            wire: Vec::new(),
            decoder: Decoder::new(),
            written: 0,
            output: OutputPosition::default(),
            skipped: 0,
            typed: 0,
        };
        client.dial(printer, History::All);
        client.receive(printer);
        client
    }

    fn connection(&self) -> ConnectionId {
        ConnectionId(u64::from(self.number) << 8 | self.generation)
    }

    fn dial(&mut self, printer: &mut Printer, history: History) {
        self.generation += 1;
        self.wire.clear();
        self.decoder = Decoder::new();
        self.written = 0;
        let attach = Attach {
            session: Target::Latest,
            client: ClientId([self.number; 16]),
            generation: Generation(self.generation),
            size: self.size,
            position: self.output.resumable(),
            history,
            read_only: false,
            heartbeat_ms: 1_000_000,
            detach_others: false,
        };
        let attached = printer
            .session
            .attach(printer.now, self.connection(), &attach);
        attached.unwrap();
        self.receive_some(printer);
    }

    /// The link is cut; after `meanwhile` it is made again.
    fn redial(&mut self, printer: &mut Printer, meanwhile: impl FnOnce(&mut Printer)) {
        printer
            .session
            .handle_closed(printer.now, self.connection());
        meanwhile(printer);
        let taken_back = self.output.taken_back();
        let offset = self.output.in_scrollback();
        let history = offset.map_or(History::All, |offset| History::Since { offset, taken_back });
        self.dial(printer, history);
    }

    /// The user's window has another size.
    fn resize(&mut self, size: Size) {
        self.output.handle_resized(self.size, size);
        self.size = size;
        self.terminal.resize(size);
    }

    fn send(&self, printer: &mut Printer, message: &ClientMessage) {
        let sent = printer
            .session
            .handle_message(printer.now, self.connection(), message);
        sent.unwrap();
    }

    fn types(&mut self, printer: &mut Printer) {
        let offset = InputOffset(self.typed);
        self.typed += 1;
        let typed = printer
            .session
            .handle_input(printer.now, self.connection(), offset, b"x");
        typed.unwrap();
    }

    /// Takes all there is, and says so.
    fn receive(&mut self, printer: &mut Printer) {
        while self.receive_some(printer) {}
    }

    /// Takes what is sent at once; whether there was something.
    fn receive_some(&mut self, printer: &mut Printer) -> bool {
        self.poll(printer);
        let wire = std::mem::take(&mut self.wire);
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            let taken = decoder.feed(rest);
            rest = &rest[taken..];
            while let Some(frame) = decoder.next().unwrap() {
                self.take(&frame);
            }
        }
        self.decoder = decoder;
        self.send(printer, &ClientMessage::Written(self.written));
        !wire.is_empty()
    }

    /// Has the server send what it may.
    fn poll(&mut self, printer: &mut Printer) {
        let (now, connection) = (printer.now, self.connection());
        let _ = printer
            .session
            .poll_transmit(now, connection, &mut self.wire);
    }

    fn take(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Message(body) => match codec::decode(body).unwrap() {
                ServerMessage::Replay(replay) => {
                    self.output.begin_replay(replay);
                    if let ReplayPurpose::CatchUp { skipped_lines } = replay.purpose {
                        self.skipped += skipped_lines;
                    }
                }
                ServerMessage::Attached(attached) => {
                    self.output.begin_connection(attached.resumed);
                }
                _ => {}
            },
            Frame::Output(offset, bytes) => {
                assert!(self.output.output(*offset, bytes.len()));
                self.show(bytes);
            }
            Frame::Replay(bytes) => {
                assert!(self.output.replay(bytes.len()));
                self.show(bytes);
            }
            Frame::Input(..) => panic!("a server sends no input"),
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        self.terminal.feed(bytes);
    }

    fn is_picture(&self) -> bool {
        self.output.resumable().is_none() && !self.output.is_in_replay()
    }

    /// The numbers of the lines that the user can see by scrolling.
    fn lines(&self) -> Vec<u32> {
        let snapshot = self.terminal.snapshot();
        let shown = |name: &str| name.starts_with("history ") || name.starts_with("main ");
        snapshot
            .entries
            .iter()
            .filter(|(name, _)| shown(name))
            .filter_map(|(_, text)| {
                let number = text.strip_prefix("line ")?.split(';').next();
                number?.parse().ok()
            })
            .collect()
    }

    /// How many lines are there more than once; none is missing.
    #[track_caller]
    fn doubled_lines(&self, printer: &Printer) -> usize {
        let lines = self.lines();
        let missing: Vec<_> = (0..printer.printed)
            .filter(|line| !lines.contains(line))
            .collect();
        assert_eq!(missing, []);
        lines.len() - printer.printed as usize
    }

    #[track_caller]
    fn has_each_line_once(&self, printer: &Printer) {
        assert_eq!(self.lines(), (0..printer.printed).collect::<Vec<_>>());
        assert_eq!(self.skipped, 0);
    }
}

/// Two clients, after 200 lines.
fn two() -> (Printer, Client, Client) {
    let mut printer = Printer::new();
    let mut small = Client::attach(&mut printer, 1, SMALL);
    printer.print(200);
    small.receive(&mut printer);
    let large = Client::attach(&mut printer, 2, LARGE);
    small.receive(&mut printer);
    (printer, small, large)
}

#[test]
fn clients_of_two_sizes_that_take_turns_miss_no_line() {
    for lines in [0, 1, 3, 6, 7, 24, 29, 31, 5_000] {
        let (mut printer, mut small, mut large) = two();
        for _ in 0..4 {
            for is_small in [true, false] {
                match is_small {
                    true => small.types(&mut printer),
                    false => large.types(&mut printer),
                }
                printer.print(lines);
                small.receive(&mut printer);
                large.receive(&mut printer);
                match is_small {
                    true => small.has_each_line_once(&printer),
                    false => large.has_each_line_once(&printer),
                }
            }
        }
    }
}

#[test]
fn a_client_that_was_behind_when_another_resized_the_session_misses_no_line() {
    let (mut printer, mut small, mut large) = two();
    small.types(&mut printer);
    large.receive(&mut printer);
    small.receive(&mut printer);
    printer.print(100);
    large.types(&mut printer);
    printer.print(100);
    small.receive(&mut printer);
    small.types(&mut printer);
    small.receive(&mut printer);
    small.has_each_line_once(&printer);
}

#[test]
fn a_client_whose_history_was_cut_short_by_another_size_has_all_of_it_later() {
    let (mut printer, mut small, mut large) = two();
    large.types(&mut printer);
    printer.print(9_000);
    small.types(&mut printer);
    // A part of the 9,000 lines.
    assert!(small.receive_some(&mut printer));
    assert!(small.output.is_in_replay());
    large.types(&mut printer);
    small.receive(&mut printer);
    small.types(&mut printer);
    small.receive(&mut printer);
    assert!(small.doubled_lines(&printer) > 0, "that part comes again");
}

/// Clients of any sizes, and links that are cut at any time: a line may come twice, but comes.
#[test]
fn whatever_happens_no_line_is_missing() {
    let sizes = [SMALL, LARGE, Size::new(24, 100), Size::new(10, 60)];
    for seed in 0..400_u64 {
        let mut random = Rng::with_seed(seed);
        let mut printer = Printer::new();
        printer.padding = [0, 0, 70, 200][random.usize(..4)];
        let mut clients: Vec<_> = (1..=1 + random.u8(..3))
            .map(|number| {
                printer.print(30);
                let size = sizes[random.usize(..4)];
                Client::attach(&mut printer, number, size)
            })
            .collect();
        for _ in 0..60 {
            let count = clients.len();
            let client = &mut clients[random.usize(..count)];
            match random.u8(..9) {
                0 => printer.print(random.u32(..5)),
                1 => printer.print(random.u32(..100)),
                2 => client.types(&mut printer),
                3 => client.poll(&mut printer),
                4 => drop(client.receive_some(&mut printer)),
                5 => client.receive(&mut printer),
                6 => client.send(&mut printer, &ClientMessage::Redraw),
                7 => {
                    // What is under way is drawn for the size before.
                    client.receive(&mut printer);
                    client.resize(sizes[random.usize(..4)]);
                    client.send(&mut printer, &ClientMessage::Resize(client.size));
                }
                _ => {
                    let lines = random.u32(..100);
                    if random.u8(..3) == 0 {
                        client.resize(sizes[random.usize(..4)]);
                    }
                    client.redial(&mut printer, |printer| printer.print(lines));
                }
            }
        }
        for client in &mut clients {
            client.types(&mut printer);
            client.receive(&mut printer);
            assert!(client.output.resumable().is_some(), "seed {seed}");
            client.doubled_lines(&printer);
            assert_eq!(client.skipped, 0, "seed {seed}");
        }
    }
}

#[test]
fn a_client_that_is_drawn_for_another_size_when_its_link_is_cut_misses_no_line() {
    let (mut printer, mut small, mut large) = two();
    large.types(&mut printer);
    printer.print(50);
    small.receive(&mut printer);
    assert!(small.is_picture());
    small.redial(&mut printer, |printer| printer.print(50));
    small.receive(&mut printer);
    small.types(&mut printer);
    small.receive(&mut printer);
    // In which of the two sizes it left is not known.
    let doubled = small.doubled_lines(&printer);
    assert_eq!(doubled, usize::from(LARGE.rows - SMALL.rows));
    // The other size came while it was away.
    large.receive(&mut printer);
    printer.print(10);
    small.receive(&mut printer);
    small.redial(&mut printer, |printer| {
        large.types(printer);
        printer.print(50);
    });
    small.receive(&mut printer);
    assert!(small.is_picture());
    small.types(&mut printer);
    small.receive(&mut printer);
    assert_eq!(small.doubled_lines(&printer), doubled);
}

#[test]
fn a_client_that_began_as_a_picture_has_the_history_once_it_is_none() {
    let mut printer = Printer::new();
    let mut small = Client::attach(&mut printer, 1, SMALL);
    printer.print(200);
    small.receive(&mut printer);
    let mut large = Client::attach(&mut printer, 2, LARGE);
    small.types(&mut printer);
    large.receive(&mut printer);
    assert!(large.is_picture());
    printer.print(10);
    large.types(&mut printer);
    large.receive(&mut printer);
    large.has_each_line_once(&printer);
}

#[test]
fn a_screen_that_is_drawn_anew_skips_nothing_that_is_unsent() {
    let mut printer = Printer::new();
    let mut client = Client::attach(&mut printer, 1, SMALL);
    printer.print(100);
    client.receive(&mut printer);
    printer.print(100);
    client.send(&mut printer, &ClientMessage::Redraw);
    client.receive(&mut printer);
    client.has_each_line_once(&printer);
    client.send(&mut printer, &ClientMessage::Redraw);
    client.receive(&mut printer);
    client.has_each_line_once(&printer);
}

#[test]
fn a_window_of_another_width_after_a_cut_misses_no_line() {
    for columns in [90, 70] {
        let mut printer = Printer::new();
        let mut client = Client::attach(&mut printer, 1, SMALL);
        printer.print(100);
        client.receive(&mut printer);
        client.resize(Size::new(24, columns));
        client.redial(&mut printer, |printer| printer.print(300));
        client.receive(&mut printer);
        client.has_each_line_once(&printer);
        printer.print(10);
        client.receive(&mut printer);
        client.has_each_line_once(&printer);
    }
}

#[test]
fn lines_that_the_program_cleared_did_not_go_by() {
    let (mut printer, mut small, mut large) = two();
    large.types(&mut printer);
    small.receive(&mut printer);
    for clear in ["\x1b[H\x1b[2J\x1b[3J", "\x1b[H\x1b[2J"] {
        printer.print_text(clear);
        let first = printer.printed;
        printer.print(100);
        small.types(&mut printer);
        small.receive(&mut printer);
        assert_eq!(small.skipped, 0);
        let lines = small.lines();
        let last = &lines[lines.len() - 100..];
        assert_eq!(last, (first..printer.printed).collect::<Vec<_>>());
        large.types(&mut printer);
        small.receive(&mut printer);
    }
}

#[test]
fn what_the_history_no_longer_has_is_counted() {
    let (mut printer, mut small, mut large) = two();
    large.types(&mut printer);
    printer.print(15_000);
    small.receive(&mut printer);
    small.types(&mut printer);
    small.receive(&mut printer);
    let lines = small.lines();
    let missing = u64::from(printer.printed) - lines.len() as u64;
    assert!(missing > 4_000, "{missing}");
    assert_eq!(small.skipped, missing);
}

#[test]
fn what_a_server_before_kept_and_the_log_no_longer_has_is_not_missing() {
    let mut printer = Printer::new();
    let mut client = Client::attach(&mut printer, 1, SMALL);
    printer.print(100);
    client.receive(&mut printer);
    client.redial(&mut printer, |printer| {
        printer.print(3_000);
        printer.restart();
        // More than is held, and longer.
        printer.now += Duration::from_secs(120);
        printer.print_text(&"\x1b[31mred \x1b[m\r".repeat(800_000));
        printer.print(10);
        printer.session.settle(printer.now + Duration::from_secs(1));
    });
    client.receive(&mut printer);
    client.doubled_lines(&printer);
}

#[test]
fn lines_in_the_place_of_those_that_came_back_are_not_missing() {
    for moves in [
        "\x1b[H",
        "\x1b[H\x1b[30M",
        "\x1b[H\x1b[30L",
        "\x1b[2J\x1b[H",
    ] {
        let (mut printer, mut small, mut large) = two();
        large.types(&mut printer);
        small.receive(&mut printer);
        printer.print_text(moves);
        let first = printer.printed;
        printer.print(40);
        small.types(&mut printer);
        small.receive(&mut printer);
        let lines = small.lines();
        let missing: Vec<_> = (first..printer.printed)
            .filter(|line| !lines.contains(line))
            .collect();
        assert_eq!(missing, [], "{moves:?}");
    }
}
