//! Records the cuts of an attached client: what its [`Witness`] saw goes to the log at once, and
//! what takes time to find out (how ssh ended, what the far side knows) follows, while the
//! session goes on. Nothing here delays a redial or fails an attachment.

use std::ffi::OsString;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use psess_protocol::identity::Generation;
use psess_protocol::message::{ClientMessage, Ending, ServerStatus};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::control_master;
use super::cut::Cut;
use super::cut_log::CutLog;
use super::evidence::{Evidence, ServerIdentity, SshEnd, TcpState};
use super::inquiry::Inquiry;
use super::kernel_settings::KernelSettings;
use super::path_memory::{PathKnowledge, PathMemory};
use super::route::Route;
use super::socket_statistics;
use super::witness::Witness;
use crate::connection::Connection;
use crate::line_rate::LineRate;
use crate::network_watch::clocks;
use crate::transport::Transport;

/// How long the facts of the last cut are waited for when the client ends.
const AT_THE_END: Duration = Duration::from_millis(300);

/// A network that comes and goes must not have the far side asked each time.
const ASKED_APART: Duration = Duration::from_secs(30);

/// Shorter gaps tell nothing of a way.
const WORTH_REMEMBERING: Duration = Duration::from_secs(4);

/// Records the cuts of one attached client.
#[derive(Debug)]
pub struct Recorder {
    witness: Witness,
    host: Option<String>,
    facts_argv: Option<Vec<OsString>>,
    log: Option<CutLog>,
    memory: Option<PathMemory>,
    session: String,
    /// The user asked to leave.
    is_leaving: bool,
    /// How ssh ended, when the cut that is not over was its end.
    ssh_end: Option<JoinHandle<SshEnd>>,
    /// What the kernel thought of the connection that was suspected last.
    tcp: Option<(Generation, JoinHandle<Option<TcpState>>)>,
    /// Where the server's word on the connection before is awaited.
    ending: Option<oneshot::Sender<Option<Ending>>>,
    inquiry: Option<JoinHandle<Cut>>,
    /// When the far side was asked last.
    asked: Option<Instant>,
    line_rate: LineRate,
}

impl Recorder {
    /// Records what happens on the way to this server.
    #[must_use]
    pub fn new(transport: &Transport) -> Self {
        Self {
            witness: Witness::new(route_to(transport.host()), clocks()),
            host: transport.host().map(str::to_owned),
            facts_argv: transport.psess_argv("facts"),
            log: CutLog::of_user(),
            memory: PathMemory::of_user(),
            session: String::new(),
            is_leaving: false,
            ssh_end: None,
            tcp: None,
            ending: None,
            inquiry: None,
            asked: None,
            line_rate: LineRate::default(),
        }
    }

    /// After how long idle a connection ends on the present way, where that is known: what the
    /// heartbeat heeds.
    #[must_use]
    pub fn path_timeout(&self) -> Option<Duration> {
        self.knowledge()?.shortest_limit()
    }

    /// sshd's ChannelTimeout at the end of the present way, where that is known.
    #[must_use]
    pub fn policy_timeout(&self) -> Option<Duration> {
        self.knowledge()?.policy
    }

    /// How fast the present way carried a replay the last time, in bytes a second.
    #[must_use]
    pub fn line_rate(&self) -> Option<u64> {
        self.knowledge()?.bytes_per_second
    }

    fn knowledge(&self) -> Option<PathKnowledge> {
        let memory = self.memory.as_ref()?;
        memory.knowledge(self.witness.route().name(), self.host.as_deref()?)
    }

    /// The client's loop woke up, and was to do so at `due` at the latest.
    pub fn handle_woken(&mut self, now: Instant, due: Option<Instant>) {
        self.witness.handle_woken(now, due, clocks());
    }

    /// The server said what it is.
    pub fn handle_server(&mut self, status: ServerStatus) {
        self.witness.handle_server(ServerIdentity {
            boot_id: status.boot_id,
            pid: status.pid,
            started: status.started,
        });
    }

