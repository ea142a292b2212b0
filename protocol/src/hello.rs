//! The first bytes either way: frozen for ever, encoded by hand.
//!
//! ```text
//! magic    8 bytes   00 'p' 's' 'e' 's' 's' 0D 0A
//! nonce   16 bytes   drawn by the client, echoed by the server
//! length   u16       bytes that follow, little endian as all integers
//! lowest   u16       lowest protocol version spoken
//! highest  u16       highest protocol version spoken
//! capabilities u64   bits; unknown ones are ignored
//! build    u8 length, UTF-8
//! …                  what later versions append is skipped
//! ```
//!
//! The client speaks first. Whatever arrives before the server's magic and nonce is noise, as
//! printed by shell start-up files, and skipped up to [`MAX_NOISE`]. The CR LF in the magic
//! unmasks a pipe that translates line ends.

use crate::capability::{CLIENT, Capability};
use crate::identity::random_bytes;

/// The lowest protocol version that this build speaks.
pub const LOWEST_VERSION: u16 = 1;

/// The highest protocol version that this build speaks.
pub const HIGHEST_VERSION: u16 = 1;

/// How much noise is skipped before the server's hello, in bytes.
pub const MAX_NOISE: usize = 64 * 1024;

const MAGIC: [u8; 8] = *b"\0psess\r\n";
const PREFIX: usize = MAGIC.len() + 16 + 2;
const FIXED: usize = 2 + 2 + 8 + 1;

/// What one side says of itself before the first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Drawn by the client for each connection; the server echoes it.
    pub nonce: [u8; 16],
    /// Lowest protocol version spoken.
    pub lowest: u16,
    /// Highest protocol version spoken.
    pub highest: u16,
    /// What else the side can do: bits, as of [`Capability`], and that it is a client.
    pub capabilities: u64,
    /// Which build it is, for people: `0.1.0`. At most 255 bytes.
    pub build: String,
}

impl Hello {
    /// This build's, with a new nonce: the client's side.
    #[must_use]
    pub fn of_client() -> Self {
        let mut hello = Self::with_nonce(random_bytes());
        hello.capabilities |= CLIENT;
        hello
    }

    /// This build's answer to a client's hello.
    #[must_use]
    pub fn answering(client: &Self) -> Self {
        Self::with_nonce(client.nonce)
    }

    fn with_nonce(nonce: [u8; 16]) -> Self {
        Self {
            nonce,
            lowest: LOWEST_VERSION,
            highest: HIGHEST_VERSION,
            capabilities: Capability::OF_THIS_BUILD,
            build: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The highest version that both speak.
    ///
    /// # Errors
    /// [`HelloError::NoCommonVersion`] naming the side that is older.
    pub fn common_version(&self, peer: &Self) -> Result<u16, HelloError> {
        let highest = self.highest.min(peer.highest);
        if highest >= self.lowest.max(peer.lowest) {
            return Ok(highest);
        }
        Err(HelloError::NoCommonVersion {
            older: if self.highest < peer.highest {
                Side::Ours
            } else {
                Side::Theirs
            },
            ours: self.build.clone(),
            theirs: peer.build.clone(),
        })
    }

    /// Whether this side says that it can do this.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities & capability.bit() != 0
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut end = self.build.len().min(255);
        while !self.build.is_char_boundary(end) {
            end -= 1;
        }
        let build = &self.build.as_bytes()[..end];
        let mut bytes = Vec::with_capacity(PREFIX + FIXED + build.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&((FIXED + build.len()) as u16).to_le_bytes());
        bytes.extend_from_slice(&self.lowest.to_le_bytes());
        bytes.extend_from_slice(&self.highest.to_le_bytes());
        bytes.extend_from_slice(&self.capabilities.to_le_bytes());
        bytes.push(build.len() as u8);
        bytes.extend_from_slice(build);
        bytes
    }

    /// Reads a client's hello from the start of `bytes`: the hello and its length, or `None`
    /// until more bytes come.
    ///
    /// # Errors
    /// [`HelloError::NotPsess`] as soon as the bytes cannot become a hello;
    /// [`HelloError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, HelloError> {
        let seen = bytes.len().min(MAGIC.len());
        if bytes[..seen] != MAGIC[..seen] {
            return Err(HelloError::NotPsess);
        }
        let Some((prefix, rest)) = bytes.split_at_checked(PREFIX) else {
            return Ok(None);
        };
        let length = usize::from(u16::from_le_bytes([prefix[PREFIX - 2], prefix[PREFIX - 1]]));
        if length < FIXED {
            return Err(HelloError::Malformed);
        }
        let Some(rest) = rest.get(..length) else {
            return Ok(None);
        };
        let build_length = usize::from(rest[FIXED - 1]);
        let build = rest
            .get(FIXED..FIXED + build_length)
            .ok_or(HelloError::Malformed)?;
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&prefix[MAGIC.len()..MAGIC.len() + 16]);
        let mut capabilities = [0; 8];
        capabilities.copy_from_slice(&rest[4..12]);
        let hello = Self {
            nonce,
            lowest: u16::from_le_bytes([rest[0], rest[1]]),
            highest: u16::from_le_bytes([rest[2], rest[3]]),
            capabilities: u64::from_le_bytes(capabilities),
            build: String::from_utf8_lossy(build).into_owned(),
        };
        Ok(Some((hello, PREFIX + length)))
    }
}

