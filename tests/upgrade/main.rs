//! Sessions, their clients and what is known of them go from one build of psess to another of
//! another version and protocol number, and back. `tests/upgrade/other_build` makes the
//! other build, for `./test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use psess_harness::{Counter, Finished, Process, Terminal, World, eventually, install, skip};

/// Of the build with another version.
const OTHER_VERSION: &str = "99.0.0";

#[test]
fn an_older_psess_is_replaced_by_a_newer_one_and_comes_back() {
    if let Some((this, other)) = builds() {
        there_and_back(&this, &other);
    }
}

#[test]
fn a_newer_psess_is_replaced_by_an_older_one_and_comes_back() {
    if let Some((this, other)) = builds() {
        there_and_back(&other, &this);
    }
}

/// Begins with one build, goes to the other and back by restarts, and there once more by a
/// server that is killed.
fn there_and_back(first: &Build, second: &Build) {
    let machine = Machine::new(first);
    let Some(counter) = Counter::new(machine.world.path("keys")) else {
        return;
    };
    let counter = counter.with_lines_every_ms(5);
    let new = ["new", "count", "--"].map(str::to_owned);
    let counting = machine.world.open(new.into_iter().chain(counter.command()));
    Counter::wait_for_line(&counting, 5);
    let watching = machine.open(second, &["attach", "count"]);
    Counter::wait_for_line(&watching, 10);
    machine.succeed(first, &["new", "-d", "before", "--", "sleep", "1000"]);
    machine.succeed(second, &["rename", "before", "still"]);
    let text = "for i in $(seq 100); do echo row $i; done; printf '\\e[1;31mred\\e[m > '; exec cat";
    machine.succeed(second, &["new", "-d", "text", "--", "sh", "-c", text]);
    machine.succeed(
        first,
        &[
            "new",
            "-d",
            "done",
            "--",
            "sh",
            "-c",
            "echo last words; exit $((1 + 2))",
        ],
    );
    eventually("it has finished", || {
        machine.list(first).contains("exit 3").then_some(())
    });
    let look = |build| {
        let terminal = machine.open(build, &["attach", "text"]);
        terminal.wait_for_text("red >");
        let looked = terminal.look(|screen| (screen.picture(), screen.all_rows()));
        machine.succeed(build, &["detach", "text"]);
        looked
    };
    let seen = look(first);
    let keeper = machine.role("keeper");

    let mut typed = 0;
    for (step, build) in [second, first, second].into_iter().enumerate() {
        let type_keys = |keys: std::ops::Range<u64>| {
            for key in keys {
                counting.type_keys(format!("{key};"));
            }
        };
        machine.install(build);
        type_keys(typed..typed + 20);
        let server = machine.role("server");
        match step {
            // A server that crashes after an upgrade: the keeper is the old one still.
            2 => server.kill(),
            _ => _ = machine.succeed(build, &["server", "restart"]),
        }
        type_keys(typed + 20..typed + 40);
        typed += 40;
        machine.wait_for_server(build);
        if step == 2 {
            machine.succeed(first, &["server", "restart"]);
        }
        machine.wait_for_keeper(build, &keeper);

        let last = format!("key {}", typed - 1);
        for terminal in [&counting, &watching] {
            terminal.wait_for(&last, |screen| {
                screen.all_rows().contains(&last).then_some(())
            });
        }
        for client in [first, second] {
            let list = machine.list(client);
            for words in ["count ", "still ", "text ", "done ", "exit 3"] {
                let lines = list.lines().filter(|line| line.contains(words));
                assert_eq!(lines.count(), 1, "{words}: {list}");
            }
            assert_eq!(look(client), seen);
        }
    }
    let expected: Vec<u64> = (0..typed).collect();
    assert_eq!(counting.look(Counter::echoes), expected);
    assert_eq!(
        counter.keys(),
        expected.iter().map(u64::to_string).collect::<Vec<_>>()
    );
    let lines = counting.look(Counter::lines);
    assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>());
    let lines = watching.look(Counter::lines);
    let count = lines.len() as u64;
    assert_eq!(lines, (lines[0]..lines[0] + count).collect::<Vec<_>>());

    // An outcome of a session that the first began, told by the client of either.
    let mut terminal = machine.open(first, &["attach", "done"]);
    terminal.wait_for_text("last words");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    eventually("it was seen", || {
        let list = machine.list(second);
        let listed = list.lines().any(|line| line.starts_with("done "));
        (!listed).then_some(())
    });

    // The roll of the second is read by the first.
    keeper.kill();
    counting.wait_for_text("its sessions are gone");
    eventually("the server and the programs are gone", || {
        machine.world.role("server").is_empty().then_some(())
    });
    machine.install(first);
    for client in [first, second] {
        let list = machine.list(client);
        let lost = list
            .lines()
            .filter(|line| line.contains("lost: its keeper was killed"));
        assert_eq!(lost.count(), 3, "{list}");
    }
    machine.wait_for_server(first);
    machine.succeed(second, &["server", "stop"]);
    machine.world.wait_for_end();
}

