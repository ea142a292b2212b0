//! What is said when another machine cannot be reached, or has no psess.

use psess_harness::{Finished, Sshd, World};

use crate::resume::ssh_processes;
use crate::world;

/// Runs `psess list HOST:` and `psess new HOST:build`, and asserts that both fail with one of
/// these statuses, say all of these words, and leave the terminal and the machine clean.
#[track_caller]
fn assert_fails(world: &World, host: &str, statuses: &[i32], words: &[&str]) {
    let listed = world.run(["list", &format!("{host}:")]);
    check(&listed, statuses, words);
    let mut terminal = world.open(["new", &format!("{host}:build"), "--", "sleep", "1000"]);
    let status = terminal.wait_exit().code();
    let rows = terminal.look(|screen| screen.all_rows());
    let shown = Finished {
        status,
        stdout: String::new(),
        stderr: rows.concat(),
    };
    check(&shown, statuses, words);
    assert!(terminal.is_cooked());
    assert_eq!(terminal.look(|screen| screen.modes_left()), [""; 0]);
    assert_eq!(world.role("keeper"), []);
    assert_eq!(world.role("relay"), []);
}

#[track_caller]
fn check(finished: &Finished, statuses: &[i32], words: &[&str]) {
    assert!(
        finished
            .status
            .is_some_and(|status| statuses.contains(&status)),
        "{finished:?}"
    );
    for word in words {
        assert!(
            finished.stderr.contains(word),
            "{word:?} is not in {finished:?}"
        );
    }
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
}

#[test]
fn a_far_side_without_psess_is_named() {
    let world = world();
    let Some(_sshd) = Sshd::with_environment(&world, &[("PATH", "/usr/bin:/bin")]) else {
        return;
    };
    let copy = ">\"$HOME/.local/bin/psess\"";
    assert_fails(
        &world,
        "far",
        &[4],
        &["psess: not found on", "ssh far ", copy],
    );
}

#[test]
fn the_line_that_copies_psess_puts_it_where_it_is_looked_for_then() {
    let world = world();
    let Some(_sshd) = Sshd::with_environment(&world, &[("PATH", "/usr/bin:/bin")]) else {
        return;
    };
    for (entry, file) in [
        ("", "far/home/.local/bin/psess"),
        (
            "[host.far]\npsess = '~/my opt/psess-1'\n",
            "far/home/my opt/psess-1",
        ),
    ] {
        world.write("home/.config/psess/config.toml", entry);
        let failed = world.run(["list", "far:"]);
        let mut lines = failed.stderr.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with("ssh far "));
        let mut shell = world.command("/bin/sh");
        // This machine's psess is not on the PATH either.
        let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
        shell
            .args(["-c", line.expect("a line to type")])
            .env("PATH", path);
        let copied = Finished::of(shell);
        assert_eq!(copied.status, Some(0), "{copied:?}");
        assert!(world.path(file).is_file(), "{failed:?}");
        world.succeed(["list", "far:"]);
    }
}

#[test]
fn a_host_that_refuses_is_said_in_sshs_own_words() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    assert_fails(
        &world,
        "refusing",
        &[1],
        &["refusing", "Connection refused"],
    );
}

#[test]
fn a_host_that_does_not_exist_is_said_in_sshs_own_words() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    assert_fails(
        &world,
        "no-such-host.invalid",
        &[1],
        &["no-such-host.invalid"],
    );
}

