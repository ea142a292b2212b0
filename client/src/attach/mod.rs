//! The attached client: its main loop.
//!
//! It owns the user's terminal, the connections and the clock, and feeds the link, which decides
//! all that matters. It never waits for one of them while another has something to say.

mod connections;
mod ending;
mod user;
mod warnings;
mod watching;

use std::collections::hash_map::RandomState;
use std::future::{pending, poll_fn};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use psess_descriptor::alarm::Alarm;
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::link::{Link, LinkOptions, Reach, State};
use psess_protocol::message::{ClientMessage, DetachReason, Failure, History, Target};
use psess_protocol::outcome::Outcome;
use psess_protocol::timing::Timing;

use crate::attached_screen::AttachedScreen;
use crate::config::ShownHistory;
use crate::connection::Connection;
use crate::detach_key::DetachKey;
use crate::dialling::{DialFailed, Dialled, Dials};
use crate::doctor::cut::Cut;
use crate::doctor::recorder::Recorder;
use crate::keys::KeyScanner;
use crate::line_rate;
use crate::network_watch::NetworkWatch;
use crate::shortcut::{Shortcut, TYPED_BYTES, Told};
use crate::signals::{Signalled, Signals};
use crate::terminal::{FoundModes, RawTerminal};
use crate::transport::Transport;
use crate::tty::Tty;
use warnings::Warnings;
use watching::Watching;

/// How often the link's figures are shown anew.
const STATS_APART: Duration = Duration::from_secs(1);

/// Changes of the network come in bursts: after the first of them, and when none has come for so
/// long, the link asks whether its connection lives.
const NETWORK_SETTLES: Duration = Duration::from_millis(500);

/// What to attach to, and how.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    /// How the server is reached.
    pub transport: Transport,
    /// Whether the first dial may start a keeper where none runs.
    pub start: bool,
    /// What is asked for on the first connection before attaching: the environment and the
    /// session to start, say. Where `session` is a name, a session that is there already is as
    /// good as a new one.
    pub requests: Vec<ClientMessage>,
    /// Which session.
    pub session: Target,
    /// How much history is shown first.
    pub history: ShownHistory,
    /// Whether what is typed is kept from the session.
    pub read_only: bool,
    /// Whether other clients are detached.
    pub detach_others: bool,
    /// The key that detaches.
    pub detach_key: DetachKey,
    /// How the link keeps time.
    pub timing: Timing,
    /// Whether the link's figures are shown all the time, where it goes over a network.
    pub stats: bool,
    /// After how long without a key the client detaches by itself.
    pub idle_detach: Option<Duration>,
    /// Whether no heartbeats are sent where sshd is known to have a ChannelTimeout.
    pub respect_policy: bool,
}

/// How attaching ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachEnd {
    /// The client is detached; the session goes on.
    Detached {
        /// The session's name; `None` when it was never reached.
        name: Option<String>,
        /// On whose wish.
        by: DetachReason,
        /// Typed bytes that the program is not known to have got.
        undelivered_bytes: usize,
        /// What else than the detach key made the client leave, if something did.
        left: Option<Left>,
        /// What the user was warned of, each a sentence: it may matter just when they leave.
        warnings: Vec<String>,
    },
    /// The program ended.
    Finished {
        /// The session's name.
        name: String,
        /// How.
        outcome: Outcome,
    },
    /// The server refused.
    Failed(Failure),
    /// The server was not reached, or is gone.
    GaveUp {
        /// Why, for people; several lines when ssh said so much.
        reason: String,
        /// Whether the user must do something about it: log in, confirm a host key, upgrade.
        needs_user: bool,
    },
}

/// What makes a client leave that was not told to by its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// A signal; SIGHUP where the terminal went.
    BySignal(i32),
    /// Nobody touched it for so long (`idle-detach`).
    Idle(Duration),
}

/// Attaches the user's terminal until it is detached, the program ends, or there is no hope.
/// The terminal is as it was before when this returns.
///
/// # Errors
/// When there is no terminal, or the system lacks something.
pub async fn attach(options: AttachOptions) -> anyhow::Result<AttachEnd> {
    let mut client = AttachedClient::new(options)?;
    let end = client.run().await;
    client.leave().await;
    if let Ok(AttachEnd::Finished { .. }) = &end {
        client.say_goodbye().await;
    }
    client.recorder.finish().await;
    end
}

