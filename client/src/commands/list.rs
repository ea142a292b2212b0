//! `psess list`: the sessions of a machine, for people or as JSON.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use psess_protocol::message::SessionSummary;
use psess_protocol::outcome::Outcome;
use psess_protocol::terminal::{clipped, columns_of};
use serde::Serialize;

use super::{Context, say, why};
use crate::address::Address;
use crate::broken_pipe;
use crate::clock::{Clock, span};
use crate::doctor::cut::Cut;
use crate::doctor::cut_log::CutLog;
use crate::error::{CommandError, NO_SUCH_SESSION, USAGE};
use crate::place::{Place, printable};
use crate::standard_output::StandardOutput;

const A_DAY: Duration = Duration::from_secs(86_400);

/// Flags of `psess list`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess list\n  \
    psess list devbox:\n  \
    psess list --json | jq -r '.sessions[] | select(.finished) | .name'")]
pub struct ListArgs {
    /// The machine; without it, this one
    #[arg(value_name = "HOST:")]
    host: Option<Address>,
    /// Print JSON; further fields may come with later versions
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be reached. That none runs on this machine is no error.
pub async fn run(context: &Context, args: ListArgs) -> anyhow::Result<ExitCode> {
    let address = args.host.unwrap_or_default();
    if let Some(session) = &address.session {
        let words = match &address.host {
            Some(host) => format!("'{address}' is a session: its machine is '{host}:'"),
            None => format!("'{session}' is no host: for one, write '{session}:'"),
        };
        return Err(CommandError::new(USAGE, words).into());
    }
    let sessions = match context.converse(&address).await {
        Ok(mut server) => server.sessions().await?,
        Err(error) if error.status == NO_SUCH_SESSION => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    broken_pipe::end_silently();
    let mut stdout = StandardOutput::of_this_process();
    if args.json {
        let list = json(address.host.as_deref(), &sessions);
        serde_json::to_writer_pretty(&mut stdout, &list)?;
        writeln!(stdout)?;
    } else {
        let columns = io::stdout()
            .is_terminal()
            .then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())
            .flatten()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0);
        if sessions.is_empty() && io::stdout().is_terminal() {
            match &address.host {
                Some(host) => say(format_args!("no sessions on {host}")),
                None => say("no sessions"),
            }
        }
        let cuts = recent_cuts();
        let cut = |name: &str| why::last_cut(&cuts, address.host.as_deref(), name);
        let place = Place::new(address.host.as_deref());
        let table = table(&Clock::now(), &place, &sessions, columns, cut);
        stdout.write_all(table.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The cuts of the last day that this machine has seen. A log that cannot be read tells of none.
fn recent_cuts() -> Vec<Cut> {
    let log = CutLog::of_user();
    let mut cuts = log.and_then(|log| log.cuts().ok()).unwrap_or_default();
    cuts.retain(|cut| cut.noticed_at().elapsed().is_ok_and(|ago| ago < A_DAY));
    cuts
}

fn table(
    clock: &Clock,
    place: &Place,
    sessions: &[SessionSummary],
    columns: Option<usize>,
    cut: impl Fn(&str) -> Option<String>,
) -> String {
    let mut rows: Vec<[String; 5]> = sessions
        .iter()
        .map(|session| row(clock, place, session))
        .collect();
    for (row, session) in rows.iter_mut().zip(sessions) {
        if session.finished.is_none()
            && let Some(words) = cut(session.name.as_str())
        {
            row[4] = format!("{} · last cut: {words}", row[4]);
        }
    }
    // Each cell is measured once: with a thousand sessions that is most of the work.
    let measured: Vec<[usize; 5]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| columns_of(cell)))
        .collect();
    let mut widths = [0; 5];
    for taken in &measured {
        widths = std::array::from_fn(|column| taken[column].max(widths[column]));
    }
    let mut table = String::new();
    for (row, taken) in rows.iter().zip(&measured) {
        let start = table.len();
        for ((cell, taken), width) in row.iter().zip(taken).zip(widths) {
            table.push_str(cell);
            table.extend(std::iter::repeat_n(' ', width - taken + 2));
        }
        table.truncate(table.trim_end().len().max(start));
        if let Some(columns) = columns
            && columns_of(&table[start..]) > columns
        {
            let clip = clipped(&table[start..], columns.saturating_sub(1)).len();
            table.truncate(start + clip);
            table.push('…');
        }
        table.push('\n');
    }
    table
}

/// Name, state, age, size, command and title.
fn row(clock: &Clock, place: &Place, session: &SessionSummary) -> [String; 5] {
    let state = match (session.finished, session.clients, session.lost) {
        (Some((outcome, at)), ..) => format!("finished {}, {outcome}", clock.moment(at)),
        (None, 0, Some(at)) => format!("detached, lost {}", clock.moment(at)),
        (None, 0, None) => "detached".to_owned(),
        (None, 1, _) => "attached".to_owned(),
        (None, clients, _) => format!("attached by {clients}"),
    };
    let age = match session.finished {
        Some((_, at)) => format!("ran {}", span(at.saturating_sub(session.created))),
        None => format!("runs {}", span(clock.seconds_since(session.created))),
    };
    let command = command_of(session);
    let title = printable(&session.title);
    let is_telling = !title.is_empty() && title != command;
    [
        place.session(session.name.as_str()),
        state,
        age,
        session.size.to_string(),
        if is_telling {
            format!("{command} · {title}")
        } else {
            command
        },
    ]
}

/// What runs in a session, for people.
pub(crate) fn command_of(session: &SessionSummary) -> String {
    printable(match session.command.as_str() {
        "" => "(shell)",
        command => command,
    })
}

#[derive(Serialize)]
struct JsonList<'a> {
    /// Grows when a field changes its meaning or goes.
    schema: u32,
    host: Option<&'a str>,
    sessions: Vec<JsonSession<'a>>,
}