/// Finds the server's hello behind the noise that start-up files print.
#[derive(Debug)]
pub struct HelloFinder {
    nonce: [u8; 16],
    seen: Vec<u8>,
}

impl HelloFinder {
    /// Waits for the answer to `hello`.
    #[must_use]
    pub fn new(hello: &Hello) -> Self {
        Self {
            nonce: hello.nonce,
            seen: Vec::new(),
        }
    }

    /// Takes what arrived. Returns the server's hello once it is whole, with the bytes behind
    /// it, which are the first frames.
    ///
    /// # Errors
    /// [`HelloError::Noise`] after more than [`MAX_NOISE`] without a hello; [`HelloError::Echo`];
    /// [`HelloError::Malformed`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<(Hello, Vec<u8>)>, HelloError> {
        self.seen.extend_from_slice(bytes);
        let start = self.seen.windows(MAGIC.len() + 16).position(|window| {
            window[..MAGIC.len()] == MAGIC && window[MAGIC.len()..] == self.nonce
        });
        match start {
            Some(start) => {
                let found = Hello::decode(&self.seen[start..])?;
                if let Some((hello, _)) = &found
                    && hello.capabilities & CLIENT != 0
                {
                    return Err(HelloError::Echo);
                }
                Ok(found.map(|(hello, length)| (hello, self.seen.split_off(start + length))))
            }
            None if self.seen.len() > MAX_NOISE => Err(HelloError::Noise(self.noise())),
            None => Ok(None),
        }
    }

    /// The last printable line of what came so far: for an error, when no hello follows.
    #[must_use]
    pub fn noise(&self) -> String {
        let text = String::from_utf8_lossy(&self.seen);
        let line = text
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        line.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

/// Which side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that found the error.
    Ours,
    /// The other.
    Theirs,
}

