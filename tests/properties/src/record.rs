//! What a server before this one gave the keeper is read, or refused.

use psess_server::record::Record;

pub(crate) fn check(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes)
        && let Ok(again) = record.encode()
    {
        assert_eq!(Record::decode(&again).unwrap(), record);
    }
}
