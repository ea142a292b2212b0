//! psess through a forgetful NAT that breaks connections: `natlab`, next to this file.

mod faults;
mod user;

use std::time::{Duration, Instant};

use psess_harness::{Lab, LabOptions, Terminal, World};

use user::{AT_ONCE, User};

/// A key without an answer is noticed within this.
const NOTICED: Duration = Duration::from_millis(1_500);

fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_psess"))
}

/// A lab and a user in it, whose program prints a numbered line every so often.
struct Scene {
    // In this order they end.
    user: User,
    lab: Lab,
    _world: World,
}

impl Scene {
    /// `None` where labs cannot be built.
    fn open(options: LabOptions, lines_every_ms: Option<u32>) -> Option<Self> {
        Self::open_in(world(), options, lines_every_ms)
    }

    fn open_in(world: World, options: LabOptions, lines_every_ms: Option<u32>) -> Option<Self> {
        let lab = Lab::up(&world, options)?;
        let mut user = User::new(&world, &lab, "count", lines_every_ms);
        user.echo(AT_ONCE);
        Some(Self {
            user,
            lab,
            _world: world,
        })
    }
}

/// A NAT that forgets after so many seconds.
fn forgetful(idle_timeout_s: u32, on_expiry: &'static str) -> LabOptions {
    LabOptions {
        idle_timeout_s,
        on_expiry,
    }
}

/// Lets time pass that a real network would take, in which nothing is to happen.
fn idle(duration: Duration) {
    std::thread::sleep(duration);
}

#[test]
fn an_idle_session_outlives_a_nat_that_forgets_after_10_seconds() {
    let Some(mut scene) = Scene::open(forgetful(10, "drop"), None) else {
        return;
    };
    idle(Duration::from_secs(60));
    let took = scene.user.echo(Duration::from_secs(1));
    assert!(took < Duration::from_millis(500), "{took:?}");
    scene.user.finish();
}

/// A NAT more forgetful than any heartbeat: every pause cuts the connection.
#[test]
fn a_silent_cut_is_noticed_redialled_and_resumed() {
    let Some(mut scene) = Scene::open(forgetful(2, "drop"), None) else {
        return;
    };
    idle(Duration::from_secs(4));
    // The cut shows with the first key that stays without an answer.
    let took = scene.user.echo(Duration::from_secs(12));
    assert!(took < NOTICED + AT_ONCE, "{took:?}");
    scene.user.finish();
}

/// Without heartbeats nobody notices the cut before a key stays without an answer; what follows
/// is as quick as ever.
#[test]
fn without_heartbeats_a_silent_cut_costs_two_seconds_from_the_redial() {
    let world = world();
    world.write("home/.config/psess/config.toml", "heartbeat = \"off\"\n");
    let Some(mut scene) = Scene::open_in(world, forgetful(10, "drop"), None) else {
        return;
    };
    idle(Duration::from_secs(15));
    let took = scene.user.echo(Duration::from_secs(12));
    assert!(took < NOTICED + AT_ONCE, "{took:?}");
    scene.user.finish();
}

#[test]
fn a_nat_that_answers_with_a_reset_costs_nothing() {
    let Some(mut scene) = Scene::open(forgetful(2, "reset"), None) else {
        return;
    };
    idle(Duration::from_secs(4));
    let took = scene.user.echo(Duration::from_secs(10));
    assert!(took < AT_ONCE + Duration::from_secs(1), "{took:?}");
    scene.user.finish();
}

#[test]
fn a_nat_that_forgets_everything_costs_nothing() {
    survives(|lab, user| {
        lab.fault("flush");
        user.type_for(Duration::from_secs(3));
        Duration::from_secs(12)
    });
}

#[test]
fn a_reset_of_both_ends_costs_nothing() {
    survives(|lab, user| {
        lab.fault("reset");
        user.type_for(Duration::from_secs(2));
        AT_ONCE
    });
}

#[test]
fn another_network_costs_nothing() {
    survives(|lab, user| {
        lab.fault("roam");
        user.type_for(Duration::from_secs(3));
        Duration::from_secs(12)
    });
}