struct AttachedClient {
    transport: Transport,
    start: bool,
    requests: Vec<ClientMessage>,
    may_exist: bool,
    link: Link,
    tty: Tty,
    /// What is typed while nothing else goes on.
    shortcut: Shortcut,
    raw: Option<RawTerminal>,
    /// Its modes while ssh may ask something.
    found: Option<FoundModes>,
    screen: AttachedScreen,
    keys: KeyScanner,
    connections: Vec<Connection>,
    dials: Dials,
    network: Option<NetworkWatch>,
    /// Until when a change of the network may be followed by others.
    network_settles: Option<Instant>,
    stats: bool,
    idle_detach: Option<Duration>,
    last_key: Instant,
    /// Watches the link for `psess why`; decides nothing.
    recorder: Recorder,
    /// Why there was no contact for long, and until when that is shown.
    reason: Option<(Instant, String)>,
    warnings: Warnings,
    watching: Watching,
    signals: Signals,
    alarm: Alarm,
    left: Option<Left>,
    end: Option<AttachEnd>,
}

/// What woke the main loop.
enum Wake {
    Typed(io::Result<usize>),
    Told(Told),
    Received(Generation, io::Result<usize>),
    Written(io::Result<usize>),
    Dialled(Generation, Box<Result<Dialled, DialFailed>>),
    NetworkChanged,
    FoundOut(Option<Box<Cut>>),
    Signalled(Signalled),
    Timeout,
}

impl AttachedClient {
    fn new(options: AttachOptions) -> anyhow::Result<Self> {
        let tty = Tty::open().context(
            "cannot open this terminal: 'psess attach' needs one; 'psess new -d' does not",
        )?;
        let is_local = options.transport.is_local();
        let may_exist = matches!(options.session, Target::Name(_));
        let recorder = Recorder::new(&options.transport);
        let mut timing = options.timing;
        let known = recorder.path_timeout();
        timing.path_idle_timeout = timing.path_idle_timeout.into_iter().chain(known).min();
        if options.respect_policy && recorder.policy_timeout().is_some() {
            timing.heartbeat_idle = None;
        }
        let link = Link::new(
            Instant::now(),
            LinkOptions {
                timing,
                reach: if is_local {
                    Reach::Local
                } else {
                    Reach::Remote
                },
                session: options.session,
                client: ClientId::random(),
                size: tty.size(),
                history: match options.history {
                    ShownHistory::Exactly(history) => history,
                    ShownHistory::Fitting if is_local => {
                        History::Lines(line_rate::fitting_lines_here())
                    }
                    ShownHistory::Fitting => {
                        let rate = recorder.line_rate();
                        History::Lines(line_rate::fitting_lines(rate, tty.size().rows))
                    }
                },
                read_only: options.read_only,
                detach_others: options.detach_others,
                seed: RandomState::new().build_hasher().finish(),
            },
        );
        let watching = Watching::new(options.read_only);
        Ok(Self {
            screen: AttachedScreen::new(tty.size(), !is_local || watching.is_on()),
            stats: options.stats && !is_local,
            idle_detach: options.idle_detach,
            last_key: Instant::now(),
            transport: options.transport,
            start: options.start,
            requests: options.requests,
            may_exist,
            link,
            tty,
            shortcut: Shortcut::default(),
            raw: None,
            found: None,
            keys: KeyScanner::new(options.detach_key),
            connections: Vec::new(),
            dials: Dials::default(),
            network: (!is_local).then(NetworkWatch::new),
            network_settles: None,
            recorder,
            reason: None,
            warnings: Warnings::default(),
            watching,
            signals: Signals::new().context("cannot wait for signals")?,
            alarm: Alarm::default(),
            left: None,
            end: None,
        })
    }

    async fn run(&mut self) -> anyhow::Result<AttachEnd> {
        let mut typed = [0; TYPED_BYTES];
        loop {
            let now = Instant::now();
            // First the terminal, then the link: it acknowledges what the terminal took, and the
            // server may be waiting for just that. What output took away of our own line comes
            // back with it, so that it does not flicker.
            if !self.screen.queue().is_empty() {
                self.show_line(now);
            }
            self.write_to_terminal();
            self.act(now)?;
            // At once: what is looked at before we sleep is much, beside what a key has come through.
            self.connections.iter_mut().for_each(Connection::flush);
            if let Some(end) = self.end.take() {
                return Ok(end);
            }
            if self.tend_shortcut(now)? {
                continue;
            }
            let due = self.link.poll_timeout(now).map(|due| due.max(now));
            let wake = self.wait(now, &mut typed).await;
            let now = Instant::now();
            self.recorder.handle_woken(now, due);
            match wake {
                // The terminal is gone, and with it the user. The kernel's own SIGHUP may come
                // later, or not at all.
                Wake::Typed(Ok(0) | Err(_)) | Wake::Written(Err(_)) => {
                    self.leave_by_itself(now, Left::BySignal(libc::SIGHUP));
                }
                Wake::Typed(Ok(count)) => self.handle_typed(now, &typed[..count]),
                Wake::Told(told) => self.handle_told(now, told),
                Wake::Received(generation, result) => {
                    // What ended it may have been meant for us as well: that it was the user
                    // comes first.
                    if !matches!(result, Ok(1..))
                        && let Some(signalled) = at_once(self.signals.next()).await
                    {
                        self.handle_signalled(now, signalled).await;
                    }
                    self.handle_received(now, generation, result);
                }
                Wake::Written(Ok(count)) => self.handle_written(count),
                Wake::Dialled(generation, result) => {
                    self.handle_dialled(now, generation, *result)?;
                }
                Wake::NetworkChanged => self.handle_network_changed(now),
                Wake::FoundOut(cut) => self.handle_found_out(now, cut.as_deref()),
                Wake::Signalled(signalled) => self.handle_signalled(now, signalled).await,
                Wake::Timeout => self.handle_timeout(now).await,
            }
        }
    }

