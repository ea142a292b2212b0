//! The terminal model against independent terminals.
//!
//! For each recording of a real program and each of many cuts: a fresh terminal gets the replay
//! made at the cut, then the rest of the recording, and must be equal to one that saw
//! everything. `record.py` makes the recordings.

mod recording;
mod tmux;
mod xterm;