#[test]
fn thirty_seconds_without_a_network_cost_nothing() {
    survives(|lab, user| {
        lab.fault("blackhole on");
        user.type_for(Duration::from_secs(5));
        user.terminal.wait_for_text("no contact for");
        user.type_for(Duration::from_secs(25));
        lab.fault("blackhole off");
        AT_ONCE
    });
}

#[test]
fn a_link_that_is_down_for_a_while_costs_nothing() {
    survives(|lab, user| {
        lab.fault("link down");
        user.type_for(Duration::from_secs(12));
        lab.fault("link up");
        AT_ONCE
    });
}

#[test]
fn who_comes_back_after_a_long_cut_is_told_the_reason_until_a_key() {
    let Some(mut scene) = Scene::open(LabOptions::default(), None) else {
        return;
    };
    scene.lab.fault("link down");
    idle(Duration::from_secs(35));
    scene.lab.fault("link up");
    scene.user.terminal.wait_for_text("psess: back after");
    scene.user.echo(AT_ONCE);
    scene
        .user
        .terminal
        .wait_for("the reason is gone", |screen| {
            (!screen.shows("back after")).then_some(())
        });
    scene.user.finish();
}

#[test]
fn a_killed_sshd_costs_nothing() {
    survives(|lab, user| {
        lab.fault("kill-sshd children");
        user.type_for(Duration::from_secs(2));
        AT_ONCE
    });
}

#[test]
fn a_far_side_that_is_down_for_a_while_costs_nothing() {
    survives(|lab, user| {
        lab.fault("kill-sshd all");
        user.type_for(Duration::from_secs(8));
        lab.fault("sshd start");
        AT_ONCE
    });
}

#[test]
fn a_line_that_loses_and_delays_costs_nothing() {
    survives(|lab, user| {
        lab.fault("delay 50");
        lab.fault("loss 3");
        user.type_for(Duration::from_secs(5));
        lab.fault("loss off");
        lab.fault("delay off");
        Duration::from_secs(10)
    });
}

/// ssh alone has 2 MiB under way, 18 s of this line.
#[test]
fn ctrl_c_in_a_flood_shows_within_a_second_on_a_slow_line() {
    let world = world();
    let Some(lab) = Lab::up(&world, LabOptions::default()) else {
        return;
    };
    let mut terminal = Terminal::new();
    let words = ["new", "server:flood", "--", "/bin/sh", "-i"];
    terminal.run(lab.psess(&world, words));
    terminal.type_keys("PS1='at-the-''prompt '\r");
    terminal.wait_for_text("at-the-prompt");
    lab.fault("rate 1mbit");
    terminal.type_keys("yes psess-flood\r");
    terminal.wait_for("the line is full", |screen| {
        let full = screen
            .rows()
            .iter()
            .all(|row| row == "psess-flood" || row.is_empty());
        full.then_some(())
    });
    idle(Duration::from_secs(3));
    let begin = Instant::now();
    terminal.type_keys("\x03");
    terminal.wait_for_text("at-the-prompt");
    let took = begin.elapsed();
    lab.fault("rate off");
    assert!(
        took < Duration::from_secs(1),
        "the prompt came after {took:?}"
    );
    terminal.type_keys("exit\r");
    terminal.wait_exit();
}

/// Numbered lines come every 10 ms and numbered keys go, while `fault` does what it does and
/// says how long the next answer may take.
fn survives(fault: impl FnOnce(&Lab, &mut User) -> Duration) {
    let Some(mut scene) = Scene::open(LabOptions::default(), Some(10)) else {
        return;
    };
    let user = &mut scene.user;
    user.type_for(Duration::from_millis(500));
    user.echo(AT_ONCE);
    let limit = fault(&scene.lab, user);
    let took = user.echo(limit.max(Duration::from_secs(15)));
    let seen_late = took > limit;
    user.echo(Duration::from_secs(3));
    scene.user.finish();
    assert!(
        !seen_late,
        "the first echo came {took:?} after it was possible"
    );
}
