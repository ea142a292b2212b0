//! The keeper protocol's bytes.
//!
//! ```text
//! frame: u32 length of the body · u8 kind · u8 descriptors · body of at most MAX_BODY
//! body:  integers little endian · byte strings as u32 length and bytes · lists as u32 count and
//!        items · options as u8 0, or 1 and the value
//! ```

use psess_protocol::identity::SessionId;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;

use super::protocol::{HeldSession, MAX_BLOB, Spawn, SpawnStage, ToKeeper, ToServer};

/// Bytes before a body.
pub(super) const HEADER: usize = 6;

/// The largest body, in bytes: twice what the system takes for arguments and environment
/// (a quarter of an 8 MiB stack, execve(2)) would never be executed.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;

/// A message that can be put into a frame and read from one.
pub trait Encoding: Sized {
    /// Its kind, and how many descriptors go with it.
    fn kind(&self) -> (u8, u8);
    /// Appends its body.
    fn encode(&self, body: &mut Vec<u8>);
    /// Reads a body of some kind. `Ok(None)` where the kind is not known.
    ///
    /// # Errors
    /// What is wrong with the body.
    fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, &'static str>;
}

impl Encoding for ToKeeper {
    fn kind(&self) -> (u8, u8) {
        match self {
            Self::Spawn(_) => (1, 0),
            Self::Signal { .. } => (2, 0),
            Self::SetBlob { .. } => (3, 0),
            Self::Forget { .. } => (4, 0),
            Self::Idle => (5, 0),
        }
    }

    fn encode(&self, body: &mut Vec<u8>) {
        match self {
            Self::Spawn(spawn) => encode_spawn(spawn, body),
            Self::Signal { session, signal } => {
                body.extend_from_slice(&session.0);
                body.push(*signal);
            }
            Self::SetBlob { session, blob } => {
                body.extend_from_slice(&session.0);
                encode_bytes(blob, body);
            }
            Self::Forget { session } => body.extend_from_slice(&session.0),
            Self::Idle => {}
        }
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut reader = Reader(body);
        let message = match kind {
            1 => Self::Spawn(reader.spawn()?),
            2 => Self::Signal {
                session: reader.session()?,
                signal: reader.u8()?,
            },
            3 => Self::SetBlob {
                session: reader.session()?,
                blob: reader.blob()?,
            },
            4 => Self::Forget {
                session: reader.session()?,
            },
            5 => Self::Idle,
            _ => return Ok(None),
        };
        reader.end(message)
    }
}

impl Encoding for ToServer {
    fn kind(&self) -> (u8, u8) {
        match self {
            Self::Listener { .. } => (129, 1),
            Self::Session(_) => (130, 3),
            Self::Ready { .. } => (131, 0),
            Self::Spawned { .. } => (132, 3),
            Self::SpawnFailed { .. } => (133, 0),
            Self::Exited { .. } => (134, 0),
            Self::Stay => (135, 0),
        }
    }

    fn encode(&self, body: &mut Vec<u8>) {
        match self {
            Self::Listener { version } => body.extend_from_slice(&version.to_le_bytes()),
            Self::Session(held) => {
                body.extend_from_slice(&held.session.0);
                body.extend_from_slice(&held.pid.to_le_bytes());
                body.extend_from_slice(&held.created.to_le_bytes());
                match held.finished {
                    None => body.push(0),
                    Some((outcome, time)) => {
                        body.push(1);
                        encode_outcome(outcome, body);
                        body.extend_from_slice(&time.to_le_bytes());
                    }
                }
                encode_bytes(&held.blob, body);
            }
            Self::Ready { restarts } => body.extend_from_slice(&restarts.to_le_bytes()),
            Self::Spawned { session, pid } => {
                body.extend_from_slice(&session.0);
                body.extend_from_slice(&pid.to_le_bytes());
            }
            Self::SpawnFailed {
                session,
                stage,
                errno,
                message,
            } => {
                body.extend_from_slice(&session.0);
                body.push(*stage as u8);
                body.extend_from_slice(&errno.to_le_bytes());
                encode_bytes(message.as_bytes(), body);
            }
            Self::Exited {
                session,
                outcome,
                time,
            } => {
                body.extend_from_slice(&session.0);
                encode_outcome(*outcome, body);
                body.extend_from_slice(&time.to_le_bytes());
            }
            Self::Stay => {}
        }
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut reader = Reader(body);
        let message = match kind {
            129 => Self::Listener {
                version: reader.u16()?,
            },
            130 => Self::Session(HeldSession {
                session: reader.session()?,
                pid: reader.u32()?,
                created: reader.u64()?,
                finished: match reader.flag()? {
                    true => Some((reader.outcome()?, reader.u64()?)),
                    false => None,
                },
                blob: reader.blob()?,
            }),
            131 => Self::Ready {
                restarts: reader.u32()?,
            },
            132 => Self::Spawned {
                session: reader.session()?,
                pid: reader.u32()?,
            },
            133 => Self::SpawnFailed {
                session: reader.session()?,
                stage: SpawnStage::from_wire(reader.u8()?).ok_or("an unknown stage")?,
                errno: reader.u32()?.cast_signed(),
                message: String::from_utf8_lossy(reader.bytes()?).into_owned(),
            },
            134 => Self::Exited {
                session: reader.session()?,
                outcome: reader.outcome()?,
                time: reader.u64()?,
            },
            135 => Self::Stay,
            _ => return Ok(None),
        };
        reader.end(message)
    }
}

