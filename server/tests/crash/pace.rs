//! How far a program may be ahead of its reader: so far that the server holds all of it, however
//! slow the machine is. Without a reader it may print as it likes.

use std::fs::File;
use std::path::Path;

/// A quarter of what the server's log holds.
const LEAD: u64 = 8 << 20;

/// The reader's side: a file whose length says how far it has read, which the kernel changes in
/// one step.
pub(crate) struct Pace(File);

impl Pace {
    /// Of a reader that has read nothing yet.
    pub(crate) fn of_reader(file: &Path) -> Self {
        Self(File::create(file).expect("a file can be made in the test's folder"))
    }

    /// Everything before this offset was read.
    pub(crate) fn note_read(&self, offset: u64) {
        self.0
            .set_len(offset)
            .expect("a sparse file has any length");
    }
}

/// The program's side: whether to wait for the reader.
pub(crate) fn is_far_ahead(printed: u64, file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|read| printed >= read.len() + LEAD)
}
