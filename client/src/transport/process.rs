//! The processes behind a pipe: started, listened to, and ended to the last grandchild.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use psess_descriptor::{Sink, Source};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use super::DialError;
use super::end::PipeEnd;
use super::local_address;

/// How much of a command's stderr is kept: the last that it said.
const STDERR_BYTES: usize = 4096;

/// How long a command may take to exit after it closed its stdout: ssh takes a round trip.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// How long stderr is read after the exit. It does not end where a ControlPersist master
/// inherited it.
const STDERR_GRACE: Duration = Duration::from_millis(100);

/// How long processes may take to end after SIGTERM, before SIGKILL. ssh needs the time to
/// remove sockets of its own.
const TERM_GRACE: Duration = Duration::from_millis(500);

/// A command that gives a byte pipe. Dropping it ends the command and all that it started.
#[derive(Debug)]
pub(super) struct Process {
    family: Option<Family>,
    stderr: Arc<Mutex<Stderr>>,
    reading: JoinHandle<()>,
}

/// What a command wrote to its stderr.
#[derive(Debug)]
struct Stderr {
    tail: Vec<u8>,
    /// Whether it is passed on to our own stderr as it comes.
    live: bool,
    /// Whether all of `tail` was passed on.
    shown: bool,
}

impl Process {
    /// Starts `argv`. An interactive one stays in our own process group: in one of its own it
    /// would be in the background of the terminal, and be stopped (SIGTTIN) when it asks for a
    /// password; and so Ctrl-C at its questions ends both. Any other leads a group, so that the
    /// terminal's signals do not reach it.
    pub(super) fn spawn(
        argv: &[OsString],
        interactive: bool,
    ) -> Result<(Self, Sink, Source), DialError> {
        let (program, arguments) = argv.split_first().expect("a command names its program");
        let failed = |error| DialError::Spawn {
            program: PathBuf::from(program),
            error,
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !interactive {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(pipe)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked to be pipes");
        };
        let stdin = stdin.into_owned_fd().and_then(Sink::new).map_err(failed)?;
        let stdout = stdout
            .into_owned_fd()
            .and_then(Source::new)
            .map_err(failed)?;
        let stderr = Arc::new(Mutex::new(Stderr {
            tail: Vec::new(),
            live: interactive,
            shown: interactive,
        }));
        let reading = tokio::spawn(read_stderr(pipe, Arc::clone(&stderr)));
        let family = Family {
            child,
            leads_group: !interactive,
            relatives: Descendants::default(),
        };
        let process = Self {
            family: Some(family),
            stderr,
            reading,
        };
        Ok((process, stdin, stdout))
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.family.as_ref().and_then(|family| family.child.id())
    }

    /// The address of this machine that the command, or what it started, speaks from.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        let child = self.id()?;
        let below = descendants::below(Pid::from_raw(child.cast_signed())?);
        let below = below
            .iter()
            .map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
        local_address::of_processes(std::iter::once(child).chain(below))
    }

    pub(super) fn quiet(&mut self) {
        if let Some(family) = &mut self.family {
            // It may be killed before it is asked to end.
            family.meet();
        }
        let mut stderr = lock(&self.stderr);
        stderr.live = false;
        stderr.tail.clear();
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr).tail).into_owned()
    }

    pub(super) async fn ended(&mut self) -> PipeEnd {
        let mut status = None;
        if let Some(family) = &mut self.family {
            // An error of wait(2) leaves the status unknown, which is what `None` says.
            let waited = tokio::time::timeout(EXIT_GRACE, family.child.wait()).await;
            status = waited.ok().and_then(Result::ok);
            if status.is_none() {
                family.signal(Signal::TERM);
            }
        }
        // Whether stderr ended or not, what came so far is what there is to say.
        let _ = tokio::time::timeout(STDERR_GRACE, &mut self.reading).await;
        let shown = lock(&self.stderr).shown;
        PipeEnd::of_command(status, &self.stderr(), shown)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reading.abort();
        let Some(family) = self.family.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            // The task is dropped, and kills, when the runtime ends before it.
            Ok(runtime) => drop(runtime.spawn(family.end())),
            Err(_) => drop(family),
        }
    }
}

