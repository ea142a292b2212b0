//! How a command fails: what is said, and the exit status.

use psess_protocol::message::{Failure, FailureKind};
use psess_protocol::rendezvous::RendezvousError;

use crate::handshake::WireError;
use crate::place::Place;
use crate::transport::end::{EndClass, PipeEnd};
use crate::transport::{DialError, Transport};

/// Exit status: something failed.
pub const ERROR: u8 = 1;
/// Exit status: the arguments make no sense. clap uses the same.
pub const USAGE: u8 = 2;
/// Exit status: there is no such session.
pub const NO_SUCH_SESSION: u8 = 3;
/// Exit status: the other machine cannot be used as it is: it does not let in, or has no psess
/// or one of another version.
pub const NOT_USABLE: u8 = 4;

/// A failure that has an exit status of its own. Any other error means status 1.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// psess's exit status.
    pub status: u8,
    /// What failed, on what, and what to do.
    pub message: String,
}

impl CommandError {
    /// With this status.
    pub fn new(status: u8, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The exit status for any error.
    #[must_use]
    pub fn status_of(error: &anyhow::Error) -> u8 {
        error
            .downcast_ref()
            .map_or(ERROR, |error: &Self| error.status)
    }

    /// A pipe failed before or during a request; `end` is how it ended.
    #[must_use]
    pub fn of_pipe(transport: &Transport, error: &WireError, end: Option<&PipeEnd>) -> Self {
        let incompatible = matches!(error, WireError::Hello(_)) || error.is_of_a_stranger();
        let status = match incompatible || end.is_some_and(|end| !end.may_recover()) {
            true => NOT_USABLE,
            false => ERROR,
        };
        let explained = |end: &PipeEnd| end.explain(transport);
        let message = match end {
            // What the command said explains more than that the pipe closed.
            Some(end) if end.class != EndClass::Other => {
                format!("{transport}: {}", explained(end))
            }
            Some(end) if end.status.is_some() => {
                format!("{transport}: {error}: {}", explained(end))
            }
            Some(_) | None => format!("{transport}: {}", error.explain(transport)),
        };
        Self { status, message }
    }

    /// The server of that place refused.
    #[must_use]
    pub fn of_failure(place: &Place, failure: &Failure) -> Self {
        let status = match failure.kind {
            FailureKind::NoSuchSession => NO_SUCH_SESSION,
            FailureKind::NotFound => 127,
            FailureKind::NotExecutable => 126,
            FailureKind::NameTaken
            | FailureKind::Ambiguous
            | FailureKind::Superseded
            | FailureKind::Protocol
            | FailureKind::Limit
            | FailureKind::Internal => ERROR,
        };
        Self::new(status, place.quote(&failure.message))
    }
}

impl From<DialError> for CommandError {
    fn from(error: DialError) -> Self {
        let status = match &error {
            DialError::Rendezvous(RendezvousError::NoServer) => NO_SUCH_SESSION,
            DialError::Rendezvous(_)
            | DialError::Program(_)
            | DialError::Socket(_)
            | DialError::Spawn { .. } => ERROR,
        };
        Self::new(status, error.to_string())
    }
}
