//! The servers of the sessions that one command line names, and what became of each session: they
//! are all tried, as rm(1) does with files.

use super::{Context, report};
use crate::address::Address;
use crate::conversation::Conversation;
use crate::error::CommandError;

/// Each host is dialled once.
pub(super) struct Servers<'a> {
    context: &'a Context,
    open: Vec<(Option<String>, Conversation)>,
}

impl<'a> Servers<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self {
            context,
            open: Vec::new(),
        }
    }

    /// The one of this address.
    pub(super) async fn of(
        &mut self,
        address: &Address,
    ) -> Result<&mut Conversation, CommandError> {
        let is_it = |(host, _): &(Option<String>, Conversation)| *host == address.host;
        let at = match self.open.iter().position(is_it) {
            Some(at) => at,
            None => {
                let server = self.context.converse(address).await?;
                self.open.push((address.host.clone(), server));
                self.open.len() - 1
            }
        };
        Ok(&mut self.open[at].1)
    }
}

/// How a command on several sessions ends: with the first failure.
#[derive(Default)]
pub(super) struct Tally {
    status: u8,
}

impl Tally {
    /// This became of one; a failure is reported.
    pub(super) fn add(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            report(&error);
            if self.status == 0 {
                self.status = CommandError::status_of(&error);
            }
        }
    }

    /// psess's exit status.
    pub(super) fn status(&self) -> std::process::ExitCode {
        self.status.into()
    }
}
