//! One scenario: clients and their users, the network, the server, and the program.

use std::time::{Duration, Instant};

use psess_protocol::frame::{Decoder, Frame};
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::link::{End, Reach};
use psess_protocol::message::{Attach, DetachReason, History, Target};
use psess_protocol::outcome::Outcome;
use psess_protocol::terminal::Terminal;
use psess_protocol::timing::Timing;
use psess_server::session::ConnectionId;

use crate::chance::Chance;
use crate::client::Client;
use crate::network::{Arrival, Cut, Network, Wire};
use crate::program::Program;
use crate::scene::{BARE, Ending, Kind, Plan, Scene};
use crate::server::Server;

/// How long faults go on.
const TROUBLE: Duration = Duration::from_secs(60);

/// In what time all that waited must have arrived, after the last fault: on the slowest line,
/// with the longest delays.
const RECOVERY: Duration = Duration::from_secs(240);

/// How often the connection of a terminal that stands still is cut.
pub(crate) const CUTS_OF_STALLED: u64 = 40;

/// Steps in which time stands still, in a row: one for each thing that is due at a moment.
const MOST_AT_ONCE: u32 = 100;

/// How a program ends here.
const OUTCOME: Outcome = Outcome::Exited(2);

pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) clients: Vec<Client>,
    pub(crate) server: Server,
    pub(crate) program: Program,
    pub(crate) restarts: u64,
    at_once: u32,
    timeouts: u64,
    cut_happened: bool,
    /// Since when some client has no connection that works.
    away: Option<Instant>,
    longest_away: Duration,
}

/// What happened in a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) redials: u64,
    pub(crate) replays: u64,
    pub(crate) restarts: u64,
    pub(crate) questions: u64,
    pub(crate) cuts: u64,
    pub(crate) ends: u64,
    /// Requests to attach that were refused.
    pub(crate) refused: u64,
    /// Connections whose end lost acknowledgements of input.
    pub(crate) unacknowledged: u64,
    /// The longest time without a connection that works, in any of them.
    pub(crate) longest: Duration,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.redials += other.redials;
        self.replays += other.replays;
        self.restarts += other.restarts;
        self.questions += other.questions;
        self.cuts += other.cuts;
        self.ends += other.ends;
        self.refused += other.refused;
        self.unacknowledged += other.unacknowledged;
        self.longest = self.longest.max(other.longest);
    }
}

