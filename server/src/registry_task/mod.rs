//! The registry's main loop: it owns the sessions' entries and the server's end of the channel
//! to the keeper, and ends the server when nobody needs it.

mod ending;
mod lost;
mod starting;
mod taking_over;

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use anyhow::{anyhow, bail};
use psess_protocol::identity::SessionId;
use psess_protocol::message::{
    ByteString, Failure, FailureKind, ProcessUsage, ServerStatus, Target,
};
use psess_protocol::name::SessionName;
use psess_protocol::terminal::Limits;
use tokio::sync::{mpsc, oneshot, watch};

use crate::agent_link::{AgentLink, agent_of};
use crate::clock::unix_time;
use crate::history_budget::{HistoryBudget, Told};
use crate::history_settings::HistorySettings;
use crate::keep_finished::KeepFinished;
use crate::keeper::Introduction;
use crate::keeper::protocol::{ToKeeper, ToServer};
use crate::keeper_stream::{FromKeeper, KeeperStream};
use crate::listener::{Listener, Listening};
use crate::process_usage;
use crate::record::Record;
use crate::registry::{Entries, Entry, Line, Registry, Request};
use crate::session_event::Event;
use crate::turns::Turns;

use starting::Spawning;
use taking_over::Waiting;

/// The title of a session that could not be taken over yet.
const WAITING: &str = "(waits: there is no memory, or are no descriptors, to take it over)";

/// The registry's task.
pub(crate) struct RegistryTask {
    registry: Registry,
    requests: mpsc::UnboundedReceiver<Request>,
    keeper: KeeperStream,
    entries: Entries,
    spawning: HashMap<SessionId, Spawning>,
    /// Sessions that could not be taken over yet.
    waiting: Vec<Waiting>,
    listeners: watch::Sender<Listening>,
    turns: Turns,
    /// Connections that are open.
    connections: usize,
    restarts: u32,
    started: u64,
    boot_id: String,
    introduction: Introduction,
    /// How long a finished session is kept that nobody looked at.
    keep_finished: KeepFinished,
    /// How much history each session may keep.
    history_limits: Limits,
    /// How much all of them may.
    history_budget: HistoryBudget,
    /// Another server is to take this one's place, once the keeper was told everything.
    leaving: bool,
}

impl RegistryTask {
    pub(crate) fn new(
        registry: Registry,
        requests: mpsc::UnboundedReceiver<Request>,
        keeper: KeeperStream,
        introduction: Introduction,
        keep_finished: KeepFinished,
        history: HistorySettings,
    ) -> (Self, watch::Receiver<Listening>) {
        let (listeners, listening) = watch::channel(Listening::NotYet);
        let task = Self {
            registry,
            requests,
            keeper,
            entries: Entries::default(),
            spawning: HashMap::new(),
            waiting: Vec::new(),
            listeners,
            turns: Turns::new(),
            connections: 0,
            restarts: 0,
            started: unix_time(),
            boot_id: boot_id(),
            introduction,
            keep_finished,
            history_limits: history.limits,
            history_budget: HistoryBudget::new(history.budget_bytes),
            leaving: false,
        };
        (task, listening)
    }