async fn read_stderr(mut pipe: ChildStderr, stderr: Arc<Mutex<Stderr>>) {
    let mut chunk = [0; 1024];
    // An error is the end as well: the command's exit status says more.
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        lock(&stderr).take(&chunk[..count]);
    }
}

impl Stderr {
    fn take(&mut self, bytes: &[u8]) {
        if self.live {
            // Our own stderr may be closed; there is nobody to tell then.
            let _ = std::io::stderr().write_all(bytes);
        } else {
            self.shown = false;
        }
        self.tail.extend_from_slice(bytes);
        let excess = self.tail.len().saturating_sub(STDERR_BYTES);
        self.tail.drain(..excess);
    }
}

/// The state is a tail of bytes and two flags: whole at every moment, also after a panic.
fn lock(stderr: &Mutex<Stderr>) -> std::sync::MutexGuard<'_, Stderr> {
    stderr.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child and what it started: a ProxyCommand, a jump host's ssh. Dropping it kills them.
#[derive(Debug)]
struct Family {
    child: Child,
    leads_group: bool,
    /// Those that were met. Once the child is gone, its own children have another parent and are
    /// not found any more.
    relatives: Descendants,
}

impl Family {
    /// Asks all to end, and kills what is left after a moment.
    async fn end(mut self) {
        self.signal(Signal::TERM);
        let ended = async {
            // How it ended is of no interest.
            let _ = self.child.wait().await;
            if !self.relatives.are_none() {
                std::future::pending::<()>().await;
            }
        };
        // Either all ended, or they are killed next.
        let _ = tokio::time::timeout(TERM_GRACE, ended).await;
        self.relatives.signal(Signal::KILL);
    }

    /// Learns who belongs to it now.
    fn meet(&mut self) {
        if let Some(pid) = self.child_pid() {
            self.relatives.add(Descendants::of(pid));
        }
    }

    /// `None` once the child was waited for: the number may be another's by now.
    fn child_pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| Pid::from_raw(id as i32))
    }

    /// Signals all.
    fn signal(&mut self, signal: Signal) {
        self.meet();
        if let Some(pid) = self.child_pid() {
            // A stopped process takes no SIGTERM before it continues. Errors: they are gone already.
            if self.leads_group {
                let _ = kill_process_group(pid, signal);
                let _ = kill_process_group(pid, Signal::CONT);
            } else {
                let _ = kill_process(pid, signal);
                let _ = kill_process(pid, Signal::CONT);
            }
        }
        self.relatives.signal(signal);
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

use descendants::Descendants;

#[cfg(target_os = "linux")]
mod descendants {
    //! Children of children, found in /proc and held by pidfd, so that a number used again for
    //! another process is never signalled.
    //!
    //! Those that made a session of their own (setsid(2)) are meant to outlive the child: a
    //! ControlPersist master, or a keeper, where the command leads to this same machine.

    use std::collections::HashMap;
    use std::fs;
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    #[derive(Debug, Default)]
    pub(super) struct Descendants(Vec<OwnedFd>);

    /// The children of `ancestor`, and theirs.
    pub(super) fn below(ancestor: Pid) -> Vec<Pid> {
        let ancestor = ancestor.as_raw_nonzero().get();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let session = Process::read(ancestor).map(|process| process.session);
        for process in processes() {
            if Some(process.session) == session {
                children
                    .entry(process.parent)
                    .or_default()
                    .push(process.pid);
            }
        }
        let mut found = Vec::new();
        let mut next = vec![ancestor];
        while let Some(parent) = next.pop() {
            let of_it = children.remove(&parent).unwrap_or_default();
            found.extend(of_it.iter().copied().filter_map(Pid::from_raw));
            next.extend(of_it);
        }
        found
    }

    impl Descendants {
        pub(super) fn of(ancestor: Pid) -> Self {
            let open = |pid| pidfd_open(pid, PidfdFlags::empty()).ok();
            Self(below(ancestor).into_iter().filter_map(open).collect())
        }

        pub(super) fn add(&mut self, others: Self) {
            self.0.extend(others.0);
        }

        pub(super) fn are_none(&self) -> bool {
            self.0.is_empty()
        }

        pub(super) fn signal(&self, signal: Signal) {
            for process in &self.0 {
                // Errors: it is gone already.
                let _ = pidfd_send_signal(process, signal);
                let _ = pidfd_send_signal(process, Signal::CONT);
            }
        }
    }

    /// A process as /proc/PID/stat shows it (proc_pid_stat(5)).
    pub(super) struct Process {
        pid: i32,
        parent: i32,
        /// 0: one that began outside of this pid namespace, as in a container that somebody
        /// entered (pid_namespaces(7)). getsid(2) says so too, but rustix's takes it for a fault.
        pub(super) session: i32,
    }

    impl Process {
        pub(super) fn read(pid: i32) -> Option<Self> {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name may hold blanks and parentheses: what counts is behind the last one,
            // state, parent, group and session.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
            Some(Self {
                pid,
                parent: fields.next()?.parse().ok()?,
                session: fields.nth(1)?.parse().ok()?,
            })
        }
    }

    fn processes() -> impl Iterator<Item = Process> {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| Process::read(entry.ok()?.file_name().to_str()?.parse().ok()?))
    }
}

