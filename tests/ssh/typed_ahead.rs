//! What is typed while there is no contact: kept in order, up to a bound that is shown; and a
//! line that waited for long is asked about before a program gets it.

use psess_harness::{Counter, Sshd, Terminal, World, eventually, has};

use crate::resume::ssh_processes;
use crate::world;

/// Lines that a user waits for are asked about after a second, and any single key may be the
/// answer: here nobody needs the time to read the question.
const SHORT: &str = "ask-after = \"1s\"\nanswer-after = \"0s\"\n";

/// Prints what it reads by lines, and a line that says that time goes by.
const READER: &str = "stty -echo; echo ready; \
     (while :; do echo tick; sleep 0.05; done) & \
     while read -r line; do echo \"got <$line>\"; done";

/// A session on the far side, the network to which can be taken away.
struct Scene {
    // In this order they end.
    terminal: Terminal,
    sshd: Sshd,
    world: World,
}

impl Scene {
    /// `timing` is what the user configured of the link.
    fn open(timing: &str, program: impl FnOnce(&World) -> Vec<String>) -> Option<Self> {
        let world = world();
        let sshd = Sshd::start(&world)?;
        let config = format!("[timing]\n{timing}");
        world.write("home/.config/psess/config.toml", &config);
        let words = ["new", "far:build", "--"].map(str::to_owned);
        let terminal = world.open(words.into_iter().chain(program(&world)));
        terminal.wait_for_row("ready");
        Some(Self {
            terminal,
            sshd,
            world,
        })
    }

    fn reading(timing: &str) -> Option<Self> {
        Self::open(timing, |_| {
            ["/bin/sh", "-c", READER].map(str::to_owned).into()
        })
    }

    /// The connection ends, and no other is made.
    fn cut(&self) {
        let config = self.world.path("ssh_config");
        std::fs::rename(&config, self.world.path("kept")).expect("a file can be renamed");
        let refusing = "Host far\n HostName 127.0.0.1\n Port 1\n";
        self.world.write("ssh_config", refusing);
        for process in ssh_processes(&self.world, &self.sshd) {
            process.kill();
        }
        self.terminal.wait_for_text("psess: no contact for");
    }

    /// The way to the far side is there again.
    fn heal(&self) {
        let config = self.world.path("ssh_config");
        std::fs::rename(self.world.path("kept"), config).expect("a file can be renamed");
    }

    /// Waits until the far side has not been heard of for this long.
    fn lost_for(&self, seconds: u64) {
        self.terminal.wait_for("it is lost for long", |screen| {
            let rows = screen.rows();
            let silence = rows.iter().find_map(|row| {
                let (_, rest) = row.split_once("no contact for ")?;
                rest.split(' ').next()?.parse::<u64>().ok()
            });
            silence.filter(|silence| *silence >= seconds)
        });
    }

    fn wait_for_no_banner(&self) {
        self.terminal.wait_for("the line is gone", |screen| {
            (!screen.shows("psess:")).then_some(())
        });
    }

    /// Waits until output comes that was printed after now, beside a line that stays.
    fn wait_for_output(&self) {
        let ticks = |rows: Vec<String>| rows.iter().filter(|row| *row == "tick").count();
        let before = self.terminal.look(|screen| ticks(screen.all_rows()));
        self.terminal.wait_for("output goes on", |screen| {
            assert!(screen.shows("psess:"), "{}", screen.text());
            (ticks(screen.all_rows()) > before + 10).then_some(())
        });
    }

    /// Waits until the program has read these lines, and no others.
    fn wait_for_lines(&self, lines: &[&str]) {
        let lines: Vec<String> = lines.iter().map(|line| format!("got <{line}>")).collect();
        self.terminal.wait_for(&format!("{lines:?}"), |screen| {
            let mut rows = screen.all_rows();
            rows.retain(|row| row.starts_with("got "));
            (rows == lines).then_some(())
        });
    }
}

