//! Questions of a program to its terminal.

use std::ops::Range;

/// A query met in the output, such as DA1 or DSR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where it stands, in bytes fed since the beginning.
    pub range: Range<u64>,
    /// What a terminal in this state answers.
    pub answer: Vec<u8>,
}

/// Queries not yet taken; further ones go unanswered.
pub(super) const QUERY_LIMIT: usize = 256;