#[test]
fn why_a_lost_link_cannot_be_dialled_is_said_beside_all_else_that_is_shown_of_it() {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    world.write(
        "home/.config/psess/config.toml",
        "[timing]\nask-after = \"off\"\n",
    );
    let terminal = world.open(["new", "far:build", "--", "/bin/sh", "-c", "echo up; cat"]);
    terminal.wait_for_row("up");
    let config = world.path("ssh_config");
    let good = std::fs::read_to_string(&config).expect("the harness wrote it");
    let mut typed = 0;
    for (way, why) in [
        ("HostName 127.0.0.1\n Port 1", "Connection refused"),
        (
            "HostName no-such-host.invalid",
            "Could not resolve hostname no-such-host.invalid: ",
        ),
        (
            "HostName 127.0.0.1\n ProxyJump refusing\n\
             Host refusing\n HostName 127.0.0.1\n Port 1",
            "Connection refused",
        ),
    ] {
        world.write("ssh_config", &format!("Host far\n {way}\n"));
        for process in ssh_processes(&world, &sshd) {
            process.kill();
        }
        // Who types has it dialled often, and waits.
        terminal.type_keys("x");
        typed += 1;
        let noun = if typed == 1 { "byte" } else { "bytes" };
        let kept = format!(" · Ctrl-\\ to leave · {typed} {noun} typed · redial");
        let (line, words) = terminal.wait_for(why, |screen| {
            let rows = screen.rows();
            let at = rows.iter().position(|row| row.contains(&kept))?;
            let words = rows.get(at + 1)?.trim_start();
            let is_said = words.starts_with(why);
            is_said.then(|| (rows[at].clone(), words.to_owned()))
        });
        assert!(line.starts_with("psess: no contact for "), "{line}");
        assert!(words.chars().count() < 78, "{words}");
    }
    world.write("ssh_config", &good);
    terminal.type_keys("\r");
    terminal.wait_for("what was typed, echoed and read", |screen| {
        let rows = screen.rows();
        (rows[..3] == ["up", "xxx", "xxx"] && !screen.shows("psess:")).then_some(())
    });
}

#[test]
fn a_login_that_is_refused_gives_4() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    assert_fails(&world, "stranger", &[4], &["Permission denied"]);
}

#[test]
fn a_far_side_that_only_makes_noise_is_quoted() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    world.write("far/home/.bashrc", "echo This account is closed; exit 1\n");
    assert_fails(&world, "far", &[1], &["far", "This account is closed"]);
}

#[test]
fn a_command_of_the_configuration_that_is_missing_is_named() {
    let world = world();
    world.write(
        "home/.config/psess/config.toml",
        "[host.box]\ncommand = [\"no-such-pipe\"]\n",
    );
    assert_fails(&world, "box", &[1, 127], &["no-such-pipe"]);
}

#[test]
fn errors_of_the_far_side_read_like_those_of_this() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    world.succeed(["new", "-d", "far:build", "--", "sleep", "1000"]);
    check(
        &world.run(["new", "-d", "far:build", "--", "sleep", "1"]),
        &[1],
        &["far: a session 'build'", "'psess attach far:build'"],
    );
    check(
        &world.run(["kill", "--yes", "far:work"]),
        &[3],
        &["far: no session 'work'", "'psess list far:'"],
    );
    check(
        &world.run(["new", "-d", "far:x", "--", "no-such-command"]),
        &[127],
        &["no-such-command"],
    );
}

#[test]
fn doctor_of_a_host_that_does_not_exist_is_an_error_and_of_one_that_refuses_is_half_a_table() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    for words in [
        &["doctor", "no-such-host.invalid"][..],
        &["doctor", "no-such-host.invalid", "--json"],
    ] {
        let finished = world.run(words);
        assert_eq!(finished.status, Some(1), "{finished:?}");
        assert_eq!(finished.stdout, "", "{finished:?}");
        let said = &finished.stderr;
        assert!(said.contains("Could not resolve hostname"), "{finished:?}");
    }
    let refused = world.run(["doctor", "refusing"]);
    assert_eq!(refused.status, Some(0), "{refused:?}");
    let table = refused
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(table.contains("Connection refused"), "{table}");
    assert!(!table.contains("nothing that is known"), "{table}");
    assert!(
        table.contains("the other has not told its settings"),
        "{table}"
    );
}

/// As where somebody enters a container: the session (setsid(2)) that psess runs in began
/// outside, and has no number there.
#[test]
fn a_session_from_outside_of_the_pid_namespace_is_no_fault() {
    let world = world();
    let Some(_sshd) = Sshd::start(&world) else {
        return;
    };
    world.succeed(["new", "-d", "far:build", "--", "sleep", "1000"]);
    let mut command = world.command("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["psess", "new", "-d", "far:build", "--", "sleep", "1"]);
    check(
        &Finished::of(command),
        &[1],
        &["far: a session 'build' is there already"],
    );
}
