//! Faults of every kind, one after another, as a seed has it.
//!
//! `PSESS_FAULTS` says how many, `PSESS_FAULT_SEED` which; what happens is printed
//! (`--nocapture`). 200 of them take most of an hour:
//!
//!     PSESS_FAULTS=200 cargo test --test lab faults -- --nocapture

use std::time::Duration;

use fastrand::Rng;
use psess_harness::{Lab, LabOptions, Process, Signal, World};

use crate::user::{AT_ONCE, User};
use crate::world;

/// What is run where nothing else is asked for.
const FAULTS: u64 = 6;

/// So many happen to one session before it is looked at as a whole.
const PER_SESSION: u64 = 10;

/// How long the first answer may take after a fault is over. This is no measure: what is lost
/// never comes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The NAT forgets, and drops what still comes, or resets it.
    Flush(&'static str),
    Reset,
    Blackhole(Duration),
    LinkDown(Duration),
    Roam,
    KillSshd,
    Loss(Duration),
    /// Others fill a slow line: its queue holds 8 MiB, a minute of it.
    SlowLine(Duration),
    Distance(Duration),
    Stopped(Role, Duration),
    TerminalStalls(Duration),
}

/// A process on the way.
#[derive(Clone, Copy, Debug)]
enum Role {
    Client,
    Ssh,
    Relay,
}

#[test]
fn random_faults_in_a_row_lose_and_double_nothing() {
    let world = world();
    let Some(lab) = Lab::up(&world, LabOptions::default()) else {
        return;
    };
    let mut chance = Rng::with_seed(number("PSESS_FAULT_SEED").unwrap_or(1));
    // A few that belong to every run must not take long; the many may.
    let asked = number("PSESS_FAULTS");
    let longest = if asked.is_some() { 40 } else { 4 };
    let faults = asked.unwrap_or(FAULTS);
    let mut done = 0;
    while done < faults {
        let mut user = User::new(&world, &lab, &format!("count{done}"), Some(50));
        user.echo(AT_ONCE * 2);
        for _ in 0..PER_SESSION.min(faults - done) {
            done += 1;
            let fault = Fault::random(&mut chance, longest);
            fault.happen(&world, &lab, &mut user);
            let took = user.echo(PATIENCE);
            println!("{done} of {faults}: {fault:?}: answered after {took:.1?}");
        }
        user.finish();
    }
}

impl Fault {
    fn random(chance: &mut Rng, longest: u64) -> Self {
        // Short ones are more frequent.
        let lasts = chance
            .u64(..longest * 1_000)
            .min(chance.u64(..longest * 1_000));
        let lasts = Duration::from_millis(lasts.max(1_000));
        let short = lasts.min(Duration::from_secs(8));
        match chance.u8(..14) {
            0 => Self::Flush("drop"),
            1 => Self::Flush("reset"),
            2 => Self::Reset,
            3 | 4 => Self::Blackhole(lasts),
            5 => Self::LinkDown(short),
            6 => Self::Roam,
            7 => Self::KillSshd,
            8 => Self::Loss(short),
            9 => Self::SlowLine(short),
            10 => Self::Distance(short),
            11 => Self::TerminalStalls(short),
            12 => Self::Stopped(Role::Client, short),
            _ if chance.bool() => Self::Stopped(Role::Ssh, lasts),
            _ => Self::Stopped(Role::Relay, short),
        }
    }

    /// It happens, while the user types on; then it is over.
    fn happen(self, world: &World, lab: &Lab, user: &mut User) {
        let faults = |begin: &str, end: &str, lasts: Duration, user: &mut User| {
            lab.fault(begin);
            user.type_for(lasts);
            lab.fault(end);
        };
        match self {
            Self::Flush(expiry) => {
                lab.fault(&format!("on-expiry {expiry}"));
                lab.fault("flush");
                user.type_for(Duration::from_secs(1));
            }
            Self::Reset => {
                lab.fault("reset");
            }
            Self::Blackhole(lasts) => faults("blackhole on", "blackhole off", lasts, user),
            Self::LinkDown(lasts) => faults("link down", "link up", lasts, user),
            Self::Roam => {
                lab.fault("roam");
            }
            Self::KillSshd => {
                lab.fault("kill-sshd children");
            }
            Self::Loss(lasts) => faults("loss 30", "loss off", lasts, user),
            Self::SlowLine(lasts) => {
                lab.fault(&format!("rate 1mbit {}", 8 << 20));
                lab.fault("backlog");
                user.type_for(lasts);
                lab.fault("rate off");
            }
            Self::Distance(lasts) => faults("delay 300", "delay off", lasts, user),
            Self::Stopped(role, lasts) => {
                let stopped = role.processes(world, user);
                stopped.iter().for_each(|one| one.signal(Signal::STOP));
                user.type_for(lasts);
                stopped.iter().for_each(|one| one.signal(Signal::CONT));
            }
            Self::TerminalStalls(lasts) => {
                user.terminal.stall(true);
                user.type_for(lasts);
                user.terminal.stall(false);
            }
        }
    }
}

impl Role {
    fn processes(self, world: &World, user: &User) -> Vec<Process> {
        let client = user.terminal.process();
        match self {
            Self::Client => vec![client],
            Self::Ssh => client.children(),
            Self::Relay => Process::all_that_name(&world.path("far"))
                .into_iter()
                .filter(|process| process.command.ends_with("psess relay"))
                .collect(),
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}
