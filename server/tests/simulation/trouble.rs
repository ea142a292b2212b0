//! What goes wrong.

use std::time::Duration;

use psess_protocol::link::Reach;
use psess_server::session::ConnectionId;

use crate::client::Client;
use crate::network::Wire;
use crate::scene::Kind;
use crate::world::World;

/// How long a fault lasts, at most.
const LONGEST: Duration = Duration::from_secs(45);

impl World {
    /// Something goes wrong, for one of the clients.
    pub(crate) fn trouble(&mut self) {
        let index = self.scene.chance.below(self.clients.len() as u64) as usize;
        let until = self.scene.now + self.scene.chance.time(LONGEST);
        let local = self.scene.plan.reach == Reach::Local;
        match self.scene.chance.below(10) {
            0 | 1 if !local => self.with_wire(index, Wire::forget),
            2 | 3 if !local => self.with_wire(index, |wire| wire.be_silent(until)),
            4 => {
                if let Some(id) = self.some_wire(index) {
                    let scene = &mut self.scene;
                    let wire = scene.network.wires.get_mut(&id).expect("it was chosen");
                    wire.reset(&mut scene.chance);
                }
            }
            5 if !local => {
                // The whole path is down.
                self.clients[index].down_until = Some(until);
                let forgets = self.scene.chance.once_in(2);
                for wire in self.wires_of(index) {
                    wire.be_silent(until);
                    if forgets {
                        wire.forget();
                    }
                }
            }
            6 => self.clients[index].stalled_until = Some(until),
            7 => self.kill_server(),
            8 if !local => self.sleep(index),
            9 if self.scene.plan.kind == Kind::Redrawn => {
                let client = &mut self.clients[index];
                if self.scene.chance.once_in(3) {
                    client.link.handle_disturbed(client.now(&self.scene));
                } else {
                    client.resize(&mut self.scene);
                }
            }
            9 if self.scene.plan.kind == Kind::Skipping => {
                let length = self.scene.chance.length(1 << 20);
                self.print(length);
            }
            _ if local => {}
            _ => {
                let delay = self.scene.chance.time(Duration::from_millis(800));
                self.clients[index].path.delay = delay;
                for wire in self.wires_of(index) {
                    wire.path.delay = delay;
                }
            }
        }
    }

    /// The server is killed, perhaps between a read from the pty and all that follows.
    fn kill_server(&mut self) {
        if self.session_runs() && self.scene.chance.once_in(2) {
            let session = &mut self.server.session;
            self.program.print_unseen(&mut self.scene, session);
        }
        self.server.restart(&mut self.scene);
        self.restarts += 1;
    }

    /// A client's machine sleeps: the world goes on, its clock does not.
    fn sleep(&mut self, index: usize) {
        let asleep = self.scene.chance.time(Duration::from_secs(4_000));
        let forgets = self.scene.chance.once_in(2);
        let until = self.scene.now + asleep;
        for wire in self.wires_of(index) {
            wire.be_silent(until);
            if forgets {
                wire.forget();
            }
        }
        self.sleep_until(index, until);
    }

    /// Peace: what lives is heard again, and new connections get through.
    pub(crate) fn heal(&mut self) {
        self.scene.troubled = false;
        self.scene.network.wires.values_mut().for_each(Wire::heal);
        for client in &mut self.clients {
            client.down_until = None;
            client.stalled_until = None;
        }
    }

    fn with_wire(&mut self, index: usize, work: impl FnOnce(&mut Wire)) {
        let wire = self.some_wire(index);
        if let Some(wire) = wire.and_then(|id| self.scene.network.wires.get_mut(&id)) {
            work(wire);
        }
    }

    /// The newest connection of a client, or now and then an older one.
    fn some_wire(&mut self, index: usize) -> Option<ConnectionId> {
        let ids: Vec<_> = self
            .scene
            .network
            .wires
            .keys()
            .copied()
            .filter(|id| Client::of_id(*id).0 == index)
            .collect();
        let any = self.scene.chance.below(ids.len() as u64) as usize;
        if self.scene.chance.once_in(4) {
            ids.get(any).copied()
        } else {
            ids.last().copied()
        }
    }

    fn wires_of(&mut self, index: usize) -> impl Iterator<Item = &mut Wire> {
        let wires = self.scene.network.wires.iter_mut();
        wires.filter_map(move |(id, wire)| (Client::of_id(*id).0 == index).then_some(wire))
    }
}
