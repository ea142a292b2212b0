//! A journal whose header, checkpoint or output is damaged is refused or repaired; nothing in it
//! ends the server.

use std::time::Instant;

use psess_protocol::identity::{ClientId, SessionId};
use psess_protocol::offset::Offset;
use psess_protocol::size::Size;
use psess_protocol::terminal::Limits;
use psess_server::journal::Journal;
use psess_server::record::Record;
use psess_server::session::Session;
use rustix::io::pwrite;

const CLIENT: ClientId = ClientId([7; 16]);

/// The bytes lie over the beginning of a journal in use, at the place that the first two say.
pub(crate) fn check(bytes: &[u8]) {
    let Some((place, damage)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let place = u64::from(u16::from_le_bytes(*place)) % 4096;
    let mut journal = Journal::unshared().expect("there is memory");
    let text = b"some output\r\n";
    journal.log_spare()[..text.len()].copy_from_slice(text);
    journal.commit_output(text.len());
    let end = journal.log.end();
    journal
        .write_checkpoint(end, Size::new(24, 80), b"\x1b[2Jsome output\r\n")
        .expect("there is memory");
    journal
        .append_input(CLIENT, b"typed")
        .expect("there is room");
    let (file, input) = journal.descriptors().expect("there are descriptors");
    drop(journal);
    pwrite(&file, damage, place).expect("there is memory");

    let again = (file.try_clone(), input.try_clone());
    let mut journal = match (Journal::open(file, input), again) {
        (Ok(journal), _) => journal,
        (Err(_), (Ok(file), Ok(input))) => {
            let journal = Journal::begin_anew(file, input, 1_800_000_000).expect("it is blank");
            assert_eq!(journal.input_offset(CLIENT).0, 0);
            assert_eq!(journal.log.start(), journal.log.end());
            assert!(journal.read_checkpoint().is_none());
            journal
        }
        (Err(_), _) => panic!("there are descriptors"),
    };
    // Any error will do.
    let _ = journal.append_input(CLIENT, b"more");
    let _ = journal.take_input();
    let end = journal.log.end();
    // A log that ends near the end of numbers has no further output.
    if end < Offset(u64::MAX / 2) {
        let spare = journal.log_spare();
        spare[0] = b'x';
        journal.commit_output(1);
        assert_eq!(journal.log.slice(end, 1), Some(&b"x"[..]));
        let kept = journal.log.end().bytes_since(journal.log.start());
        // A log of zeroes takes long to look at.
        if kept < 100_000 {
            let _ = Session::new(Instant::now(), record(), journal, Limits::default());
        }
    }
}

fn record() -> Record {
    Record {
        id: SessionId([9; 16]),
        name: "work".parse().expect("it is a valid name"),
        command: String::new(),
        created: 0,
        attached: 0,
        size: Size::new(24, 80),
        pid: 1,
        outcome: None,
    }
}
