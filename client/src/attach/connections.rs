//! What the link wants done with connections, and what they bring.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Instant;

use anyhow::Context as _;
use psess_protocol::codec;
use psess_protocol::frame::Frame;
use psess_protocol::identity::Generation;
use psess_protocol::link::{Action, Closed, ClosedKind, End, Event, Link, State};
use psess_protocol::message::{ClientMessage, ServerMessage};

use super::{AttachEnd, AttachedClient};
use crate::connection::Connection;
use crate::dialling::{DialFailed, Dialled};
use crate::handshake::WireError;
use crate::terminal::{FoundModes, RawTerminal};
use crate::transport::Dial;

impl AttachedClient {
    /// Does what the link says.
    pub(super) fn act(&mut self, now: Instant) -> anyhow::Result<()> {
        while let Some(action) = self.link.poll(now) {
            match action {
                Action::Dial {
                    generation,
                    interactive,
                } => self.dial(generation, interactive),
                Action::Close(generation) => {
                    self.take_lent_into_account(generation);
                    self.recorder.handle_given_up(now, generation);
                    self.connections
                        .retain(|connection| connection.generation != generation);
                    // One that is not needed any more did not fail.
                    if self.dials.close(generation) && self.link.state() != State::Live {
                        self.recorder.handle_dial_failed("no answer in time", false);
                    }
                }
                Action::Send(generation, message) => {
                    self.recorder.handle_sent(now, generation, &message);
                    if let Some(connection) = self.connection(generation) {
                        connection
                            .send(&message)
                            .context("cannot send a message to the server")?;
                    }
                }
                Action::SendInput(generation, offset, bytes) => {
                    self.recorder.handle_input_sent(now, generation);
                    if let Some(connection) = self.connection(generation) {
                        connection.send_input(offset, &bytes);
                    }
                }
                Action::End(end) => {
                    if let End::Finished(_) = end {
                        self.recorder.handle_finished(now);
                    }
                    let end = self.attach_end(end);
                    self.end.get_or_insert(end);
                }
            }
        }
        if self.link.state() == State::Suspect
            && let Some(connection) = self.connections.first()
        {
            self.recorder.handle_suspect(connection);
        }
        self.show_line(now);
        if self.screen.take_covered() || self.screen.take_unsure() {
            self.link.handle_disturbed(now);
            return self.act(now);
        }
        Ok(())
    }

    fn dial(&mut self, generation: Generation, interactive: bool) {
        let is_first = self.link.session().is_none();
        let may_ask = interactive && !self.transport.is_local();
        if may_ask && let Some(raw) = self.raw.take() {
            // ssh asks its questions on an ordinary terminal.
            self.screen.lend();
            self.write_to_terminal();
            drop(raw);
        }
        if may_ask && self.found.is_none() {
            self.found = FoundModes::of(&self.tty);
        }
        let kind = Dial {
            interactive,
            // Where a machine was started anew, a server says so more clearly than none.
            start: if is_first {
                self.start
            } else {
                !self.transport.is_local()
            },
            again: !is_first,
            shares_master: is_first,
        };
        let requests = std::mem::take(&mut self.requests);
        let transport = self.transport.clone();
        self.dials
            .begin(transport, kind, generation, requests, self.may_exist);
    }

    pub(super) fn handle_dialled(
        &mut self,
        now: Instant,
        generation: Generation,
        result: Result<Dialled, DialFailed>,
    ) -> anyhow::Result<()> {
        if self.raw.is_none() && (result.is_ok() || self.link.session().is_some()) {
            self.restore_found_modes();
            let raw = RawTerminal::enter().context("cannot put the terminal into raw mode")?;
            self.raw = Some(raw);
        }
        match result {
            Ok(dialled) => {
                // The link will close the others, which failed in nothing.
                self.dials.close_all();
                self.screen.take_back();
                for warning in &dialled.warnings {
                    let line = format!("psess: {warning}\r\n");
                    self.screen.queue().push(line.as_bytes(), false);
                }
                let warnings = [dialled.said, dialled.warnings].concat();
                self.handle_warnings(now, warnings);
                let mut connection = dialled.connection;
                if self.transport.is_local() && !self.screen.keeps_model() {
                    connection
                        .lend(self.tty.shown.as_fd())
                        .context("cannot send a message to the server")?;
                }
                // Its answer comes before the one to the attach request, and costs no time.
                connection
                    .send(&ClientMessage::Status)
                    .context("cannot send a message to the server")?;
                self.link.handle_hello(now, generation, connection.server());
                self.connections.push(connection);
            }
            Err(DialFailed::Closed(closed)) => {
                let needs_user = closed.kind == ClosedKind::NeedsUser;
                self.recorder.handle_dial_failed(&closed.words, needs_user);
                self.link.handle_closed(now, generation, closed);
            }
            Err(DialFailed::Refused(failure)) => self.end = Some(AttachEnd::Failed(failure)),
        }
        Ok(())
    }

