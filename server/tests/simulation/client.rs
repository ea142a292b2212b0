//! A client: its link, its user, and her terminal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use psess_protocol::codec;
use psess_protocol::frame::{self, Decoder, Frame, Kind as FrameKind};
use psess_protocol::hello::{Hello, HelloFinder};
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::link::{
    Action, Closed, ClosedKind, End, Event, Link, LinkOptions, Reach, State, Trying,
};
use psess_protocol::message::{ClientMessage, History, ServerMessage, Target};
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::size::Size;
use psess_protocol::terminal::Terminal;
use psess_protocol::timing::Timing;
use psess_server::session::ConnectionId;

use crate::network::{Arrival, Path, Wire};
use crate::program;
use crate::scene::{BARE, Kind, SCREEN, Scene};

/// When TCP repeats the first packet of a connection (tcp_syn_retries in tcp(7)), in seconds.
const KNOCKS_S: [u64; 4] = [1, 3, 7, 15];

/// Most terminal bytes that are under way or not written, of all connections there were.
const MAX_WINDOW: usize = 256 << 10;

pub(crate) struct Client {
    pub(crate) number: u8,
    pub(crate) link: Link,
    /// How long its machine has slept: its clock stood still.
    pub(crate) slept: Duration,
    pub(crate) path: Path,
    /// No new connection gets through until then.
    pub(crate) down_until: Option<Instant>,
    connections: BTreeMap<Generation, Connection>,
    dials: Vec<(Instant, Generation, Result<(), ClosedKind>)>,
    /// The dial that may ask the user, and so may take its time.
    interactive: Option<Generation>,
    /// The connection that carries the session.
    attached: Option<Generation>,
    /// What its terminal has not taken.
    queue: usize,
    /// Bytes per second that its terminal takes.
    terminal_rate: u64,
    /// Until when its terminal has taken what it could.
    written: Instant,
    pub(crate) stalled_until: Option<Instant>,
    pub(crate) terminal: Terminal,
    pub(crate) size: Size,
    /// How much of the output was shown.
    pub(crate) shown: u64,
    /// The replay that is under way: bytes that are missing, and where it ends.
    replay: Option<(u64, Option<Offset>)>,
    /// Replays that became whole.
    pub(crate) replays: u64,
    pub(crate) questions: u64,
    /// The key that it is asked for, and since when.
    asked: Option<(u8, Instant)>,
    pub(crate) typed: Vec<u8>,
    pub(crate) ended: Option<End>,
    /// Connections that ended before all input was acknowledged that was written to the pty.
    pub(crate) unacknowledged: u64,
}

/// The client's side of a connection.
enum Connection {
    Greeting(HelloFinder),
    Open(Decoder),
}

impl Client {
    pub(crate) fn new(scene: &mut Scene, number: u8) -> Self {
        let link = Link::new(
            scene.now,
            LinkOptions {
                timing: Timing::default(),
                reach: scene.plan.reach,
                session: Target::Latest,
                client: ClientId([1 + number; 16]),
                size: SCREEN,
                history: History::All,
                read_only: false,
                detach_others: false,
                seed: scene.chance.next(),
            },
        );
        let path = match scene.plan.reach {
            Reach::Local => Path {
                delay: Duration::from_micros(50),
                rate: None,
            },
            Reach::Remote => Path {
                delay: scene.chance.time(Duration::from_millis(300)),
                rate: scene
                    .chance
                    .once_in(4)
                    .then(|| 16_000 << scene.chance.below(8)),
            },
        };
        Self {
            number,
            link,
            slept: Duration::ZERO,
            path,
            down_until: None,
            connections: BTreeMap::new(),
            dials: Vec::new(),
            interactive: None,
            attached: None,
            queue: 0,
            terminal_rate: 50_000 << scene.chance.below(8),
            written: scene.now,
            stalled_until: None,
            terminal: Terminal::new(SCREEN, BARE),
            size: SCREEN,
            shown: 0,
            replay: None,
            replays: 0,
            questions: 0,
            asked: None,
            typed: Vec::new(),
            ended: None,
            unacknowledged: 0,
        }
    }

    /// Its own clock, which stands still while its machine sleeps.
    pub(crate) fn now(&self, scene: &Scene) -> Instant {
        scene.now - self.slept
    }

    /// How a server calls its connection.
    pub(crate) fn id(&self, generation: Generation) -> ConnectionId {
        ConnectionId(u64::from(self.number) << 32 | generation.0)
    }