/// Why there is no common language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The first bytes are not a hello.
    #[error("the other side does not speak psess")]
    NotPsess,
    /// What the client said came back.
    #[error("what answers there is not psess: it gives back what it is sent")]
    Echo,
    /// The hello contradicts itself.
    #[error("the other side's hello is malformed")]
    Malformed,
    /// Too much came before a hello.
    #[error("no psess answered, but more than 64 KiB of other text, last: {0}")]
    Noise(String),
    /// No version is spoken by both.
    #[error("psess {ours} here and psess {theirs} there have no protocol version in common: {}",
        match .older {
            Side::Ours => "this side is older; upgrade psess here",
            Side::Theirs => "the other side is older; upgrade psess there, then end its process \
                'psess server': the new one takes over, and every session goes on",
        })]
    NoCommonVersion {
        /// Which side is to be upgraded.
        older: Side,
        /// Our build.
        ours: String,
        /// Their build.
        theirs: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            nonce: *b"0123456789abcdef",
            lowest: 1,
            highest: 3,
            capabilities: 5,
            build: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn golden_bytes_never_change() {
        assert_eq!(
            hello().encode(),
            b"\0psess\r\n0123456789abcdef\x12\x00\x01\x00\x03\x00\x05\0\0\0\0\0\0\0\x050.1.0"
        );
    }

    #[test]
    fn a_hello_of_the_future_is_read() {
        let mut bytes = hello().encode();
        bytes[24] += 3;
        bytes.extend_from_slice(b"new");
        assert_eq!(Hello::decode(&bytes), Ok(Some((hello(), bytes.len()))));
    }

    #[test]
    fn noise_before_the_hello_is_skipped_in_any_chunking() {
        let mut wire = b"Welcome to \0psess\r\nland!\r\n".to_vec();
        wire.extend_from_slice(&hello().encode());
        wire.extend_from_slice(b"frames");
        for chunk in 1..wire.len() {
            let mut finder = HelloFinder::new(&hello());
            let mut found = None;
            let mut behind = Vec::new();
            for part in wire.chunks(chunk) {
                match &found {
                    None => {
                        if let Some((hello, rest)) = finder.feed(part).unwrap() {
                            found = Some(hello);
                            behind = rest;
                        }
                    }
                    Some(_) => behind.extend_from_slice(part),
                }
            }
            assert_eq!((found, behind.as_slice()), (Some(hello()), &b"frames"[..]));
        }
    }

    /// A server of the same build says the same of itself.
    #[test]
    fn who_only_gives_back_what_it_is_sent_is_no_server() {
        let client = Hello::of_client();
        let echoed = HelloFinder::new(&client).feed(&client.encode());
        assert_eq!(echoed, Err(HelloError::Echo));
        let server = Hello::answering(&client);
        let answered = HelloFinder::new(&client).feed(&server.encode());
        assert_eq!(answered, Ok(Some((server, vec![]))));
    }

    #[test]
    fn endless_noise_is_refused() {
        let mut finder = HelloFinder::new(&hello());
        let result = (0..100).find_map(|_| finder.feed(&b"motd line\n".repeat(100)).err());
        assert_eq!(result, Some(HelloError::Noise("motd line".to_owned())));
    }

    #[test]
    fn the_numbers_of_capabilities_never_change() {
        let all = [
            Capability::Control,
            Capability::Environment,
            Capability::Usage,
            Capability::Ending,
            Capability::Unwritten,
            Capability::Lending,
            Capability::Renaming,
            Capability::Typing,
            Capability::DetachCommand,
            Capability::HistorySince,
            Capability::Showing,
        ];
        let numbers: Vec<u32> = (0..11).collect();
        assert_eq!(all.map(|capability| capability.bit().ilog2()), *numbers);
        assert_eq!(
            all.map(|capability| hello().can(capability)),
            [
                true, false, true, false, false, false, false, false, false, false, false
            ]
        );
    }

    #[test]
    fn the_older_side_is_named() {
        let old = Hello {
            highest: 1,
            lowest: 1,
            build: "0.0.9".to_owned(),
            ..hello()
        };
        let new = Hello {
            highest: 4,
            lowest: 3,
            ..hello()
        };
        let error = new.common_version(&old).unwrap_err();
        assert!(matches!(
            error,
            HelloError::NoCommonVersion {
                older: Side::Theirs,
                ..
            }
        ));
        assert!(error.to_string().contains("upgrade psess there"));
        let error = old.common_version(&new).unwrap_err();
        assert!(error.to_string().contains("upgrade psess here"));
        assert_eq!(hello().common_version(&old), Ok(1));
    }
}
