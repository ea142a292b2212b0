//! From nothing to a connection that an attach request can be sent on.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use psess_protocol::identity::Generation;
use psess_protocol::link::{Closed, ClosedKind};
use psess_protocol::message::{ClientMessage, Failure, FailureKind, ServerMessage};
use psess_protocol::rendezvous::{self, RendezvousError};

use crate::connection::Connection;
use crate::greeting::{Greeted, greet};
use crate::handshake::{Wire, WireError};
use crate::transport::pipe::Pipe;
use crate::transport::{Dial, DialError, Transport};

/// Dials that are under way, as many as the link wants at once.
#[derive(Default)]
pub struct Dials {
    running: Vec<(Generation, Dialling)>,
    /// The one in which ssh may be asking the user.
    asking: Option<Generation>,
}

type Dialling = Pin<Box<dyn Future<Output = Result<Dialled, DialFailed>>>>;

/// A connection that was made.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub connection: Connection,
    /// What the user ought to know, each a sentence.
    pub warnings: Vec<String>,
    /// Such that the far side has said on the terminal already, where the session's picture will
    /// scroll it off.
    pub said: Vec<String>,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum DialFailed {
    /// It could not be made.
    Closed(Closed),
    /// It was made, and the server refused a request on it.
    Refused(Failure),
}

impl Dials {
    /// One more: it is to say hello and make `requests`, which matter for the first dial only, as
    /// what they start is there when a later one comes. With `may_exist`, a session that they were
    /// to start and that is there already is as good.
    pub fn begin(
        &mut self,
        transport: Transport,
        kind: Dial,
        generation: Generation,
        requests: Vec<ClientMessage>,
        may_exist: bool,
    ) {
        if kind.interactive {
            self.asking = Some(generation);
        }
        let dialling = dial(transport, kind, generation, requests, may_exist);
        self.running.push((generation, Box::pin(dialling)));
    }

    /// Ends this one, and all that runs behind it. Whether it was under way.
    pub fn close(&mut self, generation: Generation) -> bool {
        let before = self.running.len();
        self.running.retain(|(dialled, _)| *dialled != generation);
        before > self.running.len()
    }

    /// Ends all of them.
    pub fn close_all(&mut self) {
        self.running.clear();
    }

    /// Whether the terminal is ssh's, which may be asking the user.
    #[must_use]
    pub fn ask_user(&self) -> bool {
        let mut running = self.running.iter();
        running.any(|(generation, _)| self.asking == Some(*generation))
    }

