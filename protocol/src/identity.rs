//! Who is who: identities that survive redials and restarts.

use std::fmt;

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// One incarnation of a session. A session that is started anew under the same name has another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

/// One attached terminal. It is the same across redials, so that the server knows whom a new
/// connection replaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub [u8; 16]);

/// Counts the dials of one client. The highest takes over from any lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl SessionId {
    /// A random one (getrandom(2)).
    ///
    /// # Panics
    /// When the kernel has no randomness, which it has on every system that is up.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` where it is something else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 2 * bytes.len() || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl ClientId {
    /// A random one (getrandom(2)).
    ///
    /// # Panics
    /// When the kernel has no randomness, which it has on every system that is up.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }
}

impl Generation {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// 16 random bytes.
pub(crate) fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    let filled = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()));
    // getrandom(2) gives up to 256 bytes at once.
    assert_eq!(filled, Ok(16), "random bytes of the kernel");
    bytes
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_session_is_read_as_it_is_written() {
        let id = SessionId::random();
        assert_eq!(SessionId::from_hex(&id.to_string()), Some(id));
        for text in ["", "ab", &"g".repeat(32), &"é".repeat(16), &"0".repeat(33)] {
            assert_eq!(SessionId::from_hex(text), None, "{text}");
        }
    }
}