#[cfg(not(target_os = "linux"))]
mod descendants {
    //! Without /proc, grandchildren end by themselves: their pipe to the child closes.

    use rustix::process::{Pid, Signal};

    pub(super) fn below(_: Pid) -> Vec<Pid> {
        Vec::new()
    }

    #[derive(Debug, Default)]
    pub(super) struct Descendants;

    impl Descendants {
        pub(super) fn of(_: Pid) -> Self {
            Self
        }

        pub(super) fn add(&mut self, _: Self) {}

        pub(super) fn are_none(&self) -> bool {
            true
        }

        pub(super) fn signal(&self, _: Signal) {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Starts a shell with a child (as with a ProxyCommand) and a grandchild in a session of its
    /// own (as with a keeper), which tell their numbers.
    async fn family(interactive: bool) -> (Process, i32, i32) {
        let script = "sleep 1000 & echo $!; setsid sh -c \"echo \\$\\$; exec sleep 1000\" & wait";
        let argv = ["sh", "-c", script].map(OsString::from);
        let (process, _stdin, mut stdout) =
            Process::spawn(&argv, interactive).expect("sh is there");
        let mut said = Vec::new();
        while said.iter().filter(|byte| **byte == b'\n').count() < 2 {
            assert_ne!(stdout.read_buf(&mut said).await.expect("a pipe"), 0);
        }
        let mut numbers = BufReader::new(&said[..])
            .lines()
            .map(|line| line.expect("text").parse::<i32>().expect("a number"))
            .collect::<Vec<_>>();
        // Which of the two speaks first is not known.
        numbers.sort_by_key(|pid| session_of(*pid) == Some(*pid));
        (process, numbers[0], numbers[1])
    }

    fn session_of(pid: i32) -> Option<i32> {
        Some(super::descendants::Process::read(pid)?.session)
    }

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).expect("processes have positive numbers")
    }

    #[tokio::test]
    async fn what_start_up_files_say_does_not_tell_why_it_ended() {
        let script = "echo Permission denied >&2; read line; echo last words >&2; exit 255";
        let argv = ["sh", "-c", script].map(OsString::from);
        let (mut process, mut stdin, _stdout) = Process::spawn(&argv, false).expect("sh is there");
        while !process.stderr().contains("denied") {
            tokio::task::yield_now().await;
        }
        process.quiet();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, b"hello\n")
            .await
            .expect("sh reads");
        let end = process.ended().await;
        assert_eq!(end.stderr, "last words");
        assert!(end.may_recover(), "{end:?}");
    }

    #[tokio::test]
    async fn dropping_it_ends_its_children_and_spares_new_sessions() {
        for interactive in [false, true] {
            let (process, child, apart) = family(interactive).await;
            drop(process);
            let gone = async {
                while is_running(child) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), gone)
                .await
                .expect("the child ends");
            assert!(is_running(apart), "it has a session of its own");
            kill_process(pid(apart), Signal::KILL).expect("it is ours");
        }
    }

    /// A zombie, whose parent has not waited for it, has ended as well.
    fn is_running(number: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| {
            !stat
                .rsplit_once(')')
                .is_some_and(|(_, rest)| rest.starts_with(" Z"))
        })
    }
}
