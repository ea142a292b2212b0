//! Many sessions for a long time: started, attached to, typed into, left, killed, under a server
//! that is killed and restarted. What it takes returns to what it was.

use std::time::{Duration, Instant};

use fastrand::Rng;
use psess_protocol::identity::SessionId;
use psess_protocol::message::{ClientMessage, FailureKind, ServerMessage, Target};
use psess_protocol::offset::InputOffset;

use super::program::Program;
use super::wire::{Sent, Wire};
use super::world::{PATIENCE, World};

/// Runs for so long, with at most so many sessions at a time.
pub(crate) fn soak(seconds: u64, sessions: usize) {
    let world = World::new();
    let mut random = Rng::new();
    println!("seed {}", random.get_seed());
    // One session stays, so that the keeper does.
    world.start("stays", Program::Echo);
    // What one round leaves behind in caches and pools is no leak.
    exercise(&world, &mut random, sessions, Duration::from_secs(2));
    world.restart_server();
    let before = world.footprint();
    let done = exercise(&world, &mut random, sessions, Duration::from_secs(seconds));
    world.restart_server();
    let after = world.footprint();
    println!("{done}\nbefore {before:?}\nafter  {after:?}");
    assert_eq!(before.keeper_descriptors, after.keeper_descriptors);
    assert_eq!(before.server_descriptors, after.server_descriptors);
    assert_eq!(before.processes, after.processes);
    let grown = |before: u64, after: u64| after.saturating_sub(before);
    assert!(grown(before.keeper_kib, after.keeper_kib) < 2048);
    assert!(grown(before.server_kib, after.server_kib) < 8192);
}

fn exercise(world: &World, random: &mut Rng, most: usize, time: Duration) -> String {
    let mut sessions: Vec<SessionId> = Vec::new();
    let mut links: Vec<Wire> = Vec::new();
    let [mut started, mut attached, mut ended, mut restarts] = [0_u64; 4];
    let mut largest = 0;
    let end = Instant::now() + time;
    while Instant::now() < end {
        match random.u32(..1000) {
            0..500 if sessions.len() < most => {
                sessions.push(world.start(&format!("s{started}"), Program::Echo));
                started += 1;
            }
            0..800 if !sessions.is_empty() => {
                let session = sessions[random.usize(..sessions.len())];
                links.extend(attach(world, session));
                attached += 1;
                if links.len() > 20 {
                    links.remove(random.usize(..20));
                }
            }
            800..995 if sessions.len() > most / 2 => {
                let session = sessions.swap_remove(random.usize(..sessions.len()));
                kill(world, session);
                ended += 1;
            }
            995..998 => {
                world.kill_server();
                restarts += 1;
            }
            998.. => {
                world.restart_server();
                restarts += 1;
            }
            _ => {}
        }
        largest = largest.max(sessions.len());
    }
    drop(links);
    sessions
        .into_iter()
        .for_each(|session| kill(world, session));
    assert_eq!(world.list().len(), 1);
    format!(
        "{started} sessions started, {largest} at a time, {attached} attached, {ended} ended, \
         {restarts} servers replaced"
    )
}

/// Attaches, types, and waits for the echo; `None` when the server died meanwhile.
fn attach(world: &World, session: SessionId) -> Option<Wire> {
    let mut wire = Wire::connect(&world.directory());
    wire.send(&crate::attach(session)).ok()?;
    wire.send_input(InputOffset(0), b"typed ").ok()?;
    while !matches!(wire.next(None).ok()??, Sent::Output(..)) {}
    Some(wire)
}

/// Ends a session and forgets it, also when the server dies meanwhile. Nothing is asked about other
/// sessions: a list of all for each that ends would take longer than the ends.
fn kill(world: &World, session: SessionId) {
    let request = ClientMessage::Kill {
        session: Target::Id(session),
        signal: 9,
    };
    // The first ends the program, another one forgets how, and the last finds nothing.
    loop {
        if let Ok(ServerMessage::Failed(failure)) = answer(world, &request) {
            assert_eq!(
                failure.kind,
                FailureKind::NoSuchSession,
                "{}",
                failure.message
            );
            return;
        }
        // When the server dies, the next request says what it still knows.
        let _ = stay_to_the_end(world, session);
    }
}

fn answer(world: &World, request: &ClientMessage) -> std::io::Result<ServerMessage> {
    let mut wire = Wire::connect(&world.directory());
    wire.send(request)?;
    match wire.next(Some(PATIENCE))? {
        Some(Sent::Message(message)) => Ok(message),
        other => panic!("{other:?}"),
    }
}

/// Attached, until the session has finished or is not there.
fn stay_to_the_end(world: &World, session: SessionId) -> std::io::Result<()> {
    let mut wire = Wire::connect(&world.directory());
    wire.send(&crate::attach(session))?;
    loop {
        match wire.next(Some(PATIENCE))? {
            Some(Sent::Message(ServerMessage::Finished(_) | ServerMessage::Failed(_))) => {
                return Ok(());
            }
            Some(Sent::Message(_) | Sent::Output(..) | Sent::Replay(_)) => {}
            None => panic!("a killed session does not end"),
        }
    }
}