    /// Takes over what the keeper holds, then runs until the keeper ends the server.
    ///
    /// # Errors
    /// When the keeper breaks its protocol.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut listener = None;
        loop {
            match self.keeper.next().await? {
                Some((ToServer::Listener { .. }, fds)) => listener = Some(listener_of(fds)?),
                Some((ToServer::Session(held), fds)) => self.adopt(held, fds),
                Some((ToServer::Ready { restarts }, _)) => {
                    self.restarts = restarts;
                    break;
                }
                Some((message, fds)) => self.handle_keeper(message, fds)?,
                None => return Ok(()),
            }
        }
        let listener = listener.ok_or_else(|| anyhow!("the keeper has no listening socket"))?;
        self.listeners.send_replace(Listening::On(listener));
        self.take_up_lost();
        // What is queued for the keeper goes with the next look at its channel.
        while !self.leaving || self.keeper.wants_write() {
            let ready = tokio::select! {
                message = self.keeper.next() => Ready::Keeper(message),
                request = self.requests.recv() => Ready::Request(request),
            };
            match ready {
                Ready::Keeper(message) => match message? {
                    // Somebody waits to be let in. To ask again before the listener has had its
                    // turn would go on for ever.
                    Some((message @ ToServer::Stay, fds)) => {
                        self.handle_keeper(message, fds)?;
                        continue;
                    }
                    Some((message, fds)) => self.handle_keeper(message, fds)?,
                    None => return Ok(()),
                },
                Ready::Request(Some(request)) => self.handle_request(request)?,
                Ready::Request(None) => return Ok(()),
            }
            self.end_if_idle()?;
        }
        Ok(())
    }

    fn handle_keeper(&mut self, message: ToServer, fds: Vec<OwnedFd>) -> anyhow::Result<()> {
        match message {
            ToServer::Listener { .. } => {
                self.listeners
                    .send_replace(Listening::On(listener_of(fds)?));
                // The directory is new, or was emptied.
                self.write_roll();
            }
            ToServer::Session(held) => self.adopt(held, fds),
            ToServer::Ready { .. } => bail!("the keeper is ready twice"),
            ToServer::Spawned { session, pid } => self.handle_spawned(session, pid, fds)?,
            ToServer::SpawnFailed {
                session,
                stage,
                errno,
                message,
            } => {
                self.handle_spawn_failed(session, stage, errno, message);
            }
            ToServer::Exited {
                session,
                outcome,
                time,
            } => {
                self.handle_exited(session, outcome, time)?;
            }
            ToServer::Stay => self.listeners.send_modify(|listening| {
                if let Listening::Paused(listener) = listening {
                    *listening = Listening::On(listener.clone());
                }
            }),
        }
        Ok(())
    }

    fn handle_request(&mut self, request: Request) -> anyhow::Result<()> {
        // A reply that nobody waits for any more is of no use to anybody.
        match request {
            Request::New(connection, new, environment, reply) => {
                self.start(connection, new, &environment, reply)?;
            }
            Request::Left(session, connection) => {
                // One that ended in the meantime waits for nobody.
                if let Some(entry) = self.entries.get(session) {
                    post(entry, Event::Left(connection));
                }
            }
            Request::Enter(target, environment, reply) if self.waits(&target) => {
                self.enter_later(&target, environment, reply);
            }
            Request::Enter(target, environment, reply) => {
                let _ = reply.send(self.enter(&target, environment));
            }
            Request::Environment(target, reply) => {
                let found = self.find(&target);
                let _ = reply.send(found.map(|entry| entry.client_environment.clone()));
            }
            Request::Lines(reply) => {
                let told = |entry: &Entry| match entry.has_read_its_mail() {
                    true => Line::Told(entry.line.borrow().clone()),
                    false => {
                        let (reply, answer) = oneshot::channel();
                        post(entry, Event::Summarize(reply));
                        Line::Asked(answer)
                    }
                };
                let _ = reply.send(self.all(told, |record| Line::Told(record.summary(WAITING))));
            }
            Request::Mailboxes(reply) => {
                let mailbox = |entry: &Entry| Some(entry.mailbox.clone());
                let all = self.all(mailbox, |_| None);
                let _ = reply.send(all.into_iter().flatten().collect());
            }
            Request::DetachAll(target, reply) => {
                let result = self.find(&target);
                let _ = reply.send(result.map(|entry| post(entry, Event::DetachAll)));
            }
            Request::Kill(target, signal, reply) => self.kill(&target, signal, reply)?,
            Request::Rename(target, name, reply) => {
                let _ = reply.send(self.rename(&target, name));
            }
            Request::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Request::Usage(reply) => {
                let _ = reply.send(self.usage());
            }
            Request::Insist(session, signal) => self.insist(session, signal)?,
            Request::Save(record) => self.save(*record)?,
            Request::History(session, bytes) => self.handle_history(session, bytes),
            Request::Forget(session) => self.forget(session)?,
            Request::Expire(session) => self.expire(session)?,
            Request::TakeOver => self.take_over_waiting(),
            Request::Restart => self.leaving = true,
            Request::EndAll => self.end_all()?,
            Request::Opened => self.connections += 1,
            Request::Closed => self.connections -= 1,
        }
        Ok(())
    }

    /// Something of each session, in order of creation.
    fn all<T>(&self, running: impl Fn(&Entry) -> T, waiting: impl Fn(&Record) -> T) -> Vec<T> {
        let running = self
            .entries
            .iter()
            .map(|entry| (&entry.record, running(entry)));
        let waiting = self.waiting.iter().map(|entry| {
            let record = entry.record();
            (record, waiting(record))
        });
        let mut all: Vec<_> = running.chain(waiting).collect();
        all.sort_by(|(a, _), (b, _)| (a.created, &a.name).cmp(&(b.created, &b.name)));
        all.into_iter().map(|(_, of)| of).collect()
    }

    /// The session that is meant, which must not be one that waits.
    fn find(&self, target: &Target) -> Result<&Entry, Failure> {
        if self.waits(target) {
            return Err(Failure {
                kind: FailureKind::Limit,
                message: "the session waits until there is memory, or are descriptors, for it"
                    .to_owned(),
            });
        }
        self.entries.find(target)
    }

    fn rename(&mut self, target: &Target, name: SessionName) -> Result<(), Failure> {
        let entry = self.find(target)?;
        if entry.record.name == name {
            return Ok(());
        }
        let session = entry.record.id;
        self.entries.check_free(&name)?;
        let entry = self.entries.get_mut(session).expect("just found");
        entry.record.name = name.clone();
        post(entry, Event::Renamed(name));
        Ok(())
    }

    /// Hands a record on to the keeper, for the next server.
    fn save(&mut self, record: Record) -> anyhow::Result<()> {
        let Some(entry) = self.entries.get_mut(record.id) else {
            return Ok(());
        };
        // The name is given here, and told to the session.
        let name = entry.record.name.clone();
        entry.record = Record { name, ..record };
        let session = entry.record.id;
        let blob = entry.record.encode()?;
        if let Some(entry) = self.entries.get(session) {
            self.enter_on_roll(&entry.record);
        }
        self.keeper.send(&ToKeeper::SetBlob { session, blob })
    }

    fn handle_history(&mut self, session: SessionId, bytes: usize) {
        // One that was forgotten may still have told something.
        if self.entries.get(session).is_some() {
            let told = self.history_budget.handle_change(session, bytes);
            self.share_history(told);
        }
    }

    fn share_history(&self, told: Vec<Told>) {
        for (session, bytes) in told {
            if let Some(entry) = self.entries.get(session) {
                post(entry, Event::HistoryShare(bytes));
            }
        }
    }

    /// Lets a client in: from now on the session's programs reach its agent.
    fn enter(
        &mut self,
        target: &Target,
        environment: Vec<ByteString>,
    ) -> Result<mpsc::Sender<Event>, Failure> {
        let session = self.entries.find(target)?.record.id;
        self.point_to_agent(session, &environment);
        let entry = self.entries.get_mut(session).expect("just found");
        if !environment.is_empty() {
            entry.client_environment = environment;
        }
        Ok(entry.mailbox.clone())
    }

    /// Leads a session's programs to the agent in this environment, if there is one.
    fn point_to_agent(&self, session: SessionId, environment: &[ByteString]) {
        if let Some(agent) = agent_of(environment)
            && let Err(error) = self.agent_link(session).point_to(&agent)
        {
            tracing::warn!("cannot point to the ssh agent of a client: {error}");
        }
    }

    fn agent_link(&self, session: SessionId) -> AgentLink {
        let directory = self.listeners.borrow().directory();
        AgentLink::new(&directory.unwrap_or_default(), session)
    }

    fn status(&self) -> ServerStatus {
        ServerStatus {
            build: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            keeper_pid: keeper_pid(),
            started: self.started,
            restarts: self.restarts,
            boot_id: self.boot_id.clone(),
            sessions: u32::try_from(self.entries.len() + self.waiting.len()).unwrap_or(u32::MAX),
        }
    }

    /// What the server and its keeper take.
    fn usage(&self) -> [ProcessUsage; 2] {
        let Introduction {
            keeper_build,
            keeper_started,
            ..
        } = &self.introduction;
        [
            process_usage::of(std::process::id(), env!("CARGO_PKG_VERSION"), self.started),
            process_usage::of(keeper_pid(), keeper_build, *keeper_started),
        ]
    }
}