    /// The session is attached on this connection. Whether that goes another way than before.
    pub fn handle_attached(
        &mut self,
        now: Instant,
        connection: &Connection,
        session: String,
    ) -> bool {
        self.handle_named(session);
        let generation = connection.generation;
        let before = self.witness.route().clone();
        let route = route_to(self.host.as_deref());
        let finished = self.witness.handle_attached(now, generation, route);
        if connection
            .process_id()
            .is_some_and(control_master::is_used_by)
        {
            self.witness.handle_shared(generation);
        }
        if let Some(evidence) = finished {
            let may_ask = self.asked.is_none_or(|asked| now >= asked + ASKED_APART);
            if may_ask {
                self.asked = Some(now);
            }
            let (sender, receiver) = oneshot::channel();
            self.ending = Some(sender);
            self.record(evidence, may_ask, Some(receiver));
        }
        before.differs(self.witness.route())
    }

    /// The session has this name from now on.
    pub fn handle_named(&mut self, session: String) {
        self.session = session;
    }

    /// Whether the server is to be asked how it saw the connection before end.
    #[must_use]
    pub fn awaits_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// The server said how it saw the connection before end.
    pub fn handle_ending(&mut self, ending: Option<Ending>) {
        if let Some(sender) = self.ending.take() {
            // Where nobody waits any more, the log goes without it.
            let _ = sender.send(ending);
        }
    }

    /// Something came on this connection.
    pub fn handle_received(&mut self, now: Instant, generation: Generation) {
        // It was suspected for nothing.
        self.tcp.take_if(|(of, _)| *of == generation);
        self.witness.handle_received(now, generation);
    }

    /// Output of the program came.
    pub fn handle_output(&mut self, bytes: &[u8]) {
        self.witness.handle_output(bytes);
    }

    /// A replay was announced.
    pub fn handle_replay_announced(&mut self, now: Instant) {
        self.line_rate.handle_announced(now);
    }

    /// Bytes of a replay came.
    pub fn handle_replay(&mut self, now: Instant, bytes: usize) {
        self.line_rate.handle_received(now, bytes);
    }

    /// A message is sent on this connection.
    pub fn handle_sent(&mut self, now: Instant, generation: Generation, message: &ClientMessage) {
        self.is_leaving |= *message == ClientMessage::Detach;
        let is_answered = matches!(message, ClientMessage::Ping(_));
        self.witness.handle_sent(now, generation, is_answered);
    }

    /// Typed bytes are sent on this connection.
    pub fn handle_input_sent(&mut self, now: Instant, generation: Generation) {
        self.witness.handle_sent(now, generation, true);
    }

    /// A dial failed.
    pub fn handle_dial_failed(&mut self, words: &str, needs_user: bool) {
        self.witness.handle_dial_failed(words, needs_user);
    }

    /// The link suspects this connection: what the kernel thinks of it is asked now, as it will be
    /// closed soon.
    pub fn handle_suspect(&mut self, connection: &Connection) {
        if self
            .tcp
            .as_ref()
            .is_some_and(|(of, _)| *of == connection.generation)
        {
            return;
        }
        if let Some(id) = connection.process_id() {
            let reading = tokio::spawn(socket_statistics::of_process(id));
            self.tcp = Some((connection.generation, reading));
        }
    }

