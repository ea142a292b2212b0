//! The keeper's conversation with the server: what a new one is told, and what it asks for.

use std::time::Instant;

use psess_protocol::identity::SessionId;

use super::channel::ChannelError;
use super::holding::Session;
use super::protocol::{Spawn, ToKeeper, ToServer, VERSION};
use super::spawn::{self, SpawnError};
use super::takeover::{self, Bequest};
use super::{Keeper, Predecessor, Turn};
use crate::clock::unix_time;

impl Keeper {
    /// Starts a server and begins to tell it what there is.
    pub(super) fn start_server(&mut self, now: Instant) -> Turn {
        self.server.start(now, &self.place.log());
        if self.server.channel().is_none() {
            return self.end_if_idle();
        }
        let mut sessions = self.sessions.ids();
        sessions.reverse();
        self.untold = Some(sessions);
        self.tell_listener();
        self.tell_on();
        Turn::GoOn
    }

    /// The server may have ended.
    pub(super) fn handle_server_end(&mut self, now: Instant) -> Turn {
        let Some((how, predecessor)) = self.server.handle_end(now) else {
            return Turn::GoOn;
        };
        self.untold = None;
        self.log(&format!("the server ended: {how}"));
        if self.end_if_idle() == Turn::End {
            return Turn::End;
        }
        match predecessor {
            Predecessor::Left => self.make_room(),
            Predecessor::Killed | Predecessor::Crashed => {}
        }
        Turn::GoOn
    }

    /// Becomes the program that is installed now, when that is another. Returns when not.
    fn make_room(&self) {
        let program = self.server.program();
        if !takeover::is_upgraded(program) {
            return;
        }
        let (directory, listener, lock) = self.place.bequeathed();
        let (sessions, forgotten) = self.sessions.bequeathed();
        let bequest = Bequest {
            starts: self.server.starts(),
            directory,
            listener,
            lock,
            inheritance: &self.inheritance,
            sessions,
            forgotten,
        };
        if let Err(error) = takeover::hand_over(program, &bequest) {
            self.log(&format!("the keeper stays as it is: {error:#}"));
        }
    }

    /// The channel can be read or written.
    pub(super) fn handle_channel(&mut self) -> Turn {
        if let Some(channel) = self.server.channel() {
            let flushed = channel.flush();
            self.check(flushed);
        }
        self.tell_on();
        while let Some(channel) = self.server.channel() {
            // While answers queue up, no more requests are taken.
            if channel.wants_write() {
                break;
            }
            match channel.receive() {
                Ok(Some((request, _no_descriptors))) => {
                    if self.handle_request(request) == Turn::End {
                        return Turn::End;
                    }
                }
                Ok(None) => break,
                Err(error) => self.check(Err(error)),
            }
        }
        Turn::GoOn
    }

    /// A session's program may have ended.
    pub(super) fn handle_program_end(&mut self, session: SessionId) -> Turn {
        let Some(outcome) = self.sessions.reap(session, unix_time()) else {
            return Turn::GoOn;
        };
        let (outcome, time) = outcome;
        let will_be_told = |untold: &Vec<SessionId>| untold.contains(&session);
        if !self.untold.as_ref().is_some_and(will_be_told) {
            self.send(&ToServer::Exited {
                session,
                outcome,
                time,
            });
        }
        Turn::GoOn
    }

    /// Passes the listening socket on.
    pub(super) fn tell_listener(&mut self) {
        if let Some(channel) = self.server.channel() {
            let message = ToServer::Listener { version: VERSION };
            let sent = channel.send(&message, &[self.place.listener()]);
            self.check(sent);
        }
    }

    /// Tells of sessions for as long as the channel takes them: what is queued there holds
    /// duplicates of descriptors, of which there are not that many.
    fn tell_on(&mut self) {
        let restarts = self.server.restarts();
        while let Some(untold) = &mut self.untold
            && let Some(channel) = self.server.channel()
            && !channel.wants_write()
        {
            let sent = match untold.pop() {
                Some(id) => match self.sessions.get(id) {
                    Some(session) => {
                        let message = ToServer::Session(session.held());
                        channel.send(&message, &session.descriptors())
                    }
                    // Forgotten meanwhile.
                    None => Ok(()),
                },
                None => {
                    self.untold = None;
                    channel.send(&ToServer::Ready { restarts }, &[])
                }
            };
            self.check(sent);
        }
    }

    fn handle_request(&mut self, request: ToKeeper) -> Turn {
        match request {
            ToKeeper::Spawn(spawn) => self.spawn(spawn),
            ToKeeper::Signal { session, signal } => self.sessions.signal(session, signal),
            ToKeeper::SetBlob { session, blob } => self.sessions.set_blob(session, blob),
            ToKeeper::Forget { session } => self.sessions.forget(session),
            ToKeeper::Idle => {
                if self.end_if_idle() == Turn::End {
                    return Turn::End;
                }
                self.send(&ToServer::Stay);
            }
        }
        Turn::GoOn
    }

    fn spawn(&mut self, request: Spawn) {
        let id = request.session;
        if self.sessions.get(id).is_none() {
            match spawn::spawn(&request, &self.inheritance) {
                Ok(started) => {
                    self.sessions
                        .insert(Session::new(id, started, request.blob, unix_time()));
                }
                Err(error) => return self.send(&spawn_failed(id, error)),
            }
        }
        let session = self
            .sessions
            .get(id)
            .expect("it was there, or was inserted");
        if let Some(channel) = self.server.channel() {
            let pid = session.held().pid;
            let message = ToServer::Spawned { session: id, pid };
            let sent = channel.send(&message, &session.descriptors());
            self.check(sent);
        }
    }

    /// Ends when there is nothing to keep, and nobody waits to be accepted.
    fn end_if_idle(&self) -> Turn {
        match self.sessions.is_empty() && self.place.close_unless_awaited() {
            true => Turn::End,
            false => Turn::GoOn,
        }
    }

    /// Sends a message without descriptors.
    fn send(&mut self, message: &ToServer) {
        if let Some(channel) = self.server.channel() {
            let sent = channel.send(message, &[]);
            self.check(sent);
        }
    }

    /// A server whose channel fails is ended; the next one gets another.
    fn check(&mut self, sent: Result<(), ChannelError>) {
        match sent {
            Ok(()) => {}
            Err(ChannelError::Closed) => self.server.handle_closed(Instant::now()),
            Err(error) => {
                self.log(&format!("ending the server: {error}"));
                self.server.kill();
            }
        }
    }
}

fn spawn_failed(session: SessionId, error: SpawnError) -> ToServer {
    ToServer::SpawnFailed {
        session,
        stage: error.stage,
        errno: error.errno,
        message: error.message,
    }
}
