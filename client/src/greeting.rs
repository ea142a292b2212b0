//! From nothing to the server's hello.

use std::time::Duration;

use crate::doctor::control_master;
use crate::handshake::{Wire, WireError, handshake};
use crate::transport::pipe::Pipe;
use crate::transport::{Dial, DialError, Transport};
use crate::waiting::{self, Waiting};
use psess_protocol::frame::Decoder;
use psess_protocol::hello::Hello;

/// How long a connection through a master of ssh's (ControlMaster) may take to the hello: a few
/// round trips and the start-up files of a shell. One whose network died takes every connection,
/// and answers none.
const MASTER: Duration = Duration::from_secs(6);

/// A pipe, and how the hellos went.
#[derive(Debug)]
pub struct Greeted {
    /// The pipe. Where the hellos failed it can tell why.
    pub pipe: Pipe,
    /// What was read behind the server's hello, and that.
    pub result: Result<(Decoder, Hello), WireError>,
}

/// Dials and says hello. A dial that hangs behind a master is given up, and another goes around
/// the master, with a warning in the pipe. There is no other time limit: ssh may be asking the
/// user. Where it may, it is said on the terminal when another machine takes long.
///
/// # Errors
/// As [`Transport::dial`].
pub async fn greet(transport: &Transport, dial: Dial) -> Result<Greeted, DialError> {
    let mut waiting = match dial.interactive && !transport.is_local() {
        true => Waiting::default(),
        false => Waiting::in_silence(),
    };
    let mut greeting = async |pipe: &mut Pipe, shares_master| {
        let process = pipe.process_id();
        let asks = || process.is_some_and(waiting::holds_terminal);
        let say = || waiting::say(&transport.place());
        let answer = greeting(pipe, shares_master);
        waiting.for_answer(answer, asks, say).await
    };
    let mut pipe = transport.dial(dial).await?;
    let shares_master = dial.shares_master && transport.is_ssh();
    if let Some(result) = greeting(&mut pipe, shares_master).await {
        return Ok(Greeted { pipe, result });
    }
    drop(pipe);
    let around = Dial {
        shares_master: false,
        ..dial
    };
    let mut pipe = transport.dial(around).await?;
    let result = greeting(&mut pipe, false).await;
    let result = result.expect("only a dial that shares a master is given up");
    pipe.warnings.push(format!(
        "ssh's ControlMaster for {transport} did not answer within {} s and was passed by: \
         'ssh -O exit' ends it",
        MASTER.as_secs()
    ));
    Ok(Greeted { pipe, result })
}

/// `None` where it hangs behind a master, if it may share one.
async fn greeting(
    pipe: &mut Pipe,
    shares_master: bool,
) -> Option<Result<(Decoder, Hello), WireError>> {
    let process = pipe.process_id();
    let parts = |wire: Wire<_, _>| (wire.decoder, wire.server);
    let mut greeting = std::pin::pin!(handshake(&mut pipe.reader, &mut pipe.writer));
    if shares_master {
        match tokio::time::timeout(MASTER, &mut greeting).await {
            Ok(result) => return Some(result.map(parts)),
            Err(_) if process.is_some_and(control_master::is_used_by) => return None,
            Err(_) => {}
        }
    }
    Some(greeting.await.map(parts))
}
