//! A client that checks every byte it gets, and comes back whenever its server dies.

use std::io;
use std::num::NonZero;
use std::time::{Duration, Instant};

use psess_protocol::identity::{ClientId, Generation, SessionId};
use psess_protocol::message::{Attach, ClientMessage, History, ServerMessage, Target};
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::outcome::Outcome;

use super::pace::Pace;
use super::program::{KEY, Program};
use super::report::{Report, Typing};
use super::wire::{Sent, Wire};
use super::world::{PATIENCE, SIZE, World};

/// Keys typed ahead of what was reported as written, in bytes.
const TYPED_AHEAD: u64 = 25 * KEY;

/// Follows a session to its end.
///
/// # Panics
/// When anything is lost, doubled or wrong.
pub(crate) fn follow(
    world: &World,
    session: SessionId,
    program: Program,
    typing: Typing,
    pace: &Pace,
) -> Report {
    let mut follower = Follower {
        program,
        typing,
        position: None,
        replay_left: 0,
        replay_position: None,
        typed: 0,
        confirmed: 0,
        ended: false,
        written: 0,
        gaps: 0,
        shown: blank(),
    };
    let client = ClientId::random();
    let mut generation = 0;
    let deadline = Instant::now() + PATIENCE * 20;
    let outcome = loop {
        assert!(Instant::now() < deadline, "{program:?} has no end");
        let mut wire = Wire::connect(&world.directory());
        generation += 1;
        follower.written = 0;
        let attach = ClientMessage::Attach(Attach {
            session: Target::Id(session),
            client,
            generation: Generation(generation),
            size: SIZE,
            position: follower.position.map(Offset),
            history: History::None,
            read_only: false,
            heartbeat_ms: 0,
            detach_others: false,
        });
        if wire.send(&attach).is_err() {
            continue;
        }
        let attached = |wire: &mut Wire| wire.next(Some(PATIENCE));
        match attached(&mut wire) {
            Ok(Some(Sent::Message(ServerMessage::Attached(attached)))) => {
                if generation > 1 {
                    world.note_reattached();
                }
                follower.handle_attached(&attached.input);
            }
            Ok(Some(other)) => panic!("{program:?} is not attached: {other:?}"),
            Ok(None) => panic!("{program:?} is not answered"),
            Err(_) => continue,
        }
        match follower.stay(&mut wire, world, pace) {
            Ok(outcome) => break outcome,
            // The server was killed.
            Err(_) => follower.abandon_replay(),
        }
    };
    follower.check_screen();
    Report {
        program: program.name(),
        bytes: follower.position.unwrap_or(0),
        attached: generation,
        gaps: follower.gaps,
        outcome,
    }
}

struct Follower {
    program: Program,
    typing: Typing,
    /// Everything before this is on the terminal.
    position: Option<u64>,
    /// Bytes of a replay that are still to come, and where the terminal stands then.
    replay_left: u64,
    replay_position: Option<u64>,
    typed: u64,
    confirmed: u64,
    /// The key that ends the program was typed.
    ended: bool,
    written: u64,
    gaps: u64,
    /// An independent terminal.
    shown: vt100::Parser,
}

impl Follower {
    fn handle_attached(&mut self, input: &InputOffset) {
        assert!(
            input.0 >= self.confirmed,
            "keys were confirmed up to {}, and the server has {}",
            self.confirmed,
            input.0
        );
        assert!(input.0 <= self.typed + 1, "keys that nobody typed");
        self.confirmed = input.0;
        self.typed = input.0;
        self.ended = false;
    }

    /// A replay that broke off leaves nothing to go on from.
    fn abandon_replay(&mut self) {
        if self.replay_left > 0 {
            self.replay_left = 0;
            self.position = None;
        }
    }