impl World {
    /// Trouble of every kind, as the seed has it.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let plan = Plan {
            kind: match chance.below(8) {
                0 => Kind::Skipping,
                1 => Kind::Redrawn,
                _ => Kind::Lossless,
            },
            reach: if chance.once_in(8) {
                Reach::Local
            } else {
                Reach::Remote
            },
            clients: if chance.once_in(4) { 2 } else { 1 },
            trouble: 5 + chance.below(100),
            lasts: TROUBLE,
            cut: None,
            socket_bytes: 4096 << chance.below(6),
            end: match chance.below(12) {
                0 => Ending::Detach,
                1 => Ending::ExitInPeace,
                2 => Ending::ExitInTrouble,
                _ => Ending::None,
            },
        };
        Self::new(chance, plan)
    }

    /// Only this: the second connection is cut at a certain byte. It resumes, or begins with a
    /// replay.
    pub(crate) fn with_cut(seed: u64, cut: Cut, replays: bool) -> Self {
        let kind = if replays {
            Kind::Redrawn
        } else {
            Kind::Lossless
        };
        let mut world = Self::new(
            Chance::new(seed),
            Plan {
                kind,
                lasts: Duration::from_secs(15),
                cut: Some(cut),
                ..quiet()
            },
        );
        world.attach();
        if replays {
            world.clients[0].link.handle_disturbed(world.scene.now);
        }
        world.cut();
        world
    }

    /// Only this: the first connection is silent for some seconds, in which much is printed.
    pub(crate) fn with_takeover(seed: u64) -> Self {
        let plan = Plan {
            lasts: Duration::from_secs(20),
            socket_bytes: 1 << 20,
            ..quiet()
        };
        let mut world = Self::new(Chance::new(seed), plan);
        world.scene.troubled = false;
        world.attach();
        let lasts = world.scene.chance.time(Duration::from_secs(15));
        let until = world.scene.now + lasts;
        world.wire(Generation(1)).be_silent(until);
        while world.scene.now < until + Duration::from_secs(2) {
            world.life();
            world.print(3_000);
            world.step();
        }
        world
    }

    /// Only this: the next connection falls silent when it is about to attach, for so long that
    /// another one is there first, or nearly.
    pub(crate) fn with_late_attach(seed: u64) -> Self {
        let plan = Plan {
            lasts: Duration::from_secs(20),
            ..quiet()
        };
        let mut world = Self::new(Chance::new(seed), plan);
        world.scene.troubled = false;
        world.attach();
        world.cut();
        let generation = loop {
            if let Some(generation) = world.clients[0].attaching() {
                break generation;
            }
            assert!(world.scene.now < world.scene.start + RECOVERY);
            world.life();
            world.step();
        };
        let lasts = world.scene.chance.time(Duration::from_secs(12));
        let until = world.scene.now + lasts;
        world.wire(generation).be_silent(until);
        world
    }

    /// Only this: more is printed while the client is away than is kept, and it ends with the
    /// first `at` bytes of `within`. The others follow once the client is back.
    pub(crate) fn with_overflow(seed: u64, within: &str, at: usize) -> Self {
        let plan = Plan {
            kind: Kind::Skipping,
            lasts: Duration::ZERO,
            ..quiet()
        };
        let mut world = Self::new(Chance::new(seed), plan);
        world.attach();
        world.wait("no picture", |world| world.clients[0].has_picture());
        world.cut();
        world.step();
        let length = (33 << 20) + world.scene.chance.below(1 << 20) as usize;
        world.print(length);
        let (before, after) = within.as_bytes().split_at(at);
        // The flood may end within another sequence.
        world.print_text(&[b"\x18\r\n", before].concat());
        world.wait("no picture", |world| {
            let client = &world.clients[0];
            client.has_picture() && client.replays == 2
        });
        world.print_text(&[after, b"so it goes on\r\n"].concat());
        world
    }

    /// Only this: the user's terminal stands still while much is printed and the connection is cut
    /// many times.
    pub(crate) fn with_stalled_terminal(seed: u64) -> Self {
        let plan = Plan {
            lasts: Duration::ZERO,
            socket_bytes: 1 << 20,
            ..quiet()
        };
        let mut world = Self::new(Chance::new(seed), plan);
        world.scene.troubled = false;
        world.attach();
        world.wait("no picture", |world| world.clients[0].has_picture());
        world.clients[0].stalled_until = Some(world.scene.now + Duration::from_secs(3_600));
        for _ in 0..CUTS_OF_STALLED {
            world.print(25_000);
            let until = world.scene.now + Duration::from_secs(4);
            while world.scene.now < until {
                world.step();
            }
            world.cut();
            world.step();
            world.wait("not live again", |world| {
                world.clients[0].is_live(&world.scene)
            });
        }
        world
    }

    fn new(mut chance: Chance, plan: Plan) -> Self {
        // Not now: clocks go back from here as well.
        let start = Instant::now() + Duration::from_secs(100_000);
        chance.next();
        let mut scene = Scene {
            chance,
            plan,
            start,
            now: start,
            network: Network::default(),
            troubled: true,
        };
        let server = Server::new(&scene);
        let clients = (0..scene.plan.clients).map(|number| Client::new(&mut scene, number));
        Self {
            clients: clients.collect(),
            server,
            scene,
            program: Program::new(),
            restarts: 0,
            at_once: 0,
            timeouts: 0,
            cut_happened: false,
            away: None,
            longest_away: Duration::ZERO,
        }
    }

    fn attach(&mut self) {
        while !self.is_attached() {
            self.step();
        }
    }

    /// A connection of the first client.
    fn wire(&mut self, generation: Generation) -> &mut Wire {
        let id = self.clients[0].id(generation);
        self.scene.network.wires.get_mut(&id).expect("it is up")
    }

    /// Cuts the newest connection.
    fn cut(&mut self) {
        let mut wires = self.scene.network.wires.values_mut();
        let wire = wires.next_back().expect("it is up");
        wire.reset(&mut self.scene.chance);
    }

    /// Trouble, then peace; then all must be as if nothing had been.
    pub(crate) fn run(mut self) -> Tally {
        let exit_in_trouble = self.scene.plan.end == Ending::ExitInTrouble;
        let troubled_until = self.scene.start + self.scene.plan.lasts;
        while self.scene.now < troubled_until {
            self.life();
            // A first dial that fails is the end, and rightly so.
            if self.is_attached() {
                if self.scene.chance.once_in(self.scene.plan.trouble) {
                    self.trouble();
                }
                if exit_in_trouble && self.session_runs() && self.scene.chance.once_in(100) {
                    self.exit();
                }
            }
            self.step();
        }
        self.heal();
        if exit_in_trouble && self.session_runs() {
            self.exit();
        }
        if self.session_runs() {
            self.recover();
            self.compare();
        }
        self.end();
        self.tally()
    }

    // --- peace ---

    /// Links come back in the time that the constants promise; then all that waited arrives.
    fn recover(&mut self) {
        let types = self.scene.chance.once_in(2);
        let healed = self.scene.now;
        let mut clients = self.clients.iter();
        let slow = clients.any(Client::dials_slowly);
        let live_again = if types {
            live_again_typing(slow)
        } else {
            live_again(slow)
        };
        let bound = healed + live_again + self.hanging();
        let mut next_key = healed;
        while !self
            .clients
            .iter()
            .all(|client| client.is_live(&self.scene))
        {
            assert!(self.scene.now < bound, "not live again: {}", self.state());
            if types && next_key <= self.scene.now {
                next_key = self.scene.now + Duration::from_secs(2);
                for client in &mut self.clients {
                    client.type_keys(&mut self.scene, 1);
                }
            }
            self.answer_banners();
            self.step();
        }
        self.wait("no recovery", Self::is_whole);
    }

    fn wait(&mut self, what: &str, until: impl Fn(&Self) -> bool) {
        let end = self.scene.now + RECOVERY + self.hanging();
        while !until(self) {
            assert!(self.scene.now < end, "{what}: {}", self.state());
            self.answer_banners();
            self.read_input();
            self.step();
        }
    }

    /// For how long a dial may hang that may ask the user.
    fn hanging(&self) -> Duration {
        let mut clients = self.clients.iter();
        if clients.any(|client| client.hangs(&self.scene)) {
            Timing::default().dial_interactive
        } else {
            Duration::ZERO
        }
    }

    /// What was shown and read against what was printed and typed.
    fn compare(&mut self) {
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            assert_eq!(
                self.program.read[index], client.typed,
                "what the program read"
            );
            let expected = match self.scene.plan.kind {
                Kind::Lossless => {
                    assert_eq!(client.replays, 1, "output was skipped");
                    self.program.terminal()
                }
                Kind::Skipping => self.program.terminal(),
                Kind::Redrawn => self.redraw(index),
            };
            let shown = self.clients[index].terminal.snapshot().entries;
            let printed = expected.snapshot().entries;
            let differences: Vec<_> = shown
                .iter()
                .zip(&printed)
                .filter(|(a, b)| look(&a.1) != look(&b.1) && !self.may_differ(&a.0))
                .collect();
            assert!(
                differences.is_empty() && shown.len() == printed.len(),
                "what the user sees: {differences:?}: {}",
                self.state()
            );
        }
    }

    /// Whether terminals may differ in this. A replay may begin within a title: some take what
    /// they have for whole. A picture for another size leaves tab stops alone.
    fn may_differ(&self, what: &str) -> bool {
        what == "titles" || (what == "tabs" && self.scene.plan.kind == Kind::Redrawn)
    }

    /// Draws all anew: what came before a change of size looks different on different terminals.
    /// What is to be seen then.
    fn redraw(&mut self, index: usize) -> Terminal {
        let before = self.clients[index].replays;
        let client = &mut self.clients[index];
        client.link.handle_disturbed(client.now(&self.scene));
        self.wait("no redraw", |world| {
            let client = &world.clients[index];
            client.replays > before && client.has_picture()
        });
        self.observer(index)
    }

    /// What another client of the same size that attaches now would see.
    fn observer(&mut self, index: usize) -> Terminal {
        let size = self.clients[index].size;
        let id = ConnectionId(u64::MAX);
        let attach = Attach {
            session: Target::Latest,
            client: ClientId([8; 16]),
            generation: Generation(1 + index as u64),
            size,
            position: None,
            history: History::None,
            read_only: true,
            heartbeat_ms: 0,
            detach_others: false,
        };
        let session = &mut self.server.session;
        session.attach(self.scene.now, id, &attach).expect("it may");
        let mut bytes = Vec::new();
        let _ = session.poll_transmit(self.scene.now, id, &mut bytes);
        session.handle_closed(self.scene.now, id);
        let mut decoder = Decoder::new();
        let mut terminal = Terminal::new(size, BARE);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let taken = decoder.feed(rest);
            rest = &rest[taken..];
            while let Some(frame) = decoder.next().expect("the server's frames are good") {
                if let Frame::Replay(bytes) = frame {
                    terminal.feed(bytes);
                }
            }
        }
        terminal
    }

    /// Everybody is told how it ended, after all that came before.
    fn end(&mut self) {
        let expected = match self.scene.plan.end {
            Ending::None => return,
            Ending::Detach => {
                for client in &mut self.clients {
                    client.link.handle_detach(client.now(&self.scene));
                }
                End::Detached {
                    reason: DetachReason::Requested,
                    undelivered_bytes: 0,
                }
            }
            Ending::ExitInPeace => {
                self.exit();
                End::Finished(OUTCOME)
            }
            Ending::ExitInTrouble => End::Finished(OUTCOME),
        };
        self.wait("no end", |world| {
            world.clients.iter().all(|client| client.ended.is_some())
        });
        let finished = expected == End::Finished(OUTCOME);
        for client in &self.clients {
            assert_eq!(client.ended.as_ref(), Some(&expected), "{}", self.state());
            let printed = self.program.printed.len() as u64;
            assert!(
                !finished || self.scene.plan.kind == Kind::Redrawn || client.shown == printed,
                "the end came before all output: {}",
                self.state()
            );
            let read = &self.program.read[usize::from(client.number)];
            assert!(client.typed.starts_with(read), "what the program read");
        }
    }

    // --- life ---

    /// What users and a program do by themselves.
    fn life(&mut self) {
        for client in &mut self.clients {
            if self.scene.chance.once_in(4) {
                let length = self.scene.chance.length(20);
                client.type_keys(&mut self.scene, length);
            }
            if self.scene.chance.once_in(300) {
                let length = self.scene.chance.length(90_000);
                client.type_keys(&mut self.scene, length);
            }
        }
        if self.scene.chance.once_in(2) {
            let flood = self.scene.chance.once_in(100);
            let length = self.scene.chance.length(if flood { 200_000 } else { 600 });
            self.print(length);
        }
        if self.scene.chance.once_in(3) {
            self.read_input();
        }
        self.answer_banners();
    }

    pub(crate) fn print(&mut self, length: usize) {
        if self.session_runs() {
            let session = &mut self.server.session;
            self.program.print(&mut self.scene, session, length);
        }
    }

    fn print_text(&mut self, text: &[u8]) {
        let session = &mut self.server.session;
        self.program.print_text(&self.scene, session, text);
    }

    fn read_input(&mut self) {
        if !self.session_runs() {
            return;
        }
        self.program.read(&mut self.scene, &mut self.server.session);
        for client in &self.clients {
            let read = &self.program.read[usize::from(client.number)];
            assert!(
                client.typed.starts_with(read),
                "the program read what was not typed: {}",
                self.state()
            );
        }
    }

    fn exit(&mut self) {
        self.read_input();
        self.print(100);
        self.server.session.handle_exit(OUTCOME, 1);
        self.server.session.handle_end_of_output(self.scene.now);
    }

    fn answer_banners(&mut self) {
        for client in &mut self.clients {
            client.answer_banner(&self.scene);
        }
    }

    pub(crate) fn session_runs(&self) -> bool {
        self.server.session.outcome().is_none()
    }

    fn is_attached(&self) -> bool {
        let mut clients = self.clients.iter();
        clients.all(|client| client.link.session().is_some())
    }

    fn is_whole(&self) -> bool {
        let printed = self.program.printed.len() as u64;
        self.clients.iter().all(|client| {
            client.is_whole(&self.scene, printed)
                && self.program.read[usize::from(client.number)].len() == client.typed.len()
        })
    }

    // --- time ---

    /// Time goes on, to the next thing that is due at the latest.
    fn step(&mut self) {
        self.act();
        let scene = &mut self.scene;
        let most = Duration::from_millis([1, 20, 300, 2_000][scene.chance.below(4) as usize]);
        let mut next = scene.now + scene.chance.time(most) + Duration::from_micros(1);
        let due = self.clients.iter().filter_map(|client| {
            let due = client.link.poll_timeout(client.now(scene))?;
            Some(due + client.slept)
        });
        if let Some(due) = due.chain(self.server.session.poll_timeout()).min()
            && due < next
        {
            next = due.max(scene.now);
            self.timeouts += 1;
        }
        self.at_once = if next == scene.now {
            self.at_once + 1
        } else {
            0
        };
        assert!(
            self.at_once < MOST_AT_ONCE,
            "time stands still: {}",
            self.state()
        );
        self.scene.now = next;
        self.arrive();
        self.note_contact();
    }

    fn note_contact(&mut self) {
        let mut clients = self.clients.iter();
        if clients.all(|client| client.is_live(&self.scene)) {
            self.away = None;
        } else if self.is_attached() {
            let since = *self.away.get_or_insert(self.scene.now);
            self.longest_away = self.longest_away.max(self.scene.now - since);
        }
    }

    /// What is due now happens.
    fn arrive(&mut self) {
        let scene = &mut self.scene;
        self.server.session.handle_timeout(scene.now);
        for client in &mut self.clients {
            client.link.handle_timeout(client.now(scene));
            client.act(scene);
            client.finish_dials(scene);
        }
        let ids: Vec<_> = scene.network.wires.keys().copied().collect();
        for id in ids {
            let Some(wire) = scene.network.wires.get_mut(&id) else {
                continue;
            };
            let awaited = wire.awaits_cut();
            let (up, down) = wire.receive(scene.now, &mut scene.chance);
            self.cut_happened |= awaited && !wire.awaits_cut();
            let (index, generation) = Client::of_id(id);
            if !matches!(up, Arrival::Nothing) {
                self.server.receive(scene, id, up);
            }
            if !matches!(down, Arrival::Nothing) {
                self.clients[index].receive(scene, generation, down);
            }
        }
        scene.network.tidy();
        self.act();
        for client in &mut self.clients {
            client.write_to_terminal(&self.scene);
        }
    }

    fn act(&mut self) {
        for client in &mut self.clients {
            client.act(&mut self.scene);
        }
        self.server.transmit(&mut self.scene);
    }

    /// A client's clock stands still until then; then its machine says that it slept.
    pub(crate) fn sleep_until(&mut self, index: usize, until: Instant) {
        self.clients[index].slept += until - self.scene.now;
        self.scene.now = until;
        self.server.session.handle_timeout(until);
        self.server.transmit(&mut self.scene);
        for client in &mut self.clients {
            let now = client.now(&self.scene);
            if usize::from(client.number) == index {
                client.link.handle_network_changed(now);
            } else {
                client.link.handle_timeout(now);
            }
        }
    }

    // --- what is to be told ---

    fn tally(&self) -> Tally {
        let took = (self.scene.now - self.scene.start).as_secs();
        assert!(self.timeouts < 200 + 100 * took, "busy: {}", self.state());
        let of_clients = |figure: fn(&Client) -> u64| self.clients.iter().map(figure).sum();
        Tally {
            redials: of_clients(Client::link_redials),
            replays: of_clients(|client| client.replays),
            restarts: self.restarts,
            questions: of_clients(|client| client.questions),
            cuts: u64::from(self.cut_happened),
            ends: of_clients(|client| u64::from(client.ended.is_some())),
            refused: self.server.refused,
            unacknowledged: of_clients(|client| client.unacknowledged),
            longest: self.longest_away,
        }
    }

    fn state(&self) -> String {
        let clients = self.clients.iter().map(|client| client.state(&self.scene));
        format!(
            "after {:?}: {:?}; printed {}, read {:?}; {}; wires {:?}",
            self.scene.now - self.scene.start,
            self.scene.plan,
            self.program.printed.len(),
            self.program.read.each_ref().map(Vec::len),
            clients.collect::<Vec<_>>().join("; "),
            self.scene.network.wires.keys().collect::<Vec<_>>(),
        )
    }
}

