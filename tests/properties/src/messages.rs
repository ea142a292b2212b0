//! What can be decoded can be encoded, and means the same then.

use psess_protocol::codec;
use psess_protocol::message::{ClientMessage, ServerMessage};

pub(crate) fn check(bytes: &[u8]) {
    if let Ok(message) = codec::decode::<ClientMessage>(bytes) {
        // Not every integer need be written in its shortest form, so only values are compared.
        if let Ok(again) = codec::encode(&message) {
            assert_eq!(codec::decode::<ClientMessage>(&again).unwrap(), message);
        }
    }
    if let Ok(message) = codec::decode::<ServerMessage>(bytes)
        && let Ok(again) = codec::encode(&message)
    {
        assert_eq!(codec::decode::<ServerMessage>(&again).unwrap(), message);
    }
}
