//! The record of a session that no keeper started.

use psess_protocol::identity::SessionId;
use psess_protocol::size::Size;
use psess_server::record::Record;

/// Of one that is called `work` and still runs, on a screen of 24 rows and 80 columns.
pub(crate) fn record() -> Record {
    Record {
        id: SessionId([9; 16]),
        name: "work".parse().unwrap(),
        command: String::new(),
        created: 0,
        attached: 0,
        size: Size::new(24, 80),
        pid: 1,
        outcome: None,
    }
}