    /// ssh asks nothing any more.
    pub(super) fn restore_found_modes(&mut self) {
        if let Some(modes) = self.found.take() {
            modes.restore(&self.tty);
        }
    }

    pub(super) fn handle_received(
        &mut self,
        now: Instant,
        generation: Generation,
        result: io::Result<usize>,
    ) {
        self.take_lent_into_account(generation);
        let is_open = matches!(result, Ok(1..));
        if is_open {
            self.recorder.handle_received(now, generation);
            self.link.handle_received(now, generation);
        }
        let broken = self.handle_frames(now, generation).err();
        if is_open && broken.is_none() {
            return;
        }
        let words = match (broken, result) {
            (Some(words), _) => words,
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => self
                .connection(generation)
                .map(|connection| connection.last_words())
                .unwrap_or_default(),
        };
        let closed = Closed {
            kind: ClosedKind::Broken,
            words,
        };
        let is_it = |connection: &Connection| connection.generation == generation;
        if let Some(place) = self.connections.iter().position(is_it) {
            let connection = self.connections.remove(place);
            self.recorder.handle_closed(now, connection);
        }
        self.link.handle_closed(now, generation, closed);
    }

    /// What the server wrote straight to the terminal comes before all that it sends now, and
    /// before whatever a successor of it sends.
    fn take_lent_into_account(&mut self, generation: Generation) {
        let written = self
            .connection(generation)
            .and_then(Connection::lent_written);
        if let Some(offset) = written {
            self.link.handle_lent_written(offset);
        }
    }

    /// Takes all whole frames that came on a connection.
    fn handle_frames(&mut self, now: Instant, generation: Generation) -> Result<(), String> {
        let Self {
            connections,
            link,
            screen,
            recorder,
            tty,
            ..
        } = self;
        let of_it = |connection: &&mut Connection| connection.generation == generation;
        let Some(connection) = connections.iter_mut().find(of_it) else {
            return Ok(());
        };
        while let Some(frame) = connection.decoder.next().map_err(|e| e.to_string())? {
            match frame {
                Frame::Output(offset, bytes) => {
                    if link.handle_output(now, generation, offset, bytes.len()) {
                        recorder.handle_output(bytes);
                        screen.write(bytes);
                    }
                }
                Frame::Replay(bytes) => {
                    if link.handle_replay(now, generation, bytes.len()) {
                        recorder.handle_replay(now, bytes.len());
                        screen.write(bytes);
                    }
                }
                Frame::Message(body) => {
                    let message: ServerMessage =
                        codec::decode(body).map_err(|e| WireError::from(e).to_string())?;
                    if let ServerMessage::Server(status) = message {
                        recorder.handle_server(status);
                        continue;
                    }
                    if let ServerMessage::Ending(ending) = message {
                        recorder.handle_ending(ending);
                        continue;
                    }
                    match link.handle_message(now, generation, message) {
                        Some(Event::Replay { purpose, again }) => {
                            recorder.handle_replay_announced(now);
                            if purpose.skips() {
                                tty.drop_unshown();
                            }
                            screen.begin_replay(purpose, again);
                        }
                        Some(Event::Renamed) => recorder.handle_named(name_of_session(link)),
                        Some(Event::Attached { .. }) => {
                            let name = name_of_session(link);
                            if recorder.handle_attached(now, connection, name) {
                                link.handle_path_known(now, recorder.path_timeout());
                            }
                            let question = ClientMessage::AskEnding;
                            if recorder.awaits_ending() && connection.understands(&question) {
                                connection.send(&question).map_err(|e| e.to_string())?;
                            }
                        }
                        None => {}
                    }
                }
                Frame::Input(..) => return Err("the server sent typed bytes".to_owned()),
            }
        }
        Ok(())
    }
}

fn name_of_session(link: &Link) -> String {
    let name = link.session().map(|(_, name)| name.to_string());
    name.unwrap_or_default()
}