#[test]
fn a_line_that_waited_for_long_is_delivered_when_the_user_says_so_and_what_follows_it_too() {
    let Some(scene) = Scene::reading(SHORT) else {
        return;
    };
    let terminal = &scene.terminal;
    terminal.type_keys("one\r");
    scene.wait_for_lines(&["one"]);
    scene.cut();
    terminal.type_keys("two\rth");
    terminal.wait_for_text("· Ctrl-\\ to leave · 6 bytes typed");
    scene.lost_for(2);
    scene.heal();
    let question = "psess: connected · deliver the 6 bytes typed meanwhile? y/n · Ctrl-\\ to leave";
    terminal.wait_for_row(question);
    scene.wait_for_output();
    scene.wait_for_lines(&["one"]);
    // Somebody who does not look at the screen types on: that is no answer.
    terminal.type_keys("ree any");
    terminal.wait_for_text("deliver the 13 bytes");
    scene.wait_for_output();
    scene.wait_for_lines(&["one"]);
    terminal.type_keys("y");
    scene.wait_for_lines(&["one", "two"]);
    scene.wait_for_no_banner();
    terminal.type_keys(" more\r");
    scene.wait_for_lines(&["one", "two", "three any more"]);
}

#[test]
fn a_line_that_waited_for_long_is_dropped_when_the_user_says_so_and_no_other() {
    let Some(scene) = Scene::reading(SHORT) else {
        return;
    };
    let terminal = &scene.terminal;
    scene.cut();
    terminal.type_keys("rm -r build\rls");
    scene.lost_for(2);
    scene.heal();
    terminal.wait_for_text("deliver the 14 bytes typed meanwhile? y/n");
    // The answer outlasts another cut.
    scene.cut();
    scene.heal();
    terminal.wait_for_text("deliver the 14 bytes typed meanwhile? y/n");
    scene.wait_for_output();
    terminal.type_keys("n");
    scene.wait_for_no_banner();
    terminal.type_keys("two\r");
    scene.wait_for_lines(&["two"]);
}

#[test]
fn what_did_not_wait_for_long_is_delivered_unasked() {
    let Some(scene) = Scene::reading("ask-after = \"60s\"\n") else {
        return;
    };
    scene.cut();
    scene.terminal.type_keys("one\r");
    scene.terminal.wait_for_text("4 bytes typed");
    scene.heal();
    scene.wait_for_lines(&["one"]);
    scene.wait_for_no_banner();
}

#[test]
fn what_holds_no_line_end_is_delivered_unasked_however_long_it_waited() {
    let Some(scene) = Scene::reading(SHORT) else {
        return;
    };
    scene.cut();
    scene.terminal.type_keys("two");
    scene.lost_for(2);
    scene.heal();
    scene.wait_for_no_banner();
    scene.terminal.type_keys("\r");
    scene.wait_for_lines(&["two"]);
}

#[test]
fn as_much_is_kept_as_is_said_and_in_order() {
    const BOUND: usize = 8 * 1024;
    let timing = format!("ask-after = \"off\"\ninput-bytes = {BOUND}\n");
    if has("python3").is_none() {
        return;
    }
    let counter = |world: &World| Counter::new(world.path("keys")).expect("Python is there");
    let Some(scene) = Scene::open(&timing, |world| counter(world).command()) else {
        return;
    };
    let counter = counter(&scene.world);
    let terminal = &scene.terminal;
    scene.cut();
    let typed: String = (0..3_000).map(|key| format!("{key};")).collect();
    // Less than a terminal holds at once, as fingers do.
    for (number, piece) in typed.as_bytes().chunks(1_000).enumerate() {
        terminal.type_keys(piece);
        let kept = ((number + 1) * 1_000).min(typed.len());
        if kept <= BOUND {
            terminal.wait_for_text(&format!("{kept} bytes typed"));
        } else {
            terminal.wait_for_text("8 KiB typed, more is lost for want of room");
        }
    }
    scene.heal();
    scene.wait_for_no_banner();
    let kept = format!("{};", &typed[..BOUND]);
    let kept: Vec<&str> = kept.split_terminator(';').collect();
    eventually("all that was kept is read", || {
        (counter.keys().len() >= kept.len()).then_some(())
    });
    terminal.type_keys(";q");
    let mut terminal = scene.terminal;
    assert!(terminal.wait_exit().success());
    assert_eq!(counter.keys(), kept);
}
