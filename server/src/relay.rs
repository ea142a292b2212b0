//! The relay: the far end of ssh's stdio, or of any byte pipe.
//!
//! It finds the server, or has it started, hands over its own standard input and output, and
//! says in what environment it runs. From then on the server talks to ssh directly, and the
//! relay only waits, because sshd ends the connection with it.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context;
use psess_protocol::message::ByteString;
use psess_protocol::rendezvous;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// How a relay's preamble begins; a client's hello begins otherwise.
pub(crate) const MAGIC: [u8; 8] = *b"\0psrelay";

/// Most bytes of a preamble: an environment of 1 MiB is beyond what exec(2) is used with.
pub(crate) const MAX_PREAMBLE: usize = 1 << 20;

/// Runs the relay until the server closes the connection. `exe` starts the keeper when there
/// is none.
///
/// # Errors
/// When the server cannot be reached or started.
pub fn run(exe: &Path) -> anyhow::Result<()> {
    let rendezvous::Connection {
        mut stream,
        warnings,
    } = rendezvous::connect_or_start(exe)?;
    for warning in warnings {
        eprintln!("psess: {warning}");
    }
    let stdio = [rustix::stdio::stdin(), rustix::stdio::stdout()];
    send_preamble(&mut stream, &stdio).context("cannot hand over the connection")?;
    // The server never writes here. What is read is its end.
    let _ = stream.read(&mut [0]);
    Ok(())
}

fn send_preamble(stream: &mut UnixStream, stdio: &[BorrowedFd<'_>; 2]) -> anyhow::Result<()> {
    let preamble = encode(std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        entry
    }));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(stdio));
    let parts = [IoSlice::new(&preamble)];
    let sent = sendmsg(stream.as_fd(), &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(stream.write_all(&preamble[sent..])?)
}

/// Magic, length of what follows (u32, little endian), environment entries ended by NUL each.
fn encode(environment: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut entries = Vec::new();
    for entry in environment {
        if entries.len() + entry.len() + 64 < MAX_PREAMBLE {
            entries.extend(entry);
            entries.push(0);
        }
    }
    let length = u32::try_from(entries.len()).expect("bounded above");
    [&MAGIC[..], &length.to_le_bytes(), &entries].concat()
}

/// The environment that a preamble tells; `None` until it is whole.
#[must_use]
pub fn decode(preamble: &[u8]) -> Option<Vec<ByteString>> {
    let (length, entries) = preamble.get(MAGIC.len()..)?.split_first_chunk::<4>()?;
    let entries = entries.get(..u32::from_le_bytes(*length) as usize)?;
    let entries = entries
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty());
    Some(entries.map(|entry| ByteString(entry.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_arrives_whole_or_not_at_all() {
        let entries = [b"A=1".to_vec(), b"B=x=y\xff".to_vec()];
        let preamble = encode(entries.iter().cloned());
        for cut in 0..preamble.len() {
            assert_eq!(decode(&preamble[..cut]), None);
        }
        let decoded: Vec<_> = decode(&preamble)
            .unwrap()
            .into_iter()
            .map(|entry| entry.0)
            .collect();
        assert_eq!(decoded, entries);
    }
}