/// A build of psess.
struct Build {
    program: PathBuf,
    version: String,
}

/// This build and the other one; `None`, which is said, when there is no other one.
fn builds() -> Option<(Build, Build)> {
    let Some(other) = std::env::var_os("PSESS_OTHER_BUILD") else {
        skip("there is no other build; './test --test upgrade' makes one");
        return None;
    };
    let this = Build {
        program: env!("CARGO_BIN_EXE_psess").into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let other = Build {
        program: other.into(),
        version: OTHER_VERSION.to_owned(),
    };
    Some((this, other))
}

/// A machine on which one build is installed, and clients of both are used.
struct Machine {
    world: World,
    installed: Installed,
}

impl Machine {
    fn new(build: &Build) -> Self {
        let installed = Installed::new();
        installed.replace(&build.program);
        Self {
            world: World::new(installed.program()),
            installed,
        }
    }

    fn install(&self, build: &Build) {
        self.installed.replace(&build.program);
    }

    fn command(&self, client: &Build, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&client.program);
        command.args(arguments);
        command
    }

    /// Runs a client of this build.
    fn succeed(&self, client: &Build, arguments: &[&str]) -> String {
        let finished = Finished::of(self.command(client, arguments));
        assert_eq!(finished.status, Some(0), "{arguments:?}: {finished:?}");
        finished.stdout
    }

    /// Runs a client of this build on a terminal of its own.
    fn open(&self, client: &Build, arguments: &[&str]) -> Terminal {
        let mut terminal = Terminal::new();
        terminal.run(self.command(client, arguments));
        terminal
    }

    fn list(&self, client: &Build) -> String {
        self.succeed(client, &["list"])
    }

    /// The only process in a role.
    fn role(&self, role: &str) -> Process {
        eventually(&format!("one {role} runs"), || {
            let mut processes = self.world.role(role);
            let process = processes.pop();
            process.filter(|_| processes.is_empty())
        })
    }

    fn wait_for_server(&self, build: &Build) {
        let line = format!("server     psess {}, pid ", build.version);
        eventually(&line, || {
            let status = Finished::of(self.command(build, &["server", "status"]));
            status.stdout.contains(&line).then_some(())
        });
    }

    /// The keeper is the same process and has become this build.
    fn wait_for_keeper(&self, build: &Build, keeper: &Process) {
        let line = format!("keeper     psess {}, pid {}", build.version, keeper.pid);
        eventually(&line, || {
            let status = Finished::of(self.command(build, &["server", "status"]));
            status.stdout.contains(&line).then_some(())
        });
    }
}

/// A folder with the program file that is replaced.
struct Installed(PathBuf);

impl Installed {
    fn new() -> Self {
        let thread = format!("{:?}", std::thread::current().id());
        let number: String = thread.chars().filter(char::is_ascii_digit).collect();
        let folder = PathBuf::from(format!(
            "/tmp/psess-upgrade-{}-{number}",
            std::process::id()
        ));
        fs::create_dir(&folder).expect("a folder can be made in /tmp");
        Self(folder)
    }

    fn program(&self) -> PathBuf {
        self.0.join("psess")
    }

    /// Puts another program file there, in one step, as a package manager does.
    fn replace(&self, program: &Path) {
        let new = self.0.join("new");
        install(program, &new);
        fs::rename(new, self.program()).expect("a file can be renamed");
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // What is left lies in /tmp, where it harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