fn encode_spawn(spawn: &Spawn, body: &mut Vec<u8>) {
    body.extend_from_slice(&spawn.session.0);
    encode_list(&spawn.argv, body);
    match &spawn.argv0 {
        None => body.push(0),
        Some(argv0) => {
            body.push(1);
            encode_bytes(argv0, body);
        }
    }
    encode_list(&spawn.environment, body);
    encode_bytes(&spawn.cwd, body);
    match spawn.umask {
        None => body.push(0),
        Some(umask) => {
            body.push(1);
            body.extend_from_slice(&umask.to_le_bytes());
        }
    }
    let Size {
        rows,
        columns,
        pixel_width,
        pixel_height,
    } = spawn.size;
    for number in [rows, columns, pixel_width, pixel_height] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    body.extend_from_slice(&spawn.journal_bytes.to_le_bytes());
    encode_bytes(&spawn.blob, body);
}

pub(super) fn encode_bytes(bytes: &[u8], body: &mut Vec<u8>) {
    // What exceeds a body is refused as a whole by the channel.
    body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    body.extend_from_slice(bytes);
}

fn encode_list(items: &[Vec<u8>], body: &mut Vec<u8>) {
    body.extend_from_slice(&(items.len() as u32).to_le_bytes());
    items.iter().for_each(|item| encode_bytes(item, body));
}

fn encode_outcome(outcome: Outcome, body: &mut Vec<u8>) {
    body.extend_from_slice(&match outcome {
        Outcome::Exited(status) => [0, status],
        Outcome::Signaled(signal) => [1, signal],
    });
}

/// What is still to be read of a body.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("a body too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, &'static str> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, &'static str> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn flag(&mut self) -> Result<bool, &'static str> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("an option that is neither there nor not"),
        }
    }

    fn session(&mut self) -> Result<SessionId, &'static str> {
        Ok(SessionId(self.array()?))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn blob(&mut self) -> Result<Vec<u8>, &'static str> {
        let blob = self.bytes()?;
        match blob.len() <= MAX_BLOB {
            true => Ok(blob.to_vec()),
            false => Err("a blob larger than allowed"),
        }
    }

    /// Grows with what is really there: a hostile count costs nothing.
    fn list(&mut self) -> Result<Vec<Vec<u8>>, &'static str> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.bytes()?.to_vec());
        }
        Ok(items)
    }

    fn outcome(&mut self) -> Result<Outcome, &'static str> {
        match self.array()? {
            [0, status] => Ok(Outcome::Exited(status)),
            [1, signal] => Ok(Outcome::Signaled(signal)),
            [_, _] => Err("an unknown outcome"),
        }
    }

    fn spawn(&mut self) -> Result<Spawn, &'static str> {
        Ok(Spawn {
            session: self.session()?,
            argv: self.list()?,
            argv0: match self.flag()? {
                true => Some(self.bytes()?.to_vec()),
                false => None,
            },
            environment: self.list()?,
            cwd: self.bytes()?.to_vec(),
            umask: match self.flag()? {
                true => Some(self.u16()?),
                false => None,
            },
            size: Size {
                rows: self.u16()?,
                columns: self.u16()?,
                pixel_width: self.u16()?,
                pixel_height: self.u16()?,
            },
            journal_bytes: self.u64()?,
            blob: self.blob()?,
        })
    }

    pub(super) fn end<T>(&self, message: T) -> Result<Option<T>, &'static str> {
        match self.0 {
            [] => Ok(Some(message)),
            [..] => Err("bytes left over"),
        }
    }
}

#[cfg(test)]
mod tests;
