//! Well-known programs in a session: each survives detach and attach in another terminal.

mod other_size;

use psess_harness::{Process, Terminal, World, eventually, has};

const DETACH: &[u8] = b"\x1c";

fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_psess"))
}

/// Runs a command in a session, waits for `there`, detaches, attaches in another terminal, and
/// gives that one once it shows the same picture: texts, colours, attributes, cursor.
fn survives_detach(world: &World, command: &[&str], prepare: &str, there: &str) -> Terminal {
    let words = ["new", "program", "--"];
    let mut first = world.open(words.iter().chain(command));
    if !prepare.is_empty() {
        first.wait_for("the program is up", |screen| {
            (!screen.text().trim().is_empty()).then_some(())
        });
        first.type_keys(prepare);
    }
    first.wait_for_text(there);
    let still = settled(world, &first);
    first.type_keys(DETACH);
    assert!(first.wait_exit().success());
    assert_eq!(first.look(|screen| screen.modes_left()), [""; 0]);
    assert!(first.is_cooked());
    let second = world.open(["attach", "program"]);
    second.wait_for(
        &format!("the same picture:\n{}", still.rows.join("\n")),
        |screen| (Picture::of(screen) == still).then_some(()),
    );
    second
}

/// All that a user sees, and the modes that decide what keys and mouse send.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    rows: Vec<String>,
    drawn: Vec<String>,
    cursor: (u16, u16),
    modes: Vec<&'static str>,
}

impl Picture {
    fn of(screen: &mut psess_harness::Screen) -> Self {
        Self {
            rows: screen.rows(),
            drawn: screen.picture(),
            cursor: screen.cursor(),
            modes: screen.modes_left(),
        }
    }
}

/// The picture once the program has said nothing for a moment, and not for want of a processor:
/// every process waits for something.
fn settled(world: &World, terminal: &Terminal) -> Picture {
    let waits = |process: &Process| process.waits() != Some(false);
    let mut last = (terminal.received().len(), std::time::Instant::now());
    eventually("the program is quiet", || {
        let length = terminal.received().len();
        if length != last.0 {
            last = (length, std::time::Instant::now());
        }
        let is_quiet = last.1.elapsed().as_millis() > 300;
        (is_quiet && world.processes().iter().all(waits)).then_some(())
    });
    terminal.settle();
    terminal.look(Picture::of)
}

fn numbered_file(world: &World) -> String {
    let text: String = (1..=500)
        .map(|n| format!("this is row {n} of the file\n"))
        .collect();
    world.write("home/rows.txt", &text).display().to_string()
}

#[test]
fn bash() {
    let world = world();
    world.write("home/rc", "PS1='\\[\\e[1;32m\\]prompt\\[\\e[0m\\]> '\n");
    let rc = world.path("home/rc").display().to_string();
    let terminal = survives_detach(
        &world,
        &["/bin/bash", "--noprofile", "--rcfile", &rc],
        "printf '\\e[31mred\\e[0m \\e[7mreverse\\e[0m ü 漢字\\n'; echo rows-$((40 + 2))\runfinished li",
        "prompt> unfinished li",
    );
    terminal.type_keys("ne\x15echo works-$((1 + 1))\r");
    terminal.wait_for_row("works-2");
}

#[test]
fn vim() {
    if has("vim").is_none() {
        return;
    }
    let world = world();
    let file = numbered_file(&world);
    let terminal = survives_detach(
        &world,
        &[
            "vim",
            "-u",
            "NONE",
            "-N",
            "-i",
            "NONE",
            "--cmd",
            "set nocp ruler hlsearch ttimeoutlen=10",
            &file,
        ],
        "100G/row 11.\rzt5lix-inserted",
        "x-inserted",
    );
    terminal.type_keys("\x1b:wq\r");
    eventually("vim has written", || {
        std::fs::read_to_string(&file)
            .ok()?
            .contains("x-inserted")
            .then_some(())
    });
}

#[test]
fn less() {
    if has("less").is_none() {
        return;
    }
    let world = world();
    let file = numbered_file(&world);
    let mut terminal = survives_detach(&world, &["less", &file], "/row 123\r", "row 123");
    terminal.type_keys("G");
    terminal.wait_for_text("row 500");
    terminal.type_keys("q");
    assert!(terminal.wait_exit().success());
    assert_eq!(terminal.look(|screen| screen.modes_left()), [""; 0]);
}

#[test]
fn man() {
    if has("man").is_none() {
        return;
    }
    let world = world();
    let page = ".TH PSESS-TEST 1\n.SH NAME\npsess-test \\- \\fBbold\\fP and \\fIitalic\\fP words\n";
    let file = world.write("home/page.1", page).display().to_string();
    let terminal = survives_detach(&world, &["man", "-P", "less -X", &file], "", "psess-test");
    terminal.type_keys("q");
}

#[test]
fn fzf() {
    if has("fzf").is_none() {
        return;
    }
    let world = world();
    let file = numbered_file(&world);
    let mut terminal = survives_detach(
        &world,
        &[
            "/bin/sh",
            "-c",
            &format!("fzf --no-mouse < {file} > chosen"),
        ],
        "row 77",
        "> row 77",
    );
    terminal.type_keys("\r");
    assert!(terminal.wait_exit().success());
    let chosen = std::fs::read_to_string(world.path("home/chosen")).unwrap();
    assert_eq!(chosen, "this is row 77 of the file\n");
}

#[test]
fn mc() {
    if has("mc").is_none() {
        return;
    }
    let world = world();
    numbered_file(&world);
    let terminal = survives_detach(&world, &["mc", "--nosubshell", "-a"], "", "rows.txt");
    terminal.type_keys("\x1b0");
}

/// htop's figures change by themselves: the frame around them is what must be there.
#[test]
fn htop() {
    if has("htop").is_none() {
        return;
    }
    let world = world();
    let mut first = world.open(["new", "program", "--", "htop", "-d", "5"]);
    first.wait_for_text("F10Quit");
    first.wait_for_text("Load average");
    first.type_keys(DETACH);
    assert!(first.wait_exit().success());
    assert_eq!(first.look(|screen| screen.modes_left()), [""; 0]);
    let mut second = world.open(["attach", "program"]);
    second.wait_for_text("F10Quit");
    second.wait_for_text("Load average");
    second.wait_for("the alternate screen", |screen| {
        screen.alternate().then_some(())
    });
    second.type_keys("q");
    assert!(second.wait_exit().success());
    assert_eq!(second.look(|screen| screen.modes_left()), [""; 0]);
}

/// tmux in a session: a program that uses about all of a terminal, and asks it a lot.
#[test]
fn tmux() {
    if has("tmux").is_none() {
        return;
    }
    let world = world();
    let terminal = survives_detach(
        &world,
        &[
            "tmux",
            "-f",
            "/dev/null",
            "-L",
            "inner",
            "new",
            "env PS1='in> ' /bin/bash --norc",
        ],
        "printf 'in-tmux\\n'; tmux set -g status-right ''\r",
        "in-tmux",
    );
    terminal.type_keys("echo works-$((1 + 1))\r");
    terminal.wait_for_text("works-2");
}