/// What one sees of a row: a cell that was cleared is like one with a space in it, which a
/// picture for another size may draw instead.
fn look(row: &str) -> String {
    row.replace('\0', " ").trim_end().to_owned()
}

/// A plan in which nothing goes wrong by itself.
fn quiet() -> Plan {
    Plan {
        kind: Kind::Lossless,
        reach: Reach::Remote,
        clients: 1,
        trouble: u64::MAX,
        lasts: TROUBLE,
        cut: None,
        socket_bytes: 128 << 10,
        end: Ending::None,
    }
}

/// Opening a connection and attaching, at the longest delay.
const REACHED: Duration = Duration::from_secs(10);

/// In what time a link is live again of which nobody types: a silent connection is noticed; then
/// comes the longest wait, and a dial.
fn live_again(slow: bool) -> Duration {
    let timing = Timing::default();
    let noticed = timing.heartbeat_idle.unwrap_or_default() + timing.suspect;
    let wait = timing
        .redial
        .last()
        .map_or(Duration::ZERO, |wait| wait.mul_f64(1.2));
    noticed + wait + reached(slow)
}

/// The same where a key is pressed every now and then: there is no long wait.
fn live_again_typing(slow: bool) -> Duration {
    let timing = Timing::default();
    timing.probe_after + timing.suspect + timing.redial_beside + reached(slow)
}

/// From when a dial is due until it succeeds. On a slow path only the oldest of those under way
/// does, and that may be one that hangs.
fn reached(slow: bool) -> Duration {
    let timing = Timing::default();
    let hangs = if slow { timing.dial } else { Duration::ZERO };
    timing.redial_after_reached + hangs + REACHED
}
