//! What must hold whatever bytes arrive from outside: one property for each thing that parses.
//!
//! The fuzzers in `fuzz/` look for bytes that break one; a test replays what they kept. Each
//! property takes any bytes, and panics when it is broken.

mod config;
mod frames;
mod hello;
mod journal;
mod keeper;
mod keys;
mod messages;
mod names;
mod record;
mod relay;
mod terminal;

/// A property: panics on bytes that break it.
pub type Property = fn(&[u8]);

/// All of them by name, which is also the name of the fuzz target and of its corpus.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("config", config::check),
    ("frames", frames::check),
    ("hello", hello::check),
    ("journal", journal::check),
    ("keeper", keeper::check),
    ("keys", keys::check),
    ("messages", messages::check),
    ("names", names::check),
    ("record", record::check),
    ("relay", relay::check),
    ("terminal", terminal::check),
];

/// Checks the property of this name.
///
/// # Panics
/// When there is none of this name, or the bytes break it.
pub fn check(name: &str, bytes: &[u8]) {
    let found = PROPERTIES.iter().find(|(known, _)| *known == name);
    let (_, property) = found.unwrap_or_else(|| panic!("there is no property '{name}'"));
    property(bytes);
}
