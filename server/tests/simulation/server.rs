//! The server: its session, its connections, and what its keeper holds.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use psess_protocol::codec;
use psess_protocol::frame::{self, Decoder, Frame, Kind};
use psess_protocol::hello::Hello;
use psess_protocol::message::{ClientMessage, Failure, ServerMessage};
use psess_protocol::terminal::Limits;
use psess_server::journal::Journal;
use psess_server::record::Record;
use psess_server::session::{ConnectionId, Session, Transmit};

use crate::network::Arrival;
use crate::record::record;
use crate::scene::{SCREEN, Scene};

/// What start-up files print before the hello.
const NOISE: &[u8] = b"Last login: today\r\n";

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) session: Session,
    /// What the keeper holds of it.
    keeper: (OwnedFd, OwnedFd),
    connections: BTreeMap<ConnectionId, Connection>,
    /// Requests to attach that were refused.
    pub(crate) refused: u64,
}

#[derive(Debug)]
enum Connection {
    /// So much came of the client's hello.
    Greeting(Vec<u8>),
    /// The client may ask to attach, and tell before how much waits on its side.
    Open(Decoder, u32),
    Attached(Decoder),
}

impl Server {
    pub(crate) fn new(scene: &Scene) -> Self {
        let journal = Journal::unshared().expect("memory for a journal");
        let record = Record {
            size: SCREEN,
            ..record()
        };
        Self {
            keeper: journal.descriptors().expect("descriptors are left"),
            session: Session::new(scene.now, record, journal, Limits::default()),
            connections: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Something came on a connection, or its end.
    pub(crate) fn receive(&mut self, scene: &mut Scene, id: ConnectionId, arrival: Arrival) {
        let bytes = match arrival {
            Arrival::Nothing => return,
            Arrival::End => {
                self.session.handle_closed(scene.now, id);
                self.close(scene, id);
                return;
            }
            Arrival::Bytes(bytes) => bytes,
        };
        let mut connection = self
            .connections
            .remove(&id)
            .unwrap_or(Connection::Greeting(Vec::new()));
        let mut rest = bytes.as_slice();
        if let Connection::Greeting(seen) = &mut connection {
            let before = seen.len();
            seen.extend_from_slice(rest);
            let found = Hello::decode(seen).expect("the client's hello is good");
            let Some((hello, length)) = found else {
                self.connections.insert(id, connection);
                return;
            };
            rest = &rest[length - before..];
            let mut answer = NOISE.to_vec();
            answer.extend_from_slice(&Hello::answering(&hello).encode());
            scene.network.send_down(scene.now, id, answer);
            connection = Connection::Open(Decoder::new(), 0);
        }
        match self.take_frames(scene, id, connection, rest) {
            Ok(connection) => {
                self.connections.insert(id, connection);
            }
            Err(failure) => {
                self.session.handle_closed(scene.now, id);
                if let Some(failure) = failure {
                    let bytes = encode(&ServerMessage::Failed(failure));
                    scene.network.send_down(scene.now, id, bytes);
                }
                self.close(scene, id);
            }
        }
    }

    /// Takes what is whole. A connection that fails is told why only when it asked to attach.
    fn take_frames(
        &mut self,
        scene: &Scene,
        id: ConnectionId,
        connection: Connection,
        mut rest: &[u8],
    ) -> Result<Connection, Option<Failure>> {
        let (mut decoder, mut unwritten, mut attached) = match connection {
            Connection::Greeting(_) => panic!("frames come after the hello"),
            Connection::Open(decoder, unwritten) => (decoder, unwritten, false),
            Connection::Attached(decoder) => (decoder, 0, true),
        };
        while !rest.is_empty() {
            let taken = decoder.feed(rest);
            rest = &rest[taken..];
            while let Some(frame) = decoder.next().expect("the client's frames are good") {
                match frame {
                    Frame::Message(body) => {
                        match codec::decode(body).expect("the client's messages are good") {
                            ClientMessage::Attach(attach) if !attached => {
                                attached = true;
                                let result = self.session.attach(scene.now, id, &attach);
                                self.refused += u64::from(result.is_err());
                                result.map_err(Some)?;
                                let message = ClientMessage::Unwritten(unwritten);
                                self.session
                                    .handle_message(scene.now, id, &message)
                                    .map_err(Some)?;
                            }
                            ClientMessage::Unwritten(bytes) if !attached => unwritten = bytes,
                            message => self
                                .session
                                .handle_message(scene.now, id, &message)
                                .map_err(|_| None)?,
                        }
                    }
                    Frame::Input(offset, bytes) => self
                        .session
                        .handle_input(scene.now, id, offset, bytes)
                        .map_err(|_| None)?,
                    Frame::Output(..) | Frame::Replay(_) => panic!("the client sent output"),
                }
            }
        }
        Ok(if attached {
            Connection::Attached(decoder)
        } else {
            Connection::Open(decoder, unwritten)
        })
    }

    /// Gives each connection what its socket takes.
    pub(crate) fn transmit(&mut self, scene: &mut Scene) {
        let ids: Vec<_> = self.session.connections().collect();
        for id in ids {
            while let Some(wire) = scene.network.wires.get(&id)
                && wire.down.queued() <= scene.plan.socket_bytes
            {
                let mut bytes = Vec::new();
                let next = self.session.poll_transmit(scene.now, id, &mut bytes);
                let is_idle = bytes.is_empty();
                scene.network.send_down(scene.now, id, bytes);
                if next == Transmit::ThenClose {
                    self.session.handle_closed(scene.now, id);
                    self.close(scene, id);
                }
                if is_idle || next == Transmit::ThenClose {
                    break;
                }
            }
        }
        while let Some(id) = self.session.poll_closed() {
            self.close(scene, id);
        }
        // As the session's task does, once the clients have been sent what came.
        self.session.settle(scene.now);
    }

    fn close(&mut self, scene: &mut Scene, id: ConnectionId) {
        self.connections.remove(&id);
        scene.network.close_down(id);
    }

    /// The server is killed, at any moment, and started again from what the keeper holds.
    pub(crate) fn restart(&mut self, scene: &mut Scene) {
        let (file, input) = &self.keeper;
        let again = |fd: &OwnedFd| fd.try_clone().expect("descriptors are left");
        let journal = Journal::open(again(file), again(input)).expect("the journal is good");
        let record = self.session.record.clone();
        let is_over = self.session.outcome().is_some();
        self.session = Session::new(scene.now, record, journal, Limits::default());
        if is_over {
            self.session.handle_end_of_output(scene.now);
        }
        self.connections.clear();
        for wire in scene.network.wires.values_mut() {
            wire.reset(&mut scene.chance);
            wire.up.done = true;
        }
    }
}

/// A message as it stands on the wire.
fn encode(message: &ServerMessage) -> Vec<u8> {
    let body = codec::encode(message).expect("small");
    let mut bytes = Vec::new();
    frame::encode(Kind::Message, &[&body], &mut bytes);
    bytes
}
