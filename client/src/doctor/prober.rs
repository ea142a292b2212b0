//! Measures a way: runs the connections that a [`Ladder`] asks for.
//!
//! The far end is four lines of shell, so that nothing needs to be installed there.

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::ladder::{CONTROL_EVERY, Ladder, LadderOptions, Step};
use super::measured::Measured;
use super::route::Route;
use super::trial::{First, Trial};
use crate::network_watch::clocks;
use crate::sleep_watch::SleepWatch;
use crate::transport::Transport;

/// What ssh is told, before all that the user tells it: nothing may keep the connection alive.
const OPTIONS: [&str; 4] = [
    "ServerAliveInterval=0",
    "TCPKeepAlive=no",
    "ConnectTimeout=15",
    "Compression=no",
];

/// Answers each line at once, or after as many seconds as it names.
const FAR_END: &str =
    "exec sh -c 'while read w s; do test \"$w\" = wait && sleep \"$s\"; echo psess-pong; done'";

/// What it answers.
const ANSWER: &str = "psess-pong";

/// A control connection that is silent for so long is given up.
const CONTROL_SILENT: Duration = Duration::from_secs(12);

/// How long a connection may take until its first answer.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// What is shown meanwhile.
pub trait Progress {
    /// Called about once a second.
    fn show(&mut self, now: Instant, ladder: &Ladder);
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The way is a socket, or a command that is not ssh.
    #[error("only a way by ssh can be probed: name a host")]
    NotSsh,
    /// The first connection failed.
    #[error("cannot reach the host for probing: {0}")]
    Unreached(String),
}

/// Measures until the end, or until `stop` resolves: what is known by then counts.
///
/// # Errors
/// [`ProbeError`].
pub async fn probe(
    transport: &Transport,
    options: LadderOptions,
    progress: &mut impl Progress,
    stop: impl Future<Output = ()>,
) -> Result<Measured, ProbeError> {
    let argv = transport
        .run_argv(&OPTIONS, FAR_END)
        .ok_or(ProbeError::NotSsh)?;
    let mut prober = Prober::new(argv, options);
    tokio::pin!(stop);
    loop {
        let now = Instant::now();
        if prober.act(now) {
            break;
        }
        if prober.failures >= 3 && !prober.was_up {
            return Err(ProbeError::Unreached(prober.last_words));
        }
        progress.show(now, &prober.ladder);
        let due = prober.ladder.poll_timeout();
        let wait = due.map_or(Duration::from_secs(1), |due| {
            due.saturating_duration_since(now)
        });
        tokio::select! {
            () = &mut stop => break,
            Some(event) = prober.events.recv() => prober.handle(event),
            () = tokio::time::sleep(wait.min(Duration::from_secs(1))) => {}
        }
    }
    Ok(prober.ladder.measured().clone())
}

#[derive(Debug)]
struct Prober {
    argv: Vec<OsString>,
    ladder: Ladder,
    trials: HashMap<usize, Line>,
    control: Option<Line>,
    /// When the control connection answered last, and was asked last.
    control_answered: Instant,
    control_asked: Instant,
    /// Which of several control connections in a row is meant.
    control_number: usize,
    sender: UnboundedSender<Event>,
    events: UnboundedReceiver<Event>,
    was_up: bool,
    failures: u32,
    last_words: String,
    sleep: SleepWatch,
    route: Route,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Control(usize),
    Trial(usize),
}

#[derive(Debug)]
struct Event {
    of: Whose,
    at: Instant,
    what: What,
}

#[derive(Debug)]
enum What {
    Answered,
    Closed(String),
}

/// One ssh connection to the far end. Dropping it ends it.
#[derive(Debug)]
struct Line {
    words: UnboundedSender<String>,
    trial: Option<Trial>,
    started: Instant,
    /// Answers that came so far.
    answers: u32,
    tasks: [JoinHandle<()>; 2],
}

impl Prober {
    fn new(argv: Vec<OsString>, options: LadderOptions) -> Self {
        let (sender, events) = unbounded_channel();
        let now = Instant::now();
        Self {
            argv,
            ladder: Ladder::new(now, options),
            trials: HashMap::new(),
            control: None,
            control_answered: now,
            control_asked: now,
            control_number: 0,
            sender,
            events,
            was_up: false,
            failures: 0,
            last_words: String::new(),
            sleep: SleepWatch::new(clocks()),
            route: Route::now(),
        }
    }

    /// Does what the ladder says. Whether it is at its end.
    fn act(&mut self, now: Instant) -> bool {
        self.watch(now);
        while let Some(step) = self.ladder.poll(now) {
            match step {
                Step::DialControl => {
                    self.control_number += 1;
                    self.control = self.dial(now, Whose::Control(self.control_number), None);
                    self.control_answered = now;
                    self.control_asked = now;
                    if self.control.is_none() {
                        self.failures += 1;
                        self.ladder.handle_control_lost(now);
                    }
                }
                Step::Dial(number, trial) => {
                    match self.dial(now, Whose::Trial(number), Some(trial)) {
                        Some(line) => drop(self.trials.insert(number, line)),
                        None => self.ladder.handle_closed(now, number, "ssh cannot be run"),
                    }
                }
                Step::Speak(number) => {
                    if let Some(line) = self.trials.get(&number) {
                        line.say("now\n");
                    }
                }
                Step::Close(number) => drop(self.trials.remove(&number)),
                Step::Done => return true,
            }
        }
        false
    }

