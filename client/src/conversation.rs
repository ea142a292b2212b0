//! A connection for single requests: what every command but `attach` needs of a server.

use std::time::Duration;

use psess_descriptor::{Sink, Source};
use psess_protocol::capability::Capability;
use psess_protocol::frame::Decoder;
use psess_protocol::hello::Hello;
use psess_protocol::message::{
    ClientMessage, History, ServerMessage, SessionSummary, Target, Usage,
};
use psess_protocol::retention::MAX_HISTORY_BYTES;
use psess_protocol::terminal::{Limits, Terminal};

use crate::error::CommandError;
use crate::greeting::{Greeted, greet};
use crate::handshake::{Wire, WireError};
use crate::place::Place;
use crate::transport::pipe::Pipe;
use crate::transport::{Dial, Transport};

/// How long a server may take to answer. It answers at once, except that it waits for a program
/// which was told to end.
const ANSWER: Duration = Duration::from_secs(30);

/// How long the server of this machine may take to its hello. A far one may take as long as its
/// user needs to find the password.
const LOCAL_HELLO: Duration = Duration::from_secs(10);

/// What is kept here of a session that is shown: all that a server may keep, which takes more room
/// where its blocks begin elsewhere.
const SHOWN: Limits = Limits {
    history_lines: u32::MAX,
    history_bytes: 4 * MAX_HISTORY_BYTES,
};

/// A server that listens.
#[derive(Debug)]
pub struct Conversation {
    transport: Transport,
    pipe: Pipe,
    decoder: Decoder,
    hello: Hello,
    /// What the user ought to know, each a sentence.
    pub warnings: Vec<String>,
}

impl Conversation {
    /// Dials and says hello; ssh may ask the user its questions. Starts a keeper on this machine
    /// where none runs, if `start`.
    ///
    /// # Errors
    /// [`CommandError`], with what ssh said where it failed.
    pub async fn open(transport: &Transport, start: bool) -> Result<Self, CommandError> {
        let dial = Dial {
            interactive: true,
            start,
            again: false,
            shares_master: true,
        };
        let greeting = greet(transport, dial);
        let greeted = match transport.is_local() {
            true => tokio::time::timeout(LOCAL_HELLO, greeting).await,
            false => Ok(greeting.await),
        };
        let Ok(greeted) = greeted else {
            return Err(CommandError::new(
                crate::error::ERROR,
                format!(
                    "the server on {transport} does not answer within {} s",
                    LOCAL_HELLO.as_secs()
                ),
            ));
        };
        let Greeted { mut pipe, result } = greeted?;
        match result {
            Ok((decoder, hello)) => Ok(Self {
                decoder,
                hello,
                warnings: std::mem::take(&mut pipe.warnings),
                transport: transport.clone(),
                pipe,
            }),
            Err(error) => Err(failed(transport, &mut pipe, &error).await),
        }
    }

    /// The machine of the server.
    #[must_use]
    pub fn place(&self) -> Place {
        self.transport.place()
    }

