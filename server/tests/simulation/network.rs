//! The network between clients and a server: connections that are slow, that fall silent for a
//! while or for good, that are reset at any byte, and whose ends learn of it late or never.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use psess_server::session::ConnectionId;

use crate::chance::Chance;

/// What is sent at once on a connection of limited rate.
const PACKET_BYTES: usize = 1400;

/// All connections that some end may still have.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) wires: BTreeMap<ConnectionId, Wire>,
}

/// One connection, both ways.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) path: Path,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    /// Nothing passes until then.
    silent_until: Option<Instant>,
    /// Nothing ever passes again, and neither end is told.
    forgotten: bool,
    /// After so many more bytes up or down the connection is cut.
    cut: Option<Cut>,
}

/// How the way between a client and the server is for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) delay: Duration,
    /// Bytes per second in each direction, where that is a limit.
    pub(crate) rate: Option<u64>,
}

/// Where a connection is to end, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) way: Way,
    /// So many bytes of that way arrive, and none after.
    pub(crate) at: usize,
    /// Neither end is told.
    pub(crate) silent: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Up,
    Down,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<(Instant, Vec<u8>)>,
    queued: usize,
    /// When the line has sent all that was given to it.
    sent: Option<Instant>,
    /// The writing end closed: after the bytes, the end follows.
    closed: bool,
    /// The reading end was told of the end, or reads no more.
    pub(crate) done: bool,
}

/// What the reading end gets.
pub(crate) enum Arrival {
    Bytes(Vec<u8>),
    End,
    Nothing,
}

impl Network {
    pub(crate) fn send_up(&mut self, now: Instant, connection: ConnectionId, bytes: Vec<u8>) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            wire.up.send(now, wire.path, bytes);
        }
    }

    pub(crate) fn send_down(&mut self, now: Instant, connection: ConnectionId, bytes: Vec<u8>) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            wire.down.send(now, wire.path, bytes);
        }
    }

    /// The client closes its end.
    pub(crate) fn hang_up(&mut self, connection: ConnectionId) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            wire.up.closed = true;
            wire.down.done = true;
        }
    }

    /// The server closes its end.
    pub(crate) fn close_down(&mut self, connection: ConnectionId) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            wire.down.closed = true;
            wire.up.done = true;
        }
    }

    /// Forgets connections that neither end has any more.
    pub(crate) fn tidy(&mut self) {
        self.wires.retain(|_, wire| !wire.is_over());
    }
}

impl Wire {
    pub(crate) fn new(path: Path, cut: Option<Cut>) -> Self {
        Self {
            path,
            up: Pipe::default(),
            down: Pipe::default(),
            silent_until: None,
            forgotten: false,
            cut,
        }
    }

    /// What has arrived at the server, and at the client.
    pub(crate) fn receive(&mut self, now: Instant, chance: &mut Chance) -> (Arrival, Arrival) {
        if self.forgotten || self.silent_until.is_some_and(|until| until > now) {
            return (Arrival::Nothing, Arrival::Nothing);
        }
        let mut up = self.up.receive(now, chance);
        let mut down = self.down.receive(now, chance);
        let Some(cut) = &mut self.cut else {
            return (up, down);
        };
        let over = match cut.way {
            Way::Up => up.cut(&mut cut.at),
            Way::Down => down.cut(&mut cut.at),
        };
        if over {
            if cut.silent {
                self.forgotten = true;
            } else {
                self.up.clear();
                self.down.clear();
            }
            self.cut = None;
        }
        (up, down)
    }

    /// Whether both ends are open and hear each other, or soon will.
    pub(crate) fn is_sound(&self) -> bool {
        !self.forgotten && !self.up.closed && !self.down.closed
    }

    /// Whether it was to be cut at a certain byte, and so many never came.
    pub(crate) fn awaits_cut(&self) -> bool {
        self.cut.is_some()
    }

    pub(crate) fn be_silent(&mut self, until: Instant) {
        self.silent_until = Some(until);
    }

    /// What was silent speaks again.
    pub(crate) fn heal(&mut self) {
        self.silent_until = None;
    }

    /// A middlebox forgets the connection.
    pub(crate) fn forget(&mut self) {
        self.forgotten = true;
    }

    /// The connection is reset: what is under way is lost from some byte on, and each end
    /// learns of it after what arrived.
    pub(crate) fn reset(&mut self, chance: &mut Chance) {
        self.up.cut(chance);
        self.down.cut(chance);
    }

    fn is_over(&self) -> bool {
        self.up.done && self.down.done
    }
}

impl Arrival {
    /// Lets `left` more bytes through; whether that was the last.
    fn cut(&mut self, left: &mut usize) -> bool {
        let Self::Bytes(bytes) = self else {
            return false;
        };
        let over = bytes.len() >= *left;
        bytes.truncate(*left);
        *left -= bytes.len();
        if bytes.is_empty() {
            *self = Self::Nothing;
        }
        over
    }
}

impl Pipe {
    fn send(&mut self, now: Instant, path: Path, mut bytes: Vec<u8>) {
        if self.closed || bytes.is_empty() {
            return;
        }
        self.queued += bytes.len();
        let Some(rate) = path.rate else {
            self.bytes.push_back((now + path.delay, bytes));
            return;
        };
        while !bytes.is_empty() {
            let rest = bytes.split_off(bytes.len().min(PACKET_BYTES));
            let takes = Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate);
            let sent = self.sent.map_or(now, |sent| sent.max(now)) + takes;
            self.sent = Some(sent);
            self.bytes.push_back((sent + path.delay, bytes));
            bytes = rest;
        }
    }

    /// Bytes that were sent and have not arrived.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    fn cut(&mut self, chance: &mut Chance) {
        let keep = chance.below(self.queued as u64 + 1) as usize;
        let mut kept = 0;
        self.bytes.retain_mut(|(_, bytes)| {
            bytes.truncate(keep - kept);
            kept += bytes.len();
            !bytes.is_empty()
        });
        self.queued = kept;
        self.closed = true;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.queued = 0;
        self.closed = true;
    }

    /// What has arrived: all of it, or a piece of any length.
    fn receive(&mut self, now: Instant, chance: &mut Chance) -> Arrival {
        if self.done {
            return Arrival::Nothing;
        }
        if self.bytes.is_empty() {
            self.done = self.closed;
            return if self.done {
                Arrival::End
            } else {
                Arrival::Nothing
            };
        }
        let mut arrived = Vec::new();
        let whole = !chance.once_in(3);
        while let Some((_, bytes)) = self.bytes.pop_front_if(|(due, _)| *due <= now) {
            if arrived.is_empty() {
                arrived = bytes;
            } else {
                arrived.extend_from_slice(&bytes);
            }
            if !whole {
                break;
            }
        }
        if arrived.is_empty() {
            return Arrival::Nothing;
        }
        if !whole {
            let part = chance.length(arrived.len());
            if part < arrived.len() {
                self.bytes.push_front((now, arrived.split_off(part)));
            }
        }
        self.queued -= arrived.len();
        Arrival::Bytes(arrived)
    }
}
