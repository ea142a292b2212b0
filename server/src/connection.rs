//! One connection of a client: its hello, and its requests until it is attached. Then the session
//! has it.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use psess_descriptor::{Sink, Source};
use psess_protocol::frame::{self, Kind};
use psess_protocol::hello::Hello;
use psess_protocol::identity::SessionId;
use psess_protocol::message::{
    Attach, ByteString, ClientMessage, Failure, FailureKind, History, ServerMessage, Target, Usage,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::environment;
use crate::lent_terminal::Loan;
use crate::reader::{Reader, Said};
use crate::registry::{Open, Registry, Request, no_longer_there};
use crate::session::{ConnectionId, Shown};
use crate::session_event::{Arrival, Event};
use crate::session_task::encode;

/// A connection that has not said hello by then is closed.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);

/// Most environment that a client may send, in bytes.
const MAX_ENVIRONMENT: usize = 512 << 10;

/// Sessions in one message of a list: each takes less than 1 KiB.
const LIST_CHUNK: usize = 50;

/// Terminal bytes in one frame of a replay.
const REPLAY_CHUNK: usize = 16 << 10;

/// A connection that has not taken a frame of a replay by then is closed: what follows is kept for it
/// until then.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection.
pub(crate) struct Connection {
    /// Which one.
    pub(crate) id: ConnectionId,
    /// What the client says.
    pub(crate) input: Source,
    /// What it is told.
    pub(crate) output: Sink,
    /// The socket of the relay that handed the descriptors over: the connection ends with it.
    pub(crate) relay: Option<Source>,
    /// The environment of the relay, or what the client says of its own.
    pub(crate) environment: Vec<ByteString>,
    /// Dropped when it ends.
    pub(crate) open: Open,
    /// Whom to ask.
    pub(crate) registry: Registry,
}

impl Connection {
    /// Serves the connection until it ends, or a session has it.
    pub(crate) async fn serve(self) {
        let Self {
            id,
            input,
            output,
            relay,
            environment,
            open,
            registry,
        } = self;
        let mut requests = Requests {
            id,
            output: Some(output),
            open: Some(open),
            environment,
            unwritten: 0,
            loan: None,
            started: None,
            registry,
        };
        let result = async {
            let mut reader = Reader::new(input, relay);
            let output = requests.output.as_mut().expect("not attached yet");
            let hello = greet(&mut reader, output).await?;
            requests.serve(reader, &hello).await
        }
        .await;
        requests.leave_started();
        if let Err(error) = result {
            tracing::debug!("connection {}: {error}", id.0);
        }
    }
}

/// Reads the client's hello and answers it.
async fn greet(reader: &mut Reader, output: &mut Sink) -> io::Result<Hello> {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    let theirs = loop {
        let read = timeout(HELLO_TIMEOUT, reader.input().read(&mut buffer)).await??;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen.extend_from_slice(&buffer[..read]);
        if let Some((hello, length)) = Hello::decode(&seen).map_err(io::Error::other)? {
            reader.feed(&seen[length..]);
            break hello;
        }
    };
    let ours = Hello::answering(&theirs);
    output.write_all(&ours.encode()).await?;
    // The client says so too, in words for its user.
    ours.common_version(&theirs).map_err(io::Error::other)?;
    Ok(theirs)
}

/// The next message, `None` at the end.
async fn next_message(reader: &mut Reader) -> io::Result<Option<ClientMessage>> {
    loop {
        match reader.next()? {
            Some(Said::Message(message)) => return Ok(Some(message)),
            Some(Said::Input(..)) => {
                return Err(io::Error::other("input before the connection is attached"));
            }
            None => {}
        }
        if poll_fn(|cx| reader.poll_read(cx)).await? == 0 {
            return Ok(None);
        }
    }
}

struct Requests {
    id: ConnectionId,
    /// `None` once a session has it, as is the next.
    output: Option<Sink>,
    open: Option<Open>,
    environment: Vec<ByteString>,
    /// Terminal bytes of earlier connections that the client still has.
    unwritten: u32,
    /// The client's terminal, where it lent that.
    loan: Option<Loan>,
    /// The session that was started for it last.
    started: Option<SessionId>,
    registry: Registry,
}

impl Requests {
    async fn serve(&mut self, mut reader: Reader, client: &Hello) -> io::Result<()> {
        while let Some(message) = next_message(&mut reader).await? {
            match message {
                ClientMessage::Lend => self.loan = reader.loan(),
                ClientMessage::Attach(attach) => match self.find(&attach).await? {
                    Ok(session) => return self.hand_over(reader, session, attach, client).await,
                    Err(failure) => self.write(&ServerMessage::Failed(failure)).await?,
                },
                message => self.answer(message).await?,
            }
        }
        Ok(())
    }

    /// The session to attach to.
    async fn find(&self, attach: &Attach) -> io::Result<Result<mpsc::Sender<Event>, Failure>> {
        let target = attach.session.clone();
        let environment = environment::of_client(&self.environment);
        self.registry
            .ask(|reply| Request::Enter(target, environment, reply))
            .await
    }

    /// Hands the connection to a session, which serves it from now on.
    async fn hand_over(
        &mut self,
        mut reader: Reader,
        session: mpsc::Sender<Event>,
        attach: Attach,
        client: &Hello,
    ) -> io::Result<()> {
        reader.refuse_descriptors();
        let arrival = Arrival {
            connection: self.id,
            hello: client.clone(),
            attach,
            unwritten: self.unwritten,
            reader,
            output: self.output.take().expect("a connection attaches once"),
            loan: self.loan.take(),
            open: self.open.take().expect("a connection attaches once"),
            mailbox: session.clone(),
        };
        // A session that just ended drops the arrival, and with it the connection.
        let _ = session.send(Event::Attach(Box::new(arrival))).await;
        Ok(())
    }

    async fn answer(&mut self, message: ClientMessage) -> io::Result<()> {
        let registry = &self.registry;
        let done = |result: Result<(), Failure>| match result {
            Ok(()) => ServerMessage::Done,
            Err(failure) => ServerMessage::Failed(failure),
        };
        let answer = match message {
            ClientMessage::Environment(entries) => return self.add_environment(entries),
            ClientMessage::New(new) => {
                self.leave_started();
                let (connection, session) = (self.id, new.id);
                let environment = self.environment.clone();
                let created = self
                    .registry
                    .ask(|reply| Request::New(connection, new, environment, reply))
                    .await?;
                self.started = created.is_ok().then_some(session);
                created.map_or_else(ServerMessage::Failed, ServerMessage::Created)
            }
            ClientMessage::List => return self.list().await,
            ClientMessage::AskUsage => return self.tell_usage().await,
            ClientMessage::Show { session, history } => return self.show(session, history).await,
            ClientMessage::DetachAll(target) => done(
                registry
                    .ask(|reply| Request::DetachAll(target, reply))
                    .await?,
            ),
            ClientMessage::Kill { session, signal } => done(
                registry
                    .ask(|reply| Request::Kill(session, signal, reply))
                    .await?,
            ),
            ClientMessage::Rename { session, name } => done(
                registry
                    .ask(|reply| Request::Rename(session, name, reply))
                    .await?,
            ),
            ClientMessage::Status => ServerMessage::Server(registry.ask(Request::Status).await?),
            ClientMessage::RestartServer => {
                let registry = registry.clone();
                self.write(&ServerMessage::Done).await?;
                registry.send(Request::Restart);
                return Ok(());
            }
            ClientMessage::EndAll => {
                let registry = registry.clone();
                self.write(&ServerMessage::Done).await?;
                registry.send(Request::EndAll);
                return Ok(());
            }
            ClientMessage::AskEnvironment(target) => registry
                .ask(|reply| Request::Environment(target, reply))
                .await?
                .map_or_else(ServerMessage::Failed, ServerMessage::ClientEnvironment),
            ClientMessage::Ping(number) => ServerMessage::Pong(number),
            ClientMessage::Pong(_) => return Ok(()),
            ClientMessage::Unwritten(bytes) => {
                self.unwritten = bytes;
                return Ok(());
            }
            ClientMessage::Resize(_)
            | ClientMessage::Written(_)
            | ClientMessage::Detach
            | ClientMessage::Redraw
            | ClientMessage::AskEnding
            | ClientMessage::Lend
            | ClientMessage::Typed { .. } => ServerMessage::Failed(Failure {
                kind: FailureKind::Protocol,
                message: "this connection is not attached to a session".to_owned(),
            }),
            ClientMessage::Attach(_) => {
                return Err(io::Error::other("attach is handled by its own path"));
            }
        };
        self.write(&answer).await
    }

    /// The session that was started for this connection need not wait for it.
    fn leave_started(&mut self) {
        if let Some(session) = self.started.take() {
            self.registry.send(Request::Left(session, self.id));
        }
    }

    fn add_environment(&mut self, entries: Vec<ByteString>) -> io::Result<()> {
        self.environment.extend(entries);
        let size: usize = self.environment.iter().map(|entry| entry.0.len()).sum();
        if size > MAX_ENVIRONMENT {
            return Err(io::Error::other("an environment of more than 512 KiB"));
        }
        Ok(())
    }

    async fn list(&mut self) -> io::Result<()> {
        let sessions = self.registry.lines().await?;
        self.write_in_parts(sessions, |sessions, more| ServerMessage::Sessions {
            sessions,
            more,
        })
        .await
    }

    async fn tell_usage(&mut self) -> io::Result<()> {
        let [server, keeper] = self.registry.ask(Request::Usage).await?;
        // Nobody has looked at what those take that wait.
        let sessions = self.registry.ask_all(Event::Measure).await?;
        self.write_in_parts(sessions, |sessions, more| {
            ServerMessage::Usage(Usage {
                server: server.clone(),
                keeper: keeper.clone(),
                sessions,
                more,
            })
        })
        .await
    }

    /// Shows a session, which nobody enters by that.
    async fn show(&mut self, session: Target, history: History) -> io::Result<()> {
        let nobodys = Vec::new();
        let found = self
            .registry
            .ask(|reply| Request::Enter(session, nobodys, reply))
            .await?;
        let shown = match found {
            Ok(session) => {
                let (reply, answer) = oneshot::channel();
                // One that has ended drops the question, and with it the answer.
                let _ = session.send(Event::Show(history, reply)).await;
                answer.await.unwrap_or_else(|_| Err(no_longer_there()))
            }
            Err(failure) => Err(failure),
        };
        let Shown {
            size,
            replay,
            gone_lines,
        } = match shown {
            Ok(shown) => shown,
            Err(failure) => return self.write(&ServerMessage::Failed(failure)).await,
        };
        let length = replay.len() as u64;
        let shown = ServerMessage::Shown {
            size,
            length,
            gone_lines,
        };
        self.write(&shown).await?;
        for part in replay.chunks(REPLAY_CHUNK) {
            let mut bytes = Vec::new();
            frame::encode(Kind::Replay, &[part], &mut bytes);
            timeout(REPLAY_TIMEOUT, self.write_bytes(&bytes)).await??;
        }
        Ok(())
    }

    /// Answers with something about all sessions, of which a message holds only so many.
    async fn write_in_parts<T>(
        &mut self,
        sessions: Vec<T>,
        message: impl Fn(Vec<T>, bool) -> ServerMessage,
    ) -> io::Result<()> {
        let mut rest = sessions.into_iter();
        loop {
            let part = rest.by_ref().take(LIST_CHUNK).collect();
            let more = rest.len() > 0;
            self.write(&message(part, more)).await?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn write(&mut self, message: &ServerMessage) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.write_bytes(&bytes).await
    }

    async fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let output = self.output.as_mut().expect("not attached");
        output.write_all(bytes).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use psess_protocol::codec;
    use psess_protocol::frame::{self, Kind};
    use psess_protocol::identity::{ClientId, Generation};
    use psess_protocol::message::{Created, History, NewSession, Target};
    use psess_protocol::size::Size;
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    fn new_session(id: SessionId) -> NewSession {
        NewSession {
            id,
            name: None,
            command: Vec::new(),
            cwd: None,
            environment: Vec::new(),
            size: Size::default(),
        }
    }

    /// Connection 7, whose client has said this, and what the registry is asked.
    fn connection(
        messages: &[ClientMessage],
    ) -> (UnixStream, Connection, mpsc::UnboundedReceiver<Request>) {
        let (client, server) = UnixStream::pair().unwrap();
        let (registry, requests) = Registry::new();
        let mut said = Hello::of_client().encode();
        for message in messages {
            let body = codec::encode(message).unwrap();
            frame::encode(Kind::Message, &[&body], &mut said);
        }
        rustix::io::write(&client, &said).unwrap();
        let connection = Connection {
            id: ConnectionId(7),
            output: Sink::new(server.try_clone().unwrap().into()).unwrap(),
            input: Source::new(server.into()).unwrap(),
            relay: None,
            environment: Vec::new(),
            open: Open::new(registry.clone()),
            registry,
        };
        (client, connection, requests)
    }

    fn created(id: SessionId) -> Created {
        Created {
            id,
            name: "work".parse().unwrap(),
            warnings: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_session_need_not_wait_for_a_connection_that_starts_another_or_ends() {
        let [first, second] = [SessionId([1; 16]), SessionId([2; 16])];
        let starts = [first, second].map(|id| ClientMessage::New(new_session(id)));
        let (client, connection, mut requests) = connection(&starts);
        let serving = tokio::spawn(connection.serve());
        let mut left = Vec::new();
        let mut client = Some(client);
        while let Some(request) = requests.recv().await {
            match request {
                Request::New(ConnectionId(7), new, _, reply) => {
                    reply.send(Ok(created(new.id))).unwrap();
                    client.take_if(|_| new.id == second);
                }
                Request::Left(session, ConnectionId(7)) => left.push(session),
                Request::Opened | Request::Closed => {}
                other => panic!("{other:?}"),
            }
        }
        serving.await.unwrap();
        assert_eq!(left, [first, second]);
    }

    #[tokio::test]
    async fn a_connection_that_attaches_counts_until_its_session_drops_it() {
        let session = SessionId([1; 16]);
        let attach = Attach {
            session: Target::Id(session),
            client: ClientId([1; 16]),
            generation: Generation(1),
            size: Size::default(),
            position: None,
            history: History::None,
            read_only: false,
            heartbeat_ms: 0,
            detach_others: false,
        };
        let (_client, connection, mut requests) = connection(&[
            ClientMessage::New(new_session(session)),
            ClientMessage::Attach(attach),
        ]);
        let serving = tokio::spawn(connection.serve());
        let (sender, mut mailbox) = mpsc::channel(1);
        let mut sender = Some(sender);
        let mut told = Vec::new();
        while let Some(request) = requests.recv().await {
            match request {
                Request::New(_, new, _, reply) => reply.send(Ok(created(new.id))).unwrap(),
                Request::Enter(_, _, reply) => {
                    reply.send(Ok(sender.take().unwrap())).unwrap();
                }
                Request::Opened => told.push("opened"),
                Request::Left(id, ConnectionId(7)) if id == session => {
                    told.push("left");
                    // Nobody else has a sender: the connection does.
                    let Some(Event::Attach(arrival)) = mailbox.recv().await else {
                        panic!("nobody arrives");
                    };
                    assert!(
                        mailbox
                            .try_recv()
                            .is_err_and(|error| error == TryRecvError::Empty)
                    );
                    drop(arrival);
                    assert!(mailbox.recv().await.is_none(), "it is forgotten");
                }
                Request::Closed => told.push("closed"),
                other => panic!("{other:?}"),
            }
        }
        serving.await.unwrap();
        assert_eq!(told, ["opened", "left", "closed"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_a_replay_is_closed() {
        let (client, connection, mut requests) = connection(&[ClientMessage::Show {
            session: Target::Latest,
            history: History::All,
        }]);
        let started = tokio::time::Instant::now();
        let serving = tokio::spawn(connection.serve());
        let (sender, mut mailbox) = mpsc::channel(1);
        let mut sender = Some(sender);
        while let Some(request) = requests.recv().await {
            match request {
                Request::Enter(Target::Latest, environment, reply) => {
                    assert!(environment.is_empty(), "nobody enters by that");
                    reply.send(Ok(sender.take().unwrap())).unwrap();
                    let Some(Event::Show(History::All, reply)) = mailbox.recv().await else {
                        panic!("the session is not asked");
                    };
                    let shown = Shown {
                        size: Size::default(),
                        replay: vec![b'x'; 8 << 20],
                        gone_lines: 0,
                    };
                    assert!(reply.send(Ok(shown)).is_ok());
                }
                Request::Opened | Request::Closed => {}
                other => panic!("{other:?}"),
            }
        }
        serving.await.unwrap();
        assert_eq!(started.elapsed().as_secs(), REPLAY_TIMEOUT.as_secs());
        drop(client);
    }
}