    /// Whose connection it is.
    pub(crate) fn of_id(id: ConnectionId) -> (usize, Generation) {
        ((id.0 >> 32) as usize, Generation(id.0 & 0xffff_ffff))
    }

    // --- what the link wants ---

    pub(crate) fn act(&mut self, scene: &mut Scene) {
        let now = self.now(scene);
        let mut actions = 0;
        while let Some(action) = self.link.poll(now) {
            actions += 1;
            assert!(actions < 1_000, "the link wants ever more");
            match action {
                Action::Dial {
                    generation,
                    interactive,
                } => self.dial(scene, generation, interactive),
                Action::Close(generation) => {
                    self.dials.retain(|(_, dialled, _)| *dialled != generation);
                    self.hang_up(scene, generation);
                }
                Action::Send(generation, message) => {
                    self.send(scene, generation, &encode(&message));
                }
                Action::SendInput(generation, offset, input) => {
                    self.send(scene, generation, &encode_input(offset, &input));
                }
                Action::End(end) => {
                    self.ended = Some(end);
                    self.dials.clear();
                    let open: Vec<_> = self.connections.keys().copied().collect();
                    for generation in open {
                        self.hang_up(scene, generation);
                    }
                }
            }
        }
    }

    fn send(&self, scene: &mut Scene, generation: Generation, bytes: &[u8]) {
        let id = self.id(generation);
        scene.network.send_up(scene.now, id, bytes.to_vec());
    }

    fn hang_up(&mut self, scene: &mut Scene, generation: Generation) {
        self.connections.remove(&generation);
        scene.network.hang_up(self.id(generation));
    }

    // --- dialling ---

    fn dial(&mut self, scene: &mut Scene, generation: Generation, interactive: bool) {
        if interactive {
            self.interactive = Some(generation);
        }
        let chance = &mut scene.chance;
        let mut begins = scene.now;
        let result = if generation == Generation(1) {
            // Would it fail, that were the end.
            Ok(())
        } else if let Some(until) = self.down_until.filter(|until| *until > scene.now) {
            // One that may ask the user hangs for as long as she lets it.
            if !interactive && chance.once_in(2) {
                let knock = KNOCKS_S.map(|after| scene.now + Duration::from_secs(after));
                let Some(knock) = knock.into_iter().find(|at| *at >= until) else {
                    return;
                };
                begins = knock;
                Ok(())
            } else {
                Err(ClosedKind::Unreachable)
            }
        } else if scene.plan.cut.is_none() && scene.troubled && chance.once_in(6) {
            Err(match chance.below(8) {
                0 if scene.plan.reach == Reach::Remote => ClosedKind::NeedsUser,
                1..=3 => ClosedKind::Broken,
                _ => ClosedKind::Unreachable,
            })
        } else {
            Ok(())
        };
        let takes = match scene.plan.reach {
            Reach::Local => Duration::from_millis(1),
            Reach::Remote => self.path.delay * 7 + chance.time(Duration::from_millis(500)),
        };
        self.dials.push((begins + takes, generation, result));
    }

    pub(crate) fn finish_dials(&mut self, scene: &mut Scene) {
        let done = self.dials.extract_if(.., |(at, _, _)| *at <= scene.now);
        let done: Vec<_> = done.collect();
        for (_, generation, result) in done {
            let now = self.now(scene);
            match result {
                Ok(()) => {
                    let second = self.number == 0 && generation == Generation(2);
                    let cut = scene.plan.cut.filter(|_| second);
                    let wire = Wire::new(self.path, cut);
                    scene.network.wires.insert(self.id(generation), wire);
                    let mut nonce = [0; 16];
                    nonce.fill_with(|| scene.chance.next() as u8);
                    let hello = Hello {
                        nonce,
                        ..Hello::of_client()
                    };
                    self.send(scene, generation, &hello.encode());
                    let greeting = Connection::Greeting(HelloFinder::new(&hello));
                    self.connections.insert(generation, greeting);
                }
                Err(kind) => self.link.handle_closed(now, generation, closed(kind)),
            }
            self.act(scene);
        }
    }

    // --- what comes ---