    /// What the server said of itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Sends a message that has no answer.
    ///
    /// # Errors
    /// When the server is too old for it, or the connection broke.
    pub async fn tell(&mut self, message: &ClientMessage) -> Result<(), CommandError> {
        self.check_capability(message)?;
        let result = self.wire().send(message).await;
        self.checked(result).await
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the server is too old for it, says that it failed, or the connection broke.
    pub async fn ask(&mut self, request: &ClientMessage) -> Result<ServerMessage, CommandError> {
        self.check_capability(request)?;
        let mut wire = self.wire();
        let answer = tokio::time::timeout(ANSWER, wire.request(request)).await;
        self.decoder = std::mem::take(&mut wire.decoder);
        self.answer(answer).await
    }

    /// Waits for a further answer.
    ///
    /// # Errors
    /// As [`Conversation::ask`].
    async fn further(&mut self) -> Result<ServerMessage, CommandError> {
        let mut wire = self.wire();
        let answer = tokio::time::timeout(ANSWER, wire.receive()).await;
        self.decoder = std::mem::take(&mut wire.decoder);
        self.answer(answer).await
    }

    /// Sends a request that is answered by `Done`.
    ///
    /// # Errors
    /// As [`Conversation::ask`].
    pub async fn order(&mut self, request: &ClientMessage) -> Result<(), CommandError> {
        match self.ask(request).await? {
            ServerMessage::Done => Ok(()),
            other => Err(self.nonsense(&other)),
        }
    }

    /// All sessions, in order of creation.
    ///
    /// # Errors
    /// As [`Conversation::ask`].
    pub async fn sessions(&mut self) -> Result<Vec<SessionSummary>, CommandError> {
        let mut all = Vec::new();
        let mut answer = self.ask(&ClientMessage::List).await?;
        loop {
            match answer {
                ServerMessage::Sessions { sessions, more } => {
                    all.extend(sessions);
                    if !more {
                        return Ok(all);
                    }
                }
                other => return Err(self.nonsense(&other)),
            }
            answer = self.further().await?;
        }
    }

    /// What server, keeper and all sessions take, those in order of creation.
    ///
    /// # Errors
    /// As [`Conversation::ask`].
    pub async fn usage(&mut self) -> Result<Usage, CommandError> {
        let mut sessions = Vec::new();
        let mut answer = self.ask(&ClientMessage::AskUsage).await?;
        loop {
            match answer {
                ServerMessage::Usage(mut usage) => {
                    sessions.append(&mut usage.sessions);
                    if !usage.more {
                        usage.sessions = sessions;
                        return Ok(usage);
                    }
                }
                other => return Err(self.nonsense(&other)),
            }
            answer = self.further().await?;
        }
    }

    /// What a session shows, behind so much of its history, as a terminal that shows the same; and how
    /// many lines before its whole history are kept no more.
    ///
    /// # Errors
    /// As [`Conversation::ask`].
    pub async fn shown(
        &mut self,
        session: Target,
        history: History,
    ) -> Result<(Terminal, u64), CommandError> {
        let (size, length, gone_lines) =
            match self.ask(&ClientMessage::Show { session, history }).await? {
                ServerMessage::Shown {
                    size,
                    length,
                    gone_lines,
                } => (size, length, gone_lines),
                other => return Err(self.nonsense(&other)),
            };
        let mut terminal = Terminal::new(size, SHOWN);
        let mut missing = length;
        while missing > 0 {
            let mut part_length = 0;
            let mut feed = |part: &[u8]| {
                terminal.feed(part);
                part_length = part.len() as u64;
            };
            let mut wire = self.wire();
            let part = tokio::time::timeout(ANSWER, wire.receive_replay(&mut feed)).await;
            self.decoder = std::mem::take(&mut wire.decoder);
            self.in_time(part).await?;
            missing = missing.saturating_sub(part_length);
        }
        Ok((terminal, gone_lines))
    }

    /// A server that does not know a message would close the connection without a word.
    fn check_capability(&self, message: &ClientMessage) -> Result<(), CommandError> {
        let Some(missing) = message
            .capability()
            .filter(|capability| !self.hello.can(*capability))
        else {
            return Ok(());
        };
        let replace = match missing {
            Capability::Control => {
                "end its process, whose number 'psess server status' shows: the new one takes \
                 over, and every session goes on"
            }
            Capability::Environment
            | Capability::Usage
            | Capability::Ending
            | Capability::Unwritten
            | Capability::Lending
            | Capability::Renaming
            | Capability::Typing
            | Capability::DetachCommand
            | Capability::HistorySince
            | Capability::Showing => "run 'psess server restart'",
        };
        let words = format!(
            "the server is older (psess {}) and cannot {missing}: upgrade psess there, then {replace}",
            self.hello.build
        );
        Err(CommandError::new(
            crate::error::NOT_USABLE,
            self.place().quote(&words),
        ))
    }

    /// An answer to another question.
    #[must_use]
    pub fn nonsense(&self, answer: &ServerMessage) -> CommandError {
        CommandError::new(
            crate::error::ERROR,
            format!(
                "the server on {} (psess {}) gave an answer that makes no sense here: {answer:?}",
                self.transport, self.hello.build
            ),
        )
    }

    fn wire(&mut self) -> Wire<&mut Source, &mut Sink> {
        Wire {
            reader: &mut self.pipe.reader,
            writer: &mut self.pipe.writer,
            decoder: std::mem::take(&mut self.decoder),
            server: self.hello.clone(),
        }
    }

    async fn answer(
        &mut self,
        answer: Result<Result<ServerMessage, WireError>, tokio::time::error::Elapsed>,
    ) -> Result<ServerMessage, CommandError> {
        match self.in_time(answer).await? {
            ServerMessage::Failed(failure) => {
                Err(CommandError::of_failure(&self.place(), &failure))
            }
            answer => Ok(answer),
        }
    }

    async fn in_time<T>(
        &mut self,
        answer: Result<Result<T, WireError>, tokio::time::error::Elapsed>,
    ) -> Result<T, CommandError> {
        let Ok(answer) = answer else {
            return Err(CommandError::new(
                crate::error::ERROR,
                format!(
                    "the server on {} has not answered for {} s",
                    self.transport,
                    ANSWER.as_secs()
                ),
            ));
        };
        self.checked(answer).await
    }

    async fn checked<T>(&mut self, result: Result<T, WireError>) -> Result<T, CommandError> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(failed(&self.transport, &mut self.pipe, &error).await),
        }
    }
}

async fn failed(transport: &Transport, pipe: &mut Pipe, error: &WireError) -> CommandError {
    let is_broken = matches!(error, WireError::Closed(_) | WireError::Io(_));
    let end = match is_broken {
        true => Some(pipe.ended().await),
        false => None,
    };
    CommandError::of_pipe(transport, error, end.as_ref())
}