/// Which start of the machine this is, as random(4) tells; empty where that is unknown.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

fn keeper_pid() -> u32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned())
}

enum Ready {
    Keeper(anyhow::Result<Option<FromKeeper>>),
    Request(Option<Request>),
}

fn listener_of(fds: Vec<OwnedFd>) -> anyhow::Result<std::sync::Arc<Listener>> {
    let fd = fds
        .into_iter()
        .next()
        .ok_or_else(|| anyhow!("a listener without a socket"))?;
    Ok(std::sync::Arc::new(Listener::new(fd)?))
}

/// Tells a session something. A mailbox that is full belongs to a session that is stuck, and
/// nobody may wait for it here.
fn post(entry: &Entry, event: Event) {
    if let Err(mpsc::error::TrySendError::Full(event)) = entry.mailbox.try_send(event) {
        let mailbox = entry.mailbox.clone();
        tokio::spawn(async move { mailbox.send(event).await });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use psess_protocol::retention::Retention;

    use super::*;
    use crate::keeper::channel::{KeeperChannel, ServerChannel};
    use crate::keeper::protocol::VERSION;
    use crate::listener;

    /// A keeper that holds nothing but a listening socket, and knows of somebody who waits there:
    /// it answers all questions with `Stay`. How often it was asked.
    async fn keep(mut channel: KeeperChannel, listener: UnixListener) -> usize {
        let fds = [listener.as_fd()];
        let first = ToServer::Listener { version: VERSION };
        channel.send(&first, &fds).unwrap();
        channel.send(&ToServer::Ready { restarts: 0 }, &[]).unwrap();
        let mut asked = 0;
        loop {
            match channel.receive() {
                Ok(Some((ToKeeper::Idle, _))) => {
                    asked += 1;
                    channel.send(&ToServer::Stay, &[]).unwrap();
                }
                Ok(Some((other, _))) => panic!("{other:?}"),
                Ok(None) => tokio::task::yield_now().await,
                Err(_) => return asked,
            }
        }
    }

    #[tokio::test]
    async fn who_waits_to_be_let_in_is_let_in_by_a_server_that_was_about_to_end() {
        let path = std::env::temp_dir().join(format!("psess-registry-{}", std::process::id()));
        // One of an earlier process with this number.
        let _ = std::fs::remove_file(&path);
        let socket = UnixListener::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        client.write_all(b"hello").unwrap();

        let (keeper, theirs) = KeeperChannel::pair().unwrap();
        let ready = theirs.try_clone().unwrap();
        let channel = KeeperStream::new(ServerChannel::new(theirs), ready).unwrap();
        let (registry, requests) = Registry::new();
        let (task, listening) = RegistryTask::new(
            registry.clone(),
            requests,
            channel,
            Introduction::of_this_process(),
            KeepFinished::new(&Retention::default()),
            HistorySettings::new(&Retention::default()),
        );
        // One that was there before has gone: nobody needs this server any more.
        registry.send(Request::Opened);
        registry.send(Request::Closed);
        let keeper = tokio::spawn(keep(keeper, socket));
        let server = tokio::spawn(task.run());
        let accepting = tokio::spawn(listener::run(listening, registry));
        let closed = tokio::task::spawn_blocking(move || {
            let patience = Duration::from_secs(60);
            client.set_read_timeout(Some(patience)).unwrap();
            // What is no hello is refused: so it was accepted.
            client.read(&mut [0; 64])
        });
        assert!(closed.await.unwrap().is_ok(), "nobody was let in");
        server.abort();
        accepting.abort();
        // It was ended in the middle, or has ended.
        let _ = server.await;
        assert!(keeper.await.unwrap() >= 1, "it was about to end");
    }
}
