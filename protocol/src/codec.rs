//! Messages to bytes and back. The only file that names bincode, so that another codec can take
//! its place; the golden bytes in `message` pin what it must produce.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::MAX_BODY;

/// Integers as varints, and a limit: without one, nine hostile bytes ask for 1 TiB.
const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_BODY>> =
    bincode::config::standard().with_limit::<MAX_BODY>();

/// Encodes a message.
///
/// # Errors
/// [`CodecError::TooLarge`] when it does not fit into one frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(message, CONFIG)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if bytes.len() > MAX_BODY {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// Decodes a message that must fill `bytes` to the last.
///
/// # Errors
/// [`CodecError::Malformed`] when the bytes are no such message; [`CodecError::Leftover`] when
/// more follows.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (message, used) = bincode::serde::decode_from_slice(bytes, CONFIG)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if used != bytes.len() {
        return Err(CodecError::Leftover(bytes.len() - used));
    }
    Ok(message)
}

/// Why bytes are no message, or a message has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes do not decode.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// Bytes follow the message.
    #[error("{0} bytes left over behind a message")]
    Leftover(usize),
    /// The message does not fit into a frame.
    #[error("a message of {0} bytes does not fit into a frame of {MAX_BODY}")]
    TooLarge(usize),
}