    /// The connection closed by itself.
    pub fn handle_closed(&mut self, now: Instant, connection: Connection) {
        let generation = connection.generation;
        let words = connection.last_words();
        let ssh = connection.process_id().map(|_| SshEnd {
            status: None,
            signal: None,
            words: words.trim_end().to_owned(),
        });
        let is_command = ssh.is_some();
        let leaving = self.is_leaving;
        if self.witness.handle_closed(now, generation, ssh, leaving) && is_command {
            self.ssh_end = Some(tokio::spawn(async move {
                let end = connection.ended().await;
                SshEnd {
                    status: end.status.and_then(|status| status.code()),
                    signal: end
                        .status
                        .and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)),
                    words: end.stderr,
                }
            }));
        }
    }

    /// The link closes this connection.
    pub fn handle_given_up(&mut self, now: Instant, generation: Generation) {
        self.witness
            .handle_given_up(now, generation, self.is_leaving);
    }

    /// The program ended.
    pub fn handle_finished(&mut self, now: Instant) {
        if let Some(evidence) = self.witness.handle_finished(now) {
            self.record(evidence, false, None);
        }
    }

    /// The last cut, once all about it is found out; waits for ever when nothing is being found
    /// out. May be dropped and asked again.
    pub async fn found_out(&mut self) -> Option<Cut> {
        let Some(inquiry) = &mut self.inquiry else {
            return std::future::pending().await;
        };
        let cut = inquiry.await;
        self.inquiry = None;
        // An inquiry that panicked found out nothing.
        cut.ok()
    }

    /// The client ends. What is still being found out is waited for, but only for a moment.
    pub async fn finish(&mut self) {
        if let Some(evidence) = self.witness.handle_end() {
            self.record(evidence, false, None);
        }
        self.remember_survival();
        self.remember_line_rate();
        if let Some(inquiry) = self.inquiry.take() {
            // Without it the log lacks what came too late, and nothing else.
            let _ = tokio::time::timeout(AT_THE_END, inquiry).await;
        }
    }

    /// Remembers the longest gap that was survived, where that is news.
    fn remember_survival(&self) {
        let gap = self.witness.survived();
        let known = self.knowledge().and_then(|known| known.survives);
        if gap < WORTH_REMEMBERING || known.is_some_and(|known| gap <= known) {
            return;
        }
        self.learn(|known, now| known.after_survival(gap, now));
    }

    /// Remembers how fast the way is, where that is news.
    fn remember_line_rate(&self) {
        let Some(rate) = self.line_rate.bytes_per_second() else {
            return;
        };
        let known = self.line_rate();
        if known.is_none_or(|known| known.abs_diff(rate) > known / 8) {
            self.learn(|known, now| known.after_replay(rate, now));
        }
    }

    /// Remembers something of the present way.
    fn learn(&self, learn: impl FnOnce(PathKnowledge, u64) -> PathKnowledge) {
        if let (Some(memory), Some(host)) = (&self.memory, &self.host) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default().as_secs();
            let way = self.witness.route().name();
            // As with the log.
            let _ = memory.learn(way, host, |known| learn(known, now));
        }
    }

    /// Logs a cut that is over, and has the rest found out.
    fn record(
        &mut self,
        mut evidence: Evidence,
        may_ask: bool,
        ending: Option<oneshot::Receiver<Option<Ending>>>,
    ) {
        let known = self.knowledge().unwrap_or_default();
        evidence.known_timeout = known.timeout();
        evidence.known_survived = known.survives;
        evidence.keepalive = KernelSettings::of_this_machine().keepalive();
        let mut cut = Cut::new(
            SystemTime::now(),
            self.host.clone(),
            self.session.clone(),
            evidence,
        );
        let way = self.witness.route().name().to_owned();
        cut.gateway = Some(way);
        let inquiry = Inquiry {
            ssh_end: self.ssh_end.take(),
            tcp: self.tcp.take().map(|(_, reading)| reading),
            ending,
            facts_argv: self.facts_argv.clone().filter(|_| may_ask),
            log: self.log.clone(),
            memory: self.memory.clone(),
        };
        inquiry.log(&cut);
        self.inquiry = Some(tokio::spawn(inquiry.run(cut)));
    }
}

/// The way to a host; none leads to this machine.
fn route_to(host: Option<&str>) -> Route {
    host.map(|_| Route::now()).unwrap_or_default()
}