    /// Something came on a connection, or its end.
    pub(crate) fn receive(&mut self, scene: &mut Scene, generation: Generation, arrival: Arrival) {
        let Some(mut connection) = self.connections.remove(&generation) else {
            return;
        };
        let now = self.now(scene);
        let bytes = match arrival {
            Arrival::Nothing => {
                self.connections.insert(generation, connection);
                return;
            }
            Arrival::End => {
                self.hang_up(scene, generation);
                let closed = closed(ClosedKind::Broken);
                self.link.handle_closed(now, generation, closed);
                return;
            }
            Arrival::Bytes(bytes) => bytes,
        };
        let mut rest = bytes;
        if let Connection::Greeting(finder) = &mut connection {
            match finder.feed(&rest).expect("the server's hello is good") {
                Some((hello, frames)) => {
                    rest = frames;
                    connection = Connection::Open(Decoder::new());
                    self.link.handle_hello(now, generation, &hello);
                }
                None => rest.clear(),
            }
        } else {
            self.link.handle_received(now, generation);
        }
        if let Connection::Open(decoder) = &mut connection {
            self.take_frames(scene, generation, decoder, &rest);
        }
        self.connections.insert(generation, connection);
        // What the link has closed meanwhile is gone after this.
        self.act(scene);
    }

    fn take_frames(
        &mut self,
        scene: &Scene,
        generation: Generation,
        decoder: &mut Decoder,
        mut rest: &[u8],
    ) {
        let now = self.now(scene);
        while !rest.is_empty() {
            let taken = decoder.feed(rest);
            rest = &rest[taken..];
            while let Some(frame) = decoder.next().expect("the server's frames are good") {
                match frame {
                    Frame::Message(body) => {
                        let message = codec::decode(body).expect("the server's messages are good");
                        self.take_message(now, generation, message);
                    }
                    Frame::Output(offset, bytes) => {
                        if self
                            .link
                            .handle_output(now, generation, offset, bytes.len())
                        {
                            assert_eq!(offset.0, self.shown, "output left out or shown twice");
                            self.shown += bytes.len() as u64;
                            self.show(bytes);
                        }
                    }
                    Frame::Replay(bytes) => {
                        if self.link.handle_replay(now, generation, bytes.len()) {
                            self.show(bytes);
                            self.replayed(bytes.len() as u64);
                        }
                    }
                    Frame::Input(..) => panic!("the server sent input"),
                }
            }
        }
    }

    fn take_message(&mut self, now: Instant, generation: Generation, message: ServerMessage) {
        let announced = match message {
            ServerMessage::Replay(replay) => Some((replay.length, replay.position)),
            _ => None,
        };
        let waited = self.link.stats(now).waiting_bytes;
        match self.link.handle_message(now, generation, message) {
            Some(Event::Attached { given_up_bytes, .. }) => {
                let waits = self.link.stats(now).waiting_bytes;
                self.unacknowledged += u64::from(waits < waited);
                assert_eq!(given_up_bytes, 0, "typed bytes were given up");
                self.attached = Some(generation);
            }
            Some(Event::Renamed) => {}
            Some(Event::Replay { .. }) => {
                self.replay = announced;
                self.replayed(0);
            }
            None => {}
        }
    }