    /// Waits for the first that succeeds or fails. May be dropped without loss.
    pub async fn next(&mut self) -> (Generation, Result<Dialled, DialFailed>) {
        poll_fn(|context| {
            for at in 0..self.running.len() {
                let (generation, dialling) = &mut self.running[at];
                if let Poll::Ready(result) = dialling.as_mut().poll(context) {
                    let generation = *generation;
                    drop(self.running.swap_remove(at));
                    return Poll::Ready((generation, result));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Dials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running.iter().map(|(generation, _)| generation);
        f.debug_list().entries(running).finish()
    }
}

/// Dials, says hello, and makes the requests. When it fails, nothing runs behind it.
async fn dial(
    transport: Transport,
    dial: Dial,
    generation: Generation,
    requests: Vec<ClientMessage>,
    may_exist: bool,
) -> Result<Dialled, DialFailed> {
    let greeted = greet(&transport, dial).await;
    let Greeted { mut pipe, result } = greeted.map_err(|error| unreached(&error, dial))?;
    let made = match result {
        Ok((decoder, server)) => {
            let mut wire = Wire {
                reader: &mut pipe.reader,
                writer: &mut pipe.writer,
                decoder,
                server,
            };
            let warnings = make(&mut wire, &requests, may_exist).await;
            let place = transport.place();
            warnings.map(|mut warnings| {
                for words in &mut warnings {
                    *words = place.quote(words);
                }
                (wire.decoder, wire.server, warnings)
            })
        }
        Err(error) => Err(Unmade::Wire(error)),
    };
    match made {
        Ok((decoder, server, mut warnings)) => {
            let said = match dial.interactive {
                true => warnings_in(&pipe.stderr()),
                false => Vec::new(),
            };
            // From here on, ssh's words no longer go to the screen.
            pipe.quiet();
            warnings.append(&mut pipe.warnings);
            Ok(Dialled {
                connection: Connection::new(generation, pipe, decoder, server),
                warnings,
                said,
            })
        }
        Err(Unmade::Refused(failure)) => Err(DialFailed::Refused(failure)),
        Err(Unmade::Wire(error)) => Err(DialFailed::Closed(
            closed(pipe, &transport, dial, error).await,
        )),
    }
}

fn unreached(error: &DialError, dial: Dial) -> DialFailed {
    let words = error.to_string();
    match error {
        // Where no server runs there is no session: that is no failed connection.
        DialError::Rendezvous(RendezvousError::NoServer) if !dial.again => {
            DialFailed::Refused(Failure {
                kind: FailureKind::NoSuchSession,
                message: words,
            })
        }
        DialError::Rendezvous(RendezvousError::NoServer) => DialFailed::Closed(Closed {
            kind: ClosedKind::Gone,
            words: end_of_server().to_owned(),
        }),
        DialError::Rendezvous(_)
        | DialError::Program(_)
        | DialError::Socket(_)
        | DialError::Spawn { .. } => DialFailed::Closed(Closed {
            kind: ClosedKind::Unreachable,
            words,
        }),
    }
}

/// How the server of this machine ended, with its keeper: one that is stopped leaves no roll.
fn end_of_server() -> &'static str {
    match rendezvous::has_roll() {
        true => {
            "the server's keeper was killed, and its sessions are gone: 'psess list' tells which"
        }
        false => "the server was stopped, and with it its sessions",
    }
}

/// What a relay that started a keeper has to say stands between the words of ssh and of start-up
/// files.
fn warnings_in(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().map(|line| line.trim_end());
    let said = lines.filter_map(|line| line.strip_prefix("psess: "));
    said.map(str::to_owned).collect()
}

enum Unmade {
    Wire(WireError),
    Refused(Failure),
}

/// Makes the requests; returns what their answers warn of.
async fn make<R, W>(
    wire: &mut Wire<R, W>,
    requests: &[ClientMessage],
    may_exist: bool,
) -> Result<Vec<String>, Unmade>
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    let mut warnings = Vec::new();
    for request in requests {
        if let ClientMessage::Environment(_) = request {
            wire.send(request).await.map_err(Unmade::Wire)?;
            continue;
        }
        match wire.request(request).await.map_err(Unmade::Wire)? {
            ServerMessage::Created(session) => warnings.extend(session.warnings),
            ServerMessage::Done => {}
            ServerMessage::Failed(failure)
                if may_exist && failure.kind == FailureKind::NameTaken => {}
            ServerMessage::Failed(failure) => return Err(Unmade::Refused(failure)),
            other => {
                return Err(Unmade::Refused(Failure {
                    kind: FailureKind::Protocol,
                    message: format!("the server answered a request with {other:?}"),
                }));
            }
        }
    }
    Ok(warnings)
}

/// Why the pipe ended, from what the command behind it said, or else from what came through it.
async fn closed(mut pipe: Pipe, transport: &Transport, dial: Dial, error: WireError) -> Closed {
    let incompatible = matches!(error, WireError::Hello(_)) || error.is_of_a_stranger();
    let end = pipe.ended().await;
    let kind = if incompatible || !end.may_recover() {
        ClosedKind::NeedsUser
    } else if end.reached_server() {
        ClosedKind::Broken
    } else {
        ClosedKind::Unreachable
    };
    let words = match end.reason() {
        _ if incompatible => error.explain(transport),
        Some(line) if !dial.interactive => line.to_owned(),
        Some(_) => end.explain(transport),
        None => format!("{error}: {}", end.explain(transport)),
    };
    Closed { kind, words }
}
