//! What of this process's environment a session gets.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use psess_protocol::message::{ByteString, ClientMessage};

/// Entry bytes in one message: it must fit into a frame with what stands around them.
const MESSAGE_BYTES: usize = 48 * 1024;

/// Entries of more bytes are left out, as they fit into no message.
const ENTRY_BYTES: usize = 32 * 1024;

/// Entry bytes in all: what a server takes.
const ALL_BYTES: usize = 500 * 1024;

/// This process's environment, for the server of the same machine. A server elsewhere is told
/// of the far environment by the relay.
#[must_use]
pub fn requests() -> Vec<ClientMessage> {
    in_messages(std::env::vars_os().map(|(name, value)| entry(name, value)))
}

/// What describes the user's terminal and language: a session gets these wherever it is.
#[must_use]
pub fn of_terminal() -> Vec<ByteString> {
    std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(is_of_terminal))
        .map(|(name, value)| entry(name, value))
        .filter(|entry| entry.0.len() <= ENTRY_BYTES)
        .collect()
}

fn is_of_terminal(name: &str) -> bool {
    matches!(
        name,
        "TERM" | "COLORTERM" | "TERM_PROGRAM" | "TERM_PROGRAM_VERSION" | "LANG" | "LANGUAGE"
    ) || name.starts_with("LC_")
}

fn entry(name: OsString, value: OsString) -> ByteString {
    let mut entry = name.into_vec();
    entry.push(b'=');
    entry.extend(value.into_vec());
    ByteString(entry)
}

fn in_messages(entries: impl Iterator<Item = ByteString>) -> Vec<ClientMessage> {
    let mut messages = Vec::new();
    let mut current = Vec::new();
    let (mut bytes, mut all) = (0, 0);
    for entry in entries {
        // The codec adds up to five bytes to each.
        let length = entry.0.len() + 5;
        if length > ENTRY_BYTES || all + length > ALL_BYTES {
            continue;
        }
        if bytes + length > MESSAGE_BYTES {
            messages.push(ClientMessage::Environment(std::mem::take(&mut current)));
            bytes = 0;
        }
        (bytes, all) = (bytes + length, all + length);
        current.push(entry);
    }
    if !current.is_empty() {
        messages.push(ClientMessage::Environment(current));
    }
    messages
}

#[cfg(test)]
mod tests {
    use psess_protocol::codec;

    use super::*;

    #[test]
    fn a_huge_environment_is_sent_in_parts_that_fit() {
        let entries = (0..2_000).map(|number| {
            let length = [10, 1_000, 40_000][number % 3];
            ByteString(format!("V{number}={}", "x".repeat(length)).into_bytes())
        });
        let messages = in_messages(entries);
        assert!(messages.len() > 1);
        for message in &messages {
            assert!(codec::encode(message).is_ok());
        }
    }

    #[test]
    fn the_language_travels_and_secrets_do_not() {
        assert!(is_of_terminal("LC_ALL") && is_of_terminal("TERM"));
        assert!(!is_of_terminal("AWS_SECRET_ACCESS_KEY") && !is_of_terminal("PATH"));
    }
}