    fn replayed(&mut self, bytes: u64) {
        let (missing, position) = self.replay.as_mut().expect("it was announced");
        *missing -= bytes;
        if *missing == 0 {
            if let Some(position) = *position {
                assert!(position.0 >= self.shown, "a replay of the past");
                self.shown = position.0;
            }
            self.replay = None;
            self.replays += 1;
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.terminal.feed(bytes);
        self.queue += bytes.len();
        assert!(self.queue <= MAX_WINDOW, "a queue without bound");
    }

    /// Her terminal takes what it can of what it was given.
    pub(crate) fn write_to_terminal(&mut self, scene: &Scene) {
        let took = scene.now.saturating_duration_since(self.written);
        self.written = scene.now;
        if self.queue > 0 && self.stalled_until.is_none_or(|until| until <= scene.now) {
            let most = (took.as_micros() as u64 * self.terminal_rate / 1_000_000) as usize;
            let taken = self.queue.min(most);
            self.queue -= taken;
            self.link.handle_written(taken);
        }
    }

    // --- the user ---

    pub(crate) fn type_keys(&mut self, scene: &mut Scene, length: usize) {
        let now = self.now(scene);
        let deaf = self.wanted_key(now).is_some() || self.link.state() == State::Ended;
        if deaf || self.link.input_room() < length {
            return;
        }
        let typed: Vec<u8> = (0..length)
            .map(|_| program::key(scene, self.number))
            .collect();
        self.link.handle_typed(now, &typed);
        self.typed.extend_from_slice(&typed);
    }

    /// The key that it is to press, which is not for the program.
    fn wanted_key(&self, now: Instant) -> Option<u8> {
        match self.link.banner(now)?.trying {
            Trying::Asking => Some(b'y'),
            Trying::Stopped(_) => Some(b'\r'),
            Trying::Waiting | Trying::Dialling(_) | Trying::Pausing(..) => None,
        }
    }

    /// Does what the banner asks for, once that was read.
    pub(crate) fn answer_banner(&mut self, scene: &Scene) {
        let now = self.now(scene);
        let wanted = self.wanted_key(now);
        self.asked = self.asked.filter(|(key, _)| Some(*key) == wanted);
        let Some(key) = wanted else { return };
        let (_, since) = *self.asked.get_or_insert((key, now));
        if now >= since + Timing::default().answer_after {
            self.asked = None;
            self.questions += u64::from(key == b'y');
            self.link.handle_typed(now, &[key]);
        }
    }

    pub(crate) fn resize(&mut self, scene: &mut Scene) {
        let rows = 3 + scene.chance.below(8) as u16;
        let columns = 10 + scene.chance.below(40) as u16;
        self.size = Size::new(rows, columns);
        self.terminal.resize(self.size);
        self.link.handle_resized(self.now(scene), self.size);
    }

    // --- how it is ---

    /// Whether it is attached by a connection that works.
    pub(crate) fn is_live(&self, scene: &Scene) -> bool {
        let wire = self
            .attached
            .and_then(|generation| scene.network.wires.get(&self.id(generation)));
        self.link.state() == State::Live && wire.is_some_and(Wire::is_sound)
    }

    /// The connection on which it asked to attach and has no answer.
    pub(crate) fn attaching(&self) -> Option<Generation> {
        let mut open = self.connections.iter().rev();
        open.find(|(generation, connection)| {
            let is_greeted = matches!(connection, Connection::Open(_));
            is_greeted && Some(**generation) > self.attached
        })
        .map(|(generation, _)| *generation)
    }

    /// Whether a dial may take longer than it has before it makes way for younger ones.
    pub(crate) fn dials_slowly(&self) -> bool {
        let timing = Timing::default();
        let has = timing.redial_beside * (timing.dials_at_once as u32 - 1);
        self.path.delay * 9 + Duration::from_secs(1) > has
    }

    /// Whether it waits for a user who is not asked anything: a dial that may ask hangs.
    pub(crate) fn hangs(&self, scene: &Scene) -> bool {
        let wire = self
            .interactive
            .filter(|generation| self.connections.contains_key(generation))
            .and_then(|generation| scene.network.wires.get(&self.id(generation)));
        self.interactive != self.attached && wire.is_some_and(|wire| !wire.is_sound())
    }

    /// Whether it shows a picture, and all that it typed was read.
    pub(crate) fn is_whole(&self, scene: &Scene, printed: u64) -> bool {
        self.link.state() == State::Live
            && self.link.stats(self.now(scene)).waiting_bytes == 0
            && self.has_picture()
            && (self.shown == printed || scene.plan.kind == Kind::Redrawn)
    }

    /// Whether a replay came, and none is under way.
    pub(crate) fn has_picture(&self) -> bool {
        self.replay.is_none() && self.replays > 0
    }

    pub(crate) fn link_redials(&self) -> u64 {
        self.link.stats(Instant::now()).redials
    }

    pub(crate) fn state(&self, scene: &Scene) -> String {
        let now = self.now(scene);
        format!(
            "client {}: {:?} ended {:?} banner {:?} {:?} typed {} shown {} replays {} path {:?} \
             connections {:?} attached {:?}",
            self.number,
            self.link.state(),
            self.ended,
            self.link.banner(now),
            self.link.stats(now),
            self.typed.len(),
            self.shown,
            self.replays,
            self.path,
            self.connections.keys().collect::<Vec<_>>(),
            self.attached,
        )
    }
}

fn encode(message: &ClientMessage) -> Vec<u8> {
    let body = codec::encode(message).expect("small");
    let mut bytes = Vec::new();
    frame::encode(FrameKind::Message, &[&body], &mut bytes);
    bytes
}

fn encode_input(offset: InputOffset, input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode_input(offset, input, &mut bytes);
    bytes
}

fn closed(kind: ClosedKind) -> Closed {
    Closed {
        kind,
        words: String::new(),
    }
}
