//! `psess doctor`: every layer that may cut a connection, on both ends, worst first.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{Context, host_of};
use crate::broken_pipe;
use crate::doctor::control_master::ControlMaster;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Effect, End};
use crate::doctor::layers::Layers;
use crate::doctor::path_memory::{PathKnowledge, PathMemory};
use crate::doctor::proxy_jump;
use crate::doctor::report::{FirstCut, Report, report};
use crate::doctor::route::Route;
use crate::doctor::seconds::span;
use crate::doctor::ssh_settings::SshSettings;
use crate::error::{CommandError, ERROR};
use crate::paragraph;
use crate::place::printable;
use crate::standard_output::StandardOutput;
use crate::transport::Transport;

/// Flags of `psess doctor`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Reads ssh's settings for HOST, sshd's where they may be read, the \
    kernels' on both ends, the login shell's, and what 'psess probe' or the last cuts have told of \
    the way between.\n\nExamples:\n  psess doctor devbox\n  psess doctor devbox --json | jq .plain_ssh"
)]
pub struct DoctorArgs {
    /// The host; none: only this machine
    #[arg(value_name = "HOST")]
    host: Option<String>,
    /// Print JSON; further fields may come with later versions
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// When the host makes no sense, or there is none of that name. That something cannot be read is a
/// row of the table.
pub async fn run(context: &Context, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let address = host_of(args.host.as_deref())?;
    let transport = context.transport(&address)?;
    let read = layers(&transport).await;
    if read.names_no_host() {
        let message = format!("{transport}: {}", printable(&read.far_said));
        return Err(CommandError::new(ERROR, message).into());
    }
    let policy = read
        .far
        .as_ref()
        .and_then(|far| far.sshd.as_ref()?.channel_timeout());
    let way = address
        .host
        .as_deref()
        .and_then(|host| remembered(host, policy));
    let respects = context.config.respect_policy && policy.is_some();
    let layers = Layers {
        way,
        timing: (!respects).then(|| context.config.timing.clone()),
        ..read
    };
    let report = report(&layers);
    let is_whole = layers.far.is_some();
    broken_pipe::end_silently();
    let mut stdout = StandardOutput::of_this_process();
    if args.json {
        let json = Json {
            schema: 1,
            host: address.host.as_deref(),
            report: &report,
        };
        serde_json::to_writer_pretty(&mut stdout, &json)?;
        writeln!(stdout)?;
    } else {
        let host = address.host.as_deref();
        stdout.write_all(text(&report, host, is_whole, paragraph::width()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads all settings at both ends and between. What is known of the way is not among them.
pub(super) async fn layers(transport: &Transport) -> Layers {
    let facts_argv = transport.psess_argv("facts");
    let settings_argv = transport.settings_argv(None);
    let ssh = match &settings_argv {
        Some(argv) => SshSettings::ask(argv).await,
        None => None,
    };
    let far = async {
        match &facts_argv {
            Some(argv) => match Facts::ask(argv).await {
                Ok(facts) => (Some(facts), String::new()),
                Err(said) => (None, said),
            },
            None => (None, String::new()),
        }
    };
    let between = async {
        match &ssh {
            Some(ssh) => (
                ControlMaster::ask(transport, ssh).await,
                proxy_jump::hops(transport, ssh).await,
            ),
            None => (None, Vec::new()),
        }
    };
    let ((far, far_said), (master, hops)) = tokio::join!(far, between);
    Layers {
        ssh,
        master,
        hops,
        near: Facts::of_this_machine(),
        far,
        far_said,
        way: None,
        timing: None,
    }
}

/// What is known of the way, after sshd's ChannelTimeout was noted with it.
fn remembered(host: &str, policy: Option<Duration>) -> Option<PathKnowledge> {
    let memory = PathMemory::of_user()?;
    let route = Route::now();
    let known = memory.knowledge(route.name(), host);
    if known.as_ref().and_then(|known| known.policy) != policy {
        // A memory that cannot be written costs nothing but the heed of it.
        let _ = memory.learn(route.name(), host, |known| PathKnowledge {
            policy,
            ..known
        });
    }
    known
}

#[derive(Serialize)]
struct Json<'a> {
    /// Grows when a field changes its meaning or goes.
    schema: u32,
    host: Option<&'a str>,
    #[serde(flatten)]
    report: &'a Report,
}

/// `is_whole`: the far side told its settings.
fn text(report: &Report, host: Option<&str>, is_whole: bool, width: usize) -> String {
    let mut text = String::new();
    if let Some(host) = host {
        let first = |cut: &Option<FirstCut>, verb: &str| match cut {
            Some(cut) => format!("{verb} after {} by {}", span(cut.after), cut.by),
            None if is_whole => format!("{verb} by nothing that is known"),
            None => format!("{verb} by nothing on this side; the other has not told its settings"),
        };
        let lines = [
            (
                format!("an idle ssh to {host}:"),
                first(&report.plain_ssh, "cut"),
            ),
            (
                "the same with psess:".to_owned(),
                first(&report.psess, "cut"),
            ),
            (
                "a path that is dead:".to_owned(),
                first(&report.dead_path, "found"),
            ),
        ];
        let widest = lines.iter().map(|(label, _)| label.chars().count()).max();
        let indent = widest.unwrap_or(0) + 2;
        for (label, words) in lines {
            // Writing to a String cannot fail.
            let _ = write!(text, "{label:indent$}");
            paragraph::wrap(&mut text, &words, indent, width);
        }
        text.push('\n');
    }
    let columns = |cells: [&str; 3]| {
        let [after, place, effect] = cells;
        format!("{after:INDENT$}{place:9}{effect:20}")
    };
    text.push_str(&columns(["AFTER", "WHERE", "WHAT IT DOES"]));
    text.push_str("SETTING\n");
    let indent = " ".repeat(INDENT);
    for finding in &report.findings {
        let after = finding.after.map_or("-".to_owned(), span);
        let cells = columns([&after, end(finding.end), effect(finding.effect)]);
        let hanging = cells.chars().count();
        text.push_str(&cells);
        let setting = format!("{}: {}", finding.layer, finding.setting);
        paragraph::wrap(&mut text, &setting, hanging, width);
        text.push_str(&indent);
        let says = format!("{} [{}]", finding.says, finding.source);
        paragraph::wrap(&mut text, &says, INDENT, width);
        if let Some(fix) = &finding.fix {
            let place = match &fix.file {
                Some(file) => format!("change {} in {file}:", end(fix.end)),
                None => format!("run {}:", end(fix.end)),
            };
            // As above. The line stays whole, to be copied.
            let _ = writeln!(text, "{indent}{place}\n{indent}    {}", fix.line);
        }
    }
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect()
}

/// As wide as the longest time.
const INDENT: usize = 13;

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::CutsIdle => "CUTS when idle",
        Effect::CutsAtLogout => "CUTS at logout",
        Effect::Hinders => "may hinder",
        Effect::Unknown => "unknown",
        Effect::CutsDead => "ends a dead path",
        Effect::CutsUnanswered => "ends if unanswered",
        Effect::CutsOthers => "cuts for others",
        Effect::CutsLogin => "ends a slow login",
        Effect::Held => "held off",
        Effect::Keeps => "keeps alive",
    }
}

fn end(end: End) -> &'static str {
    match end {
        End::Here => "here",
        End::Way => "between",
        End::There => "there",
    }
}