    /// Reads and types until the program ends.
    fn stay(&mut self, wire: &mut Wire, world: &World, pace: &Pace) -> io::Result<Outcome> {
        loop {
            let timeout = match self.typing {
                Typing::Nothing => None,
                Typing::Keys => Some(Duration::from_millis(5)),
            };
            let sent = wire.next(timeout)?;
            let written = self.written;
            match sent {
                Some(Sent::Output(offset, bytes)) => self.handle_output(offset.0, &bytes),
                Some(Sent::Replay(bytes)) => self.handle_replay(&bytes),
                Some(Sent::Message(message)) => {
                    if let Some(outcome) = self.handle_message(&message) {
                        // Until this arrives the session is kept.
                        wire.send(&ClientMessage::Detach)?;
                        return Ok(outcome);
                    }
                }
                None => {}
            }
            if self.written != written {
                wire.send(&ClientMessage::Written(self.written))?;
                pace.note_read(self.position.unwrap_or(0));
            }
            if self.typing == Typing::Keys {
                self.type_on(wire, world)?;
            }
        }
    }

    fn handle_output(&mut self, offset: u64, bytes: &[u8]) {
        assert_eq!(self.replay_left, 0, "output amid a replay");
        let position = self.position.expect("output has a position");
        assert_eq!(offset, position, "{:?}: lost or doubled", self.program);
        let expected = self.program.stream(offset, bytes.len());
        assert!(
            bytes == expected,
            "{:?} at {offset}: '{}' instead of '{}'",
            self.program,
            bytes.escape_ascii(),
            expected.escape_ascii()
        );
        self.shown.process(bytes);
        self.position = Some(position + bytes.len() as u64);
        self.written += bytes.len() as u64;
    }

    fn handle_replay(&mut self, bytes: &[u8]) {
        self.shown.process(bytes);
        self.written += bytes.len() as u64;
        self.replay_left -= bytes.len() as u64;
        if self.replay_left == 0 {
            self.position = self.replay_position;
        }
    }

    fn handle_message(&mut self, message: &ServerMessage) -> Option<Outcome> {
        match message {
            ServerMessage::Replay(replay) => {
                if let Some(before) = self.position {
                    self.gaps += 1;
                    // Only on the alternate screen is a client brought forward that could resume.
                    assert_eq!(
                        self.program,
                        Program::Redraw,
                        "brought from {before} to {:?}",
                        replay.position
                    );
                }
                self.replay_left = replay.length;
                self.replay_position = replay.position.map(|position| position.0);
                if replay.length == 0 {
                    self.position = self.replay_position;
                }
            }
            ServerMessage::InputWritten(offset) => self.confirmed = self.confirmed.max(offset.0),
            ServerMessage::Finished(outcome) => {
                let end = self.position.expect("all output was sent");
                assert!(
                    self.program.is_whole(end),
                    "{:?} ends at {end}",
                    self.program
                );
                if self.program == Program::Echo {
                    assert_eq!(end, self.typed - 1, "every key was echoed, once");
                }
                return Some(*outcome);
            }
            other => panic!("{:?}: {other:?}", self.program),
        }
        None
    }

    fn type_on(&mut self, wire: &mut Wire, world: &World) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let room = TYPED_AHEAD.saturating_sub(self.typed - self.confirmed);
        if world.is_stopped() && self.typed.is_multiple_of(KEY) {
            wire.send_input(InputOffset(self.typed), &[4])?;
            self.typed += 1;
            self.ended = true;
        } else if room >= KEY {
            let keys = self.program.stream(self.typed, room.min(3 * KEY) as usize);
            wire.send_input(InputOffset(self.typed), &keys)?;
            self.typed += keys.len() as u64;
        }
        Ok(())
    }

    /// What the client's terminal shows is what one shows that was there all the time.
    fn check_screen(&self) {
        let end = self.position.expect("all output was sent");
        // A picture and a screenful of lines do not depend on what came long before.
        let start = end.saturating_sub(100 * 64).min(end / 4000 * 4000);
        let start = match self.program {
            Program::Redraw => end.saturating_sub(4 * 4000),
            Program::Flood => start / 64 * 64,
            Program::Echo => 0,
        };
        let mut whole = blank();
        whole.process(&self.program.stream(start, (end - start) as usize));
        assert_eq!(
            self.shown.screen().contents_formatted(),
            whole.screen().contents_formatted(),
            "{:?}",
            self.program
        );
    }
}

fn blank() -> vt100::Parser {
    let [rows, columns] =
        [SIZE.rows, SIZE.columns].map(|cells| NonZero::new(cells).expect("a terminal has cells"));
    vt100::Parser::new(rows, columns, 0)
}