    /// Waits until something happens.
    async fn wait(&mut self, now: Instant, typed: &mut [u8; TYPED_BYTES]) -> Wake {
        let timeouts = [
            self.link.poll_timeout(now),
            self.keys.poll_timeout(),
            self.network_settles,
            self.reason.as_ref().map(|(until, _)| *until),
            self.warnings.poll_timeout(),
            self.watching.poll_timeout(),
            self.idle_detach.map(|idle| self.last_key + idle),
            self.stats.then(|| now + STATS_APART),
        ];
        let timeout = timeouts.into_iter().flatten().min();
        // ssh may be asking the user; and what cannot be kept is left in the terminal's queue,
        // unless the user is told that there is no contact, and needs the detach key to get away.
        let asks = self.dials.ask_user();
        let may_wait = match self.link.state() {
            State::Live => true,
            State::Suspect => self.link.banner(now).is_none(),
            State::Connecting | State::Lost | State::Stopped | State::Ended => false,
        };
        let has_room = !may_wait || self.link.input_room() >= TYPED_BYTES;
        let Self {
            tty,
            shortcut,
            screen,
            connections,
            dials,
            network,
            recorder,
            signals,
            alarm,
            ..
        } = self;
        tokio::select! {
            biased;
            // Keys and output before all others: these take their time to say that they have nothing.
            result = tty.typed.read(typed), if !asks && has_room => Wake::Typed(result),
            told = shortcut.next() => Wake::Told(told),
            received = run_last(connections) => Wake::Received(received.0, received.1),
            // Ctrl-C at ssh's questions ends ssh as well: that it was the user comes first.
            signalled = signals.next() => Wake::Signalled(signalled),
            result = tty.shown.write(screen.queue().pending()), if !screen.queue().is_empty() => {
                Wake::Written(result)
            }
            (generation, result) = dials.next() => Wake::Dialled(generation, Box::new(result)),
            () = network_changed(network) => Wake::NetworkChanged,
            cut = recorder.found_out() => Wake::FoundOut(cut.map(Box::new)),
            () = poll_fn(|context| alarm.poll(context, timeout)) => Wake::Timeout,
        }
    }

    async fn handle_timeout(&mut self, now: Instant) {
        // A client that was stopped wakes to timers that are long due and to bytes that came in
        // time: these count first.
        if let Some((generation, result)) = at_once(run_last(&mut self.connections)).await {
            self.handle_received(now, generation, result);
        }
        let last_key = self.last_key;
        if let Some(idle) = self.idle_detach.take_if(|idle| now >= last_key + *idle) {
            self.leave_by_itself(now, Left::Idle(idle));
        }
        self.reason.take_if(|(until, _)| *until <= now);
        self.watching.handle_timeout(now);
        if self.warnings.handle_timeout(now) {
            self.take_warnings_away();
        }
        if self.network_settles.take_if(|at| *at <= now).is_some() {
            self.link.handle_network_changed(now);
        }
        let mut passed = Vec::new();
        let detach = self.keys.handle_timeout(now, &mut passed);
        self.handle_keys(now, &passed, detach);
        self.link.handle_timeout(now);
    }

    fn handle_network_changed(&mut self, now: Instant) {
        if self.network_settles.is_none() {
            self.link.handle_network_changed(now);
        }
        self.network_settles = Some(now + NETWORK_SETTLES);
        let carrier = self.connections.last();
        if carrier.is_some_and(Connection::lost_its_address) {
            self.link.handle_address_gone(now);
        }
    }

    fn connection(&mut self, generation: Generation) -> Option<&mut Connection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.generation == generation)
    }
}

/// Runs the connection that was made last: the one before it, if any, is about to be closed.
async fn run_last(connections: &mut [Connection]) -> (Generation, io::Result<usize>) {
    match connections.last_mut() {
        Some(connection) => (connection.generation, connection.run().await),
        None => pending().await,
    }
}

/// What a future gives that need not wait, if it does. It is dropped otherwise.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn network_changed(network: &mut Option<NetworkWatch>) {
    match network {
        Some(network) => network.changed().await,
        None => pending().await,
    }
}