#[derive(Serialize)]
struct JsonSession<'a> {
    id: String,
    name: &'a str,
    state: &'static str,
    command: String,
    title: String,
    pid: u32,
    clients: u32,
    rows: u16,
    columns: u16,
    created: u64,
    active: u64,
    lost: Option<u64>,
    finished: Option<JsonOutcome>,
}

#[derive(Serialize)]
struct JsonOutcome {
    at: u64,
    exit_code: Option<u8>,
    signal: Option<u8>,
}

fn json<'a>(host: Option<&'a str>, sessions: &'a [SessionSummary]) -> JsonList<'a> {
    let finished = |(outcome, at): (Outcome, u64)| {
        let (exit_code, signal) = match outcome {
            Outcome::Exited(status) => (Some(status), None),
            Outcome::Signaled(signal) => (None, Some(signal)),
        };
        JsonOutcome {
            at,
            exit_code,
            signal,
        }
    };
    let session = |session: &'a SessionSummary| JsonSession {
        id: session.id.to_string(),
        name: session.name.as_str(),
        state: match (session.finished, session.clients) {
            (Some(_), _) => "finished",
            (None, 0) => "detached",
            (None, _) => "attached",
        },
        command: printable(&session.command),
        title: printable(&session.title),
        pid: session.pid,
        clients: session.clients,
        rows: session.size.rows,
        columns: session.size.columns,
        created: session.created,
        active: session.active,
        lost: session.lost,
        finished: session.finished.map(finished),
    };
    JsonList {
        schema: 1,
        host,
        sessions: sessions.iter().map(session).collect(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use psess_protocol::identity::SessionId;
    use psess_protocol::size::Size;

    use super::*;

    /// 2026-03-04 12:00:00 UTC, a Wednesday.
    const NOON: u64 = 1_772_625_600;

    fn clock() -> Clock {
        let noon = Timestamp::from_second(NOON as i64).expect("in range");
        Clock::new(noon, TimeZone::UTC)
    }

    fn session(name: &str) -> SessionSummary {
        SessionSummary {
            id: SessionId([7; 16]),
            name: name.parse().expect("a good name"),
            command: "make -j8".to_owned(),
            title: String::new(),
            created: NOON - 3_900,
            finished: None,
            clients: 0,
            lost: None,
            active: NOON,
            size: Size::new(24, 80),
            pid: 1,
        }
    }

    #[test]
    fn the_table_is_aligned_and_tells_the_state() {
        let mut finished = session("a-long-name");
        finished.finished = Some((Outcome::Exited(2), NOON - 300));
        finished.title = "\x1b[2Jdone\u{202e}".to_owned();
        let mut lost = session("b");
        lost.lost = Some(NOON - 86_400);
        let table = table(&clock(), &Place::default(), &[finished, lost], None, |_| {
            None
        });
        assert_eq!(
            table,
            "a-long-name  finished 11:55, exit 2    ran 1h 0m   80x24  make -j8 · [2Jdone\n\
             b            detached, lost Tue 12:00  runs 1h 5m  80x24  make -j8\n"
        );
    }

    #[test]
    fn the_last_cut_of_a_session_is_named() {
        let table = table(&clock(), &Place::default(), &[session("b")], None, |name| {
            (name == "b").then(|| "this machine slept".to_owned())
        });
        assert!(
            table.ends_with("make -j8 · last cut: this machine slept\n"),
            "{table}"
        );
    }

    #[test]
    fn lines_are_cut_to_the_terminal() {
        let table = table(
            &clock(),
            &Place::default(),
            &[session("b")],
            Some(20),
            |_| None,
        );
        assert_eq!(table, "b  detached  runs 1…\n");
    }

    #[test]
    fn wide_characters_count_as_the_columns_that_they_take() {
        let mut wide = session("a");
        wide.title = "端末の画面は行と列からできている".to_owned();
        for columns in [45, 46] {
            let place = Place::default();
            let table = table(&clock(), &place, &[wide.clone()], Some(columns), |_| None);
            assert_eq!(
                table,
                "a  detached  runs 1h 5m  80x24  make -j8 · …\n"
                    .replace('…', if columns == 45 { "…" } else { "端…" }),
            );
        }
    }

    #[test]
    fn json_has_a_schema() {
        let mut killed = session("b");
        killed.finished = Some((Outcome::Signaled(9), NOON));
        let value = serde_json::to_value(json(Some("devbox"), &[killed])).expect("plain data");
        assert_eq!(value["schema"], 1);
        assert_eq!(value["host"], "devbox");
        assert_eq!(value["sessions"][0]["finished"]["signal"], 9);
        assert_eq!(value["sessions"][0]["state"], "finished");
    }
}
