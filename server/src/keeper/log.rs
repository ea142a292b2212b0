//! The keeper's log: errors only, in a file beside its socket.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file is begun anew when it exceeds this.
const MAX_BYTES: u64 = 256 * 1024;

/// Adds a line. That it cannot is not reported: there is nobody to tell.
pub(super) fn append(path: &Path, line: &str) {
    let time = crate::clock::unix_time();
    let written = open(path).and_then(|mut file| writeln!(file, "{time} keeper: {line}"));
    drop(written);
}

/// The file to append to, for this process or as a server's standard error.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.len() > MAX_BYTES {
        file.set_len(0)?;
    }
    Ok(file)
}
