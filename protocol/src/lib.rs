//! What the client and the server of psess share: the wire (hello, frames, messages), the link's
//! state machine, the terminal model with its replay, and where on a machine the server is found.
//!
//! Nothing in here owns a socket loop or a clock: the crates `psess-client` and `psess-server`
//! are the shells that feed it.

pub mod account;
pub mod capability;
pub mod codec;
pub mod frame;
pub mod heartbeat;
pub mod hello;
pub mod identity;
pub mod lending;
pub mod link;
pub mod message;
pub mod name;
pub mod offset;
pub mod outcome;
pub mod rendezvous;
pub mod retention;
pub mod size;
pub mod stop_keys;
pub mod terminal;
pub mod timing;