    /// Keeps the control connection busy, and notices when the machine slept or moved.
    fn watch(&mut self, now: Instant) {
        let slept = self.sleep.handle_clocks(clocks());
        let route = Route::now();
        if slept.is_some() || self.route.differs(&route) {
            self.control = None;
            self.trials.clear();
            self.ladder.handle_disturbed(now);
        }
        if route.source.is_some() {
            self.route = route;
        }
        if let Some(line) = &mut self.control {
            if now >= self.control_answered + CONTROL_SILENT && line.answers > 0
                || now >= line.started + UP_WITHIN && line.answers == 0
            {
                self.control = None;
                self.failures += 1;
                self.ladder.handle_control_lost(now);
            } else if line.answers > 0 && now >= self.control_asked + CONTROL_EVERY {
                self.control_asked = now;
                line.say("now\n");
            }
        }
        let is_late = |line: &Line| line.answers == 0 && now >= line.started + UP_WITHIN;
        let late: Vec<usize> = self
            .trials
            .iter()
            .filter(|(_, line)| is_late(line))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.trials.remove(&number);
            self.ladder.handle_closed(now, number, "no answer");
        }
    }

    fn handle(&mut self, event: Event) {
        let Event { of, at, what } = event;
        match (of, what) {
            (Whose::Control(number), _) if number != self.control_number => {}
            (Whose::Control(_), What::Answered) => {
                self.was_up = true;
                self.control_answered = at;
                if let Some(line) = &mut self.control {
                    line.answers += 1;
                }
                self.ladder.handle_control(at);
            }
            (Whose::Control(_), What::Closed(words)) => {
                self.failures += 1;
                self.last_words = words;
                self.control = None;
                self.ladder.handle_control_lost(at);
            }
            (Whose::Trial(number), What::Answered) => self.handle_answer(at, number),
            (Whose::Trial(number), What::Closed(words)) => {
                self.trials.remove(&number);
                self.ladder.handle_closed(at, number, &words);
            }
        }
    }

    /// The first answer says that the connection is up, the second that it still is.
    fn handle_answer(&mut self, at: Instant, number: usize) {
        let Some(line) = self.trials.get_mut(&number) else {
            return;
        };
        line.answers += 1;
        if line.answers > 1 {
            self.ladder.handle_answer(at, number);
            return;
        }
        if let Some(trial) = line.trial
            && trial.first == First::Server
        {
            line.say(&format!("wait {:.2}\n", trial.idle.as_secs_f64()));
        }
        self.ladder.handle_ready(at, number);
    }

    fn dial(&self, now: Instant, whose: Whose, trial: Option<Trial>) -> Option<Line> {
        let (program, arguments) = self.argv.split_first()?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let stdin = child.stdin.take()?;
        let (words, unsaid) = unbounded_channel();
        let writing = tokio::spawn(speak(stdin, unsaid));
        let reading = tokio::spawn(listen(child, whose, self.sender.clone()));
        let line = Line {
            words,
            trial,
            started: now,
            answers: 0,
            tasks: [reading, writing],
        };
        line.say("now\n");
        Some(line)
    }
}

impl Line {
    /// Sends a few bytes.
    fn say(&self, words: &str) {
        // The connection may have ended, which is told otherwise.
        let _ = self.words.send(words.to_owned());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Writes what is to be sent, until the connection ends.
async fn speak(mut stdin: ChildStdin, mut words: UnboundedReceiver<String>) {
    while let Some(words) = words.recv().await {
        if stdin.write_all(words.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Tells of every answer, and of the end with ssh's last words.
async fn listen(mut child: Child, of: Whose, sender: UnboundedSender<Event>) {
    let tell = |what| {
        // Nobody listens any more when the measurement has ended.
        let _ = sender.send(Event {
            of,
            at: Instant::now(),
            what,
        });
    };
    let mut stderr = child.stderr.take();
    let words = tokio::spawn(async move {
        let mut words = String::new();
        if let Some(stderr) = &mut stderr {
            // What came before an error is what there is.
            let _ = stderr.take(4_096).read_to_string(&mut words).await;
        }
        words
    });
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout.take(1 << 20)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // Start-up files may print without a line's end.
            if line.ends_with(ANSWER) {
                tell(What::Answered);
            }
        }
    }
    let words = tokio::time::timeout(Duration::from_secs(1), words).await;
    let words = words.ok().and_then(Result::ok).unwrap_or_default();
    let last = words.lines().next_back().unwrap_or("the connection closed");
    tell(What::Closed(last.to_owned()));
}
