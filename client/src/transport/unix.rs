//! The unix socket of this machine.

use psess_protocol::rendezvous::{self, Connection, RendezvousError};

use super::pipe::Pipe;
use super::{Dial, DialError};

/// Connects to the server of this machine; starts the keeper when there is none and it is to be
/// started, or when sessions were lost with the one before.
pub(super) async fn dial(dial: Dial) -> Result<Pipe, DialError> {
    let connection = match rendezvous::connect() {
        Err(RendezvousError::NoServer) if dial.start || !dial.again && rendezvous::has_roll() => {
            let exe = std::env::current_exe().map_err(DialError::Program)?;
            // Starting a keeper takes milliseconds, or seconds on a machine that swaps.
            tokio::task::spawn_blocking(move || rendezvous::connect_or_start(&exe))
                .await
                .map_err(|error| DialError::Socket(error.into()))??
        }
        stream => Connection {
            stream: stream?,
            warnings: Vec::new(),
        },
    };
    Pipe::from_socket(connection.stream, connection.warnings).map_err(DialError::Socket)
}
