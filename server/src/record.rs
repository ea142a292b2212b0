//! What a session is, apart from its output: the keeper holds it for the next server.

use psess_protocol::codec::{self, CodecError};
use psess_protocol::identity::SessionId;
use psess_protocol::message::SessionSummary;
use psess_protocol::name::SessionName;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use serde::{Deserialize, Serialize};

/// What a session is, apart from its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The incarnation.
    pub id: SessionId,
    /// The name, unique among the sessions of a server.
    pub name: SessionName,
    /// The command for people, without control characters; empty for a login shell.
    pub command: String,
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// When a client last attached, in seconds since 1970; 0: never.
    pub attached: u64,
    /// The size that its terminal has.
    pub size: Size,
    /// The program's process id.
    pub pid: u32,
    /// How the program ended, and when, in seconds since 1970.
    pub outcome: Option<(Outcome, u64)>,
}

impl Record {
    /// What a list says of it, as far as it can be known from this.
    pub(crate) fn summary(&self, title: &str) -> SessionSummary {
        SessionSummary {
            id: self.id,
            name: self.name.clone(),
            command: self.command.clone(),
            title: title.to_owned(),
            created: self.created,
            finished: self.outcome,
            clients: 0,
            lost: None,
            active: self.created.max(self.attached),
            size: self.size,
            pid: self.pid,
        }
    }

    /// The bytes for the keeper: a version, then the record.
    ///
    /// # Errors
    /// As [`codec::encode`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = vec![VERSION];
        bytes.extend(codec::encode(self)?);
        Ok(bytes)
    }

    /// Reads what a server before this one gave the keeper.
    ///
    /// # Errors
    /// When that server's records had another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes.split_first() {
            Some((&VERSION, record)) => codec::decode(record),
            Some((version, _)) => Err(CodecError::Malformed(format!(
                "a record of version {version}"
            ))),
            None => Err(CodecError::Malformed("an empty record".to_owned())),
        }
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
impl Record {
    /// A session called `work`, of this size.
    pub(crate) fn of_size(size: Size) -> Self {
        Self {
            id: SessionId([9; 16]),
            name: "work".parse().expect("a name"),
            command: String::new(),
            created: 0,
            attached: 0,
            size,
            pid: 1,
            outcome: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_record() {
        let record = Record {
            id: SessionId([7; 16]),
            name: "build".parse().unwrap(),
            command: "make".to_owned(),
            created: 300,
            attached: 0,
            size: Size::new(24, 80),
            pid: 1234,
            outcome: Some((Outcome::Exited(2), 400)),
        };
        let mut golden = vec![1];
        golden.extend([7; 16]);
        golden.extend(b"\x05build\x04make\xfb\x2c\x01\x00\x18\x50\x00\x00\xfb\xd2\x04\x01\x00\x02");
        golden.extend(b"\xfb\x90\x01");
        assert_eq!(record.encode().unwrap(), golden);
        assert_eq!(Record::decode(&golden).unwrap(), record);
    }
}
