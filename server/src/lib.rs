//! The server and its keeper.

mod agent_link;
mod clock;
mod connection;
mod connections;
mod environment;
mod heap;
mod history_budget;
mod history_settings;
pub mod input_queue;
pub mod journal;
pub mod journal_error;
mod journal_header;
mod keep_finished;
pub mod keeper;
mod keeper_stream;
mod lent_terminal;
mod listener;
mod log;
pub mod output_log;
mod process_group;
mod process_start;
mod process_usage;
pub mod pty;
mod reader;
pub mod record;
mod registry;
mod registry_task;
pub mod relay;
mod rights;
mod roll;
pub mod session;
mod session_event;
mod session_task;
mod terminfo;
mod told_line;
mod turns;

use std::os::fd::AsFd;

use anyhow::Context;
use psess_protocol::retention::Retention;

use history_settings::HistorySettings;
use keep_finished::KeepFinished;
use keeper::channel::ServerChannel;
use keeper_stream::KeeperStream;
use registry::Registry;
use registry_task::RegistryTask;

/// Whether a keeper started this process to be its server.
#[must_use]
pub fn is_started_by_keeper() -> bool {
    ServerChannel::is_standard_input()
}

/// Runs the server that a keeper started; the keeper's channel is standard input.
///
/// # Errors
/// When this process was not started by a keeper, or the keeper breaks its protocol.
pub fn run() -> anyhow::Result<()> {
    log::begin();
    let introduction = keeper::Introduction::of_this_process();
    let retention = configured_retention();
    let keeper_ready = rustix::stdio::stdin().as_fd().try_clone_to_owned()?;
    let keeper = ServerChannel::from_standard_input()
        .context("this is run by 'psess keeper' only; 'psess new' starts all that is needed")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (registry, requests) = Registry::new();
        let (task, listening) = RegistryTask::new(
            registry.clone(),
            requests,
            KeeperStream::new(keeper, keeper_ready)?,
            introduction,
            KeepFinished::new(&retention),
            HistorySettings::new(&retention),
        );
        tokio::spawn(listener::run(listening, registry));
        task.run().await
    })
}

/// What makes no sense is not heeded: a keeper refuses it, but one of an earlier version did not.
fn configured_retention() -> Retention {
    let (retention, bad) = Retention::of_this_process();
    for setting in bad {
        let (variable, form) = (setting.variable, setting.form);
        tracing::warn!("{variable} is not {form}: the default is taken");
    }
    retention
}
