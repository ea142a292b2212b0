//! `psess probe`: after how long idle the way to a host forgets a connection.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::{Context, doctor, host_of};
use crate::broken_pipe;
use crate::config::Interval;
use crate::doctor::ladder::{Ladder, LadderOptions};
use crate::doctor::measured::{Bound, BoundManner, Measured};
use crate::doctor::path_memory::{Manner, PathKnowledge, PathMemory, Source};
use crate::doctor::prober::{Progress, probe};
use crate::doctor::report;
use crate::doctor::route::Route;
use crate::doctor::seconds::{self, span};
use crate::paragraph;
use crate::standard_output::StandardOutput;

/// No way is measured beyond this: RFC 5382 asks NATs to remember for 2 h 4 min.
const DEFAULT_MAX: &str = "1h";

/// How far a quick measurement goes.
const QUICK_MAX: Duration = Duration::from_secs(360);

/// Flags of `psess probe`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Opens some connections of its own at least 5 s apart, leaves each idle \
    for another time, and asks which of them still work. Takes a little longer than the longest \
    time that has to be tried. Ctrl-C ends it, and keeps what was learned.\n\nThe result is kept \
    for this network and host: psess's heartbeat and 'psess doctor' heed it.\n\nExamples:\n  \
    psess probe devbox\n  psess probe devbox --max 2h10m\n  psess probe devbox --quick"
)]
pub struct ProbeArgs {
    /// The host
    #[arg(value_name = "HOST")]
    host: String,
    /// The longest idle time to try
    #[arg(long, value_name = "DURATION", default_value = DEFAULT_MAX)]
    max: Interval,
    /// Only find out roughly, up to 6 minutes
    #[arg(long)]
    quick: bool,
    /// Print the result as JSON; further fields may come with later versions
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// When the host cannot be reached, or not by ssh.
pub async fn run(context: &Context, args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let address = host_of(Some(&args.host))?;
    let host = address.host.clone().unwrap_or_default();
    let transport = context.transport(&address)?;
    let longest = args.max.0.context("--max needs a duration")?;
    let max = if args.quick {
        longest.min(QUICK_MAX)
    } else {
        longest
    };
    let layers = doctor::layers(&transport).await;
    let bounds = report::bounds(&layers);
    let bound = bounds.first().filter(|bound| bound.after < max);
    if let Some(bound) = bound {
        let mut words = String::new();
        paragraph::wrap(&mut words, &unseen(bound), 0, paragraph::width());
        show(&words);
    }
    let options = LadderOptions {
        max: bound
            .map_or(max, |bound| bound.after)
            .max(Duration::from_secs(5)),
        quick: args.quick,
    };
    let route = Route::now();
    let mut shown = Shown::new();
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let measured = probe(&transport, options, &mut shown, interrupted).await?;
    shown.end();
    let (measured, bound) = measured.within(&bounds);
    let is_telling = measured.survives.is_some() || measured.forgets.is_some();
    if is_telling && let Some(memory) = PathMemory::of_user() {
        memory
            .learn(route.name(), &host, |known| knowledge(known, &measured))
            .context("cannot keep the result")?;
    }
    broken_pipe::end_silently();
    let mut stdout = StandardOutput::of_this_process();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &json(&host, &route, &measured, bound.as_ref()))?;
        writeln!(stdout)?;
    } else {
        let mut words = text(&host, &measured, bound.as_ref());
        if layers.far.is_none() {
            words.push_str(UNKNOWN_FAR);
        }
        let mut wrapped = String::new();
        for line in words.lines() {
            paragraph::wrap(&mut wrapped, line, 0, paragraph::width());
        }
        stdout.write_all(wrapped.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn knowledge(known: PathKnowledge, measured: &Measured) -> PathKnowledge {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    PathKnowledge {
        survives: measured.survives,
        forgets: measured.forgets,
        manner: measured.manner,
        source: Source::Probe,
        learned_at: now.as_secs(),
        ..known
    }
}

/// What is said where the far side's settings could not be read.
const UNKNOWN_FAR: &str = "The far side did not tell its settings: alive messages of sshd, if it \
    sends any, may have kept the connections alive.\n";

/// Why nothing can be seen beyond.
fn unseen(bound: &Bound) -> String {
    let does = match bound.manner {
        BoundManner::KeepsAlive => "sends something every",
        BoundManner::Closes => "closes what is idle for",
    };
    format!(
        "{} {does} {}: longer times of the way cannot be measured.",
        bound.by,
        span(bound.after)
    )
}

fn text(host: &str, measured: &Measured, bound: Option<&Bound>) -> String {
    let mut text = String::new();
    let survives = measured.survives.map(span);
    // Writing to a String cannot fail.
    let _ = match (measured.estimate(), survives) {
        (Some((middle, error)), _) => writeln!(
            text,
            "The way to {host} forgets an idle connection after {} (± {}), {}.",
            span(middle),
            span(error),
            match measured.manner {
                Some(Manner::Drop) => "and drops what comes later without a word",
                Some(Manner::Reset) => "and answers what comes later with a reset",
                None => "and what comes later is lost",
            }
        ),
        (None, Some(survives)) => writeln!(
            text,
            "The way to {host} has no idle timeout below {survives}."
        ),
        (None, None) => writeln!(text, "Nothing was learned of the way to {host}."),
    };
    if let Some(bound) = bound {
        let _ = writeln!(text, "{}", unseen(bound));
    }
    if measured.same_both_ways == Some(false) {
        text.push_str("It treats what the far side sends first differently.\n");
    }
    if bound.is_none()
        && let Some(words) = &measured.ended_early
    {
        let _ = writeln!(
            text,
            "Some connections ended by themselves, as one end closes them: {words}"
        );
    }
    if !measured.is_complete {
        text.push_str("The measurement was not complete; what was learned is kept.\n");
    }
    if measured.disturbed > 0 {
        let _ = writeln!(
            text,
            "{} trials did not count, as the way was broken or the machine slept.",
            measured.disturbed
        );
    }
    let _ = writeln!(text, "Confidence: {}.", confidence(measured));
    text
}

/// How sure the result is.
fn confidence(measured: &Measured) -> &'static str {
    match measured {
        Measured {
            is_complete: false, ..
        }
        | Measured {
            ended_early: Some(_),
            ..
        } => "low",
        Measured {
            same_both_ways: Some(false),
            ..
        } => "medium",
        Measured { disturbed: 0, .. } => "high",
        Measured { .. } => "medium",
    }
}

#[derive(Serialize)]
struct Json<'a> {
    /// Grows when a field changes its meaning or goes.
    schema: u32,
    host: &'a str,
    gateway: &'a str,
    #[serde(with = "seconds::option")]
    survives: Option<Duration>,
    #[serde(with = "seconds::option")]
    forgets: Option<Duration>,
    #[serde(with = "seconds::option")]
    estimate: Option<Duration>,
    #[serde(with = "seconds::option")]
    error: Option<Duration>,
    manner: Option<Manner>,
    same_both_ways: Option<bool>,
    disturbed: u32,
    complete: bool,
    confidence: &'static str,
    /// What kept it from seeing further.
    bound: Option<&'a Bound>,
}

fn json<'a>(
    host: &'a str,
    route: &'a Route,
    measured: &Measured,
    bound: Option<&'a Bound>,
) -> Json<'a> {
    let estimate = measured.estimate();
    Json {
        schema: 1,
        host,
        gateway: route.name(),
        survives: measured.survives,
        forgets: measured.forgets,
        estimate: estimate.map(|(middle, _)| middle),
        error: estimate.map(|(_, error)| error),
        manner: measured.manner,
        same_both_ways: measured.same_both_ways,
        disturbed: measured.disturbed,
        complete: measured.is_complete,
        confidence: confidence(measured),
        bound,
    }
}

/// What is known so far, on stderr: one line that changes on a terminal, else a line for each
/// thing that is learned.
struct Shown {
    is_terminal: bool,
    last: String,
}

/// Who looked on may have left: what is measured is kept all the same.
fn show(words: &str) {
    let _ = std::io::stderr().write_all(words.as_bytes());
}

impl Shown {
    fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            last: String::new(),
        }
    }

    fn end(&self) {
        if self.is_terminal {
            show("\r\x1b[K");
        }
    }
}

impl Progress for Shown {
    fn show(&mut self, now: Instant, ladder: &Ladder) {
        let measured = ladder.measured();
        let survives = measured.survives.map_or("?".to_owned(), span);
        let forgets = measured.forgets.map_or("?".to_owned(), span);
        let known = format!("survives {survives}, forgets by {forgets}");
        if !self.is_terminal {
            if known != self.last {
                let left = span(ladder.time_left(now));
                show(&format!("{known}; at most {left} more for now\n"));
                self.last = known;
            }
            return;
        }
        let mut trials: Vec<Duration> = ladder.running(now).map(|(trial, _)| trial.idle).collect();
        trials.sort();
        let trials: Vec<String> = trials.into_iter().map(span).collect();
        let mut line = format!(
            "{known} · at most {} more for this round",
            span(ladder.time_left(now)),
        );
        if !trials.is_empty() {
            let _ = write!(line, " · trying {}", trials.join(", "));
        }
        // A line that the terminal wrapped could not be taken back.
        let line = paragraph::one_line(&line, paragraph::columns(std::io::stderr()));
        if line != self.last {
            show(&format!("\r\x1b[K{line}"));
            self.last = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_says_how_long_how_sure_and_in_what_manner() {
        let measured = Measured {
            survives: Some(Duration::from_secs(56)),
            forgets: Some(Duration::from_secs(66)),
            manner: Some(Manner::Reset),
            same_both_ways: Some(true),
            is_complete: true,
            ..Measured::default()
        };
        let words = text("box", &measured, None);
        assert!(
            words.contains("after 1 min 1 s (± 5 s), and answers"),
            "{words}"
        );
        assert!(words.contains("Confidence: high"), "{words}");
        let none = Measured {
            survives: Some(Duration::from_secs(3_600)),
            is_complete: true,
            ..Measured::default()
        };
        assert!(text("box", &none, None).contains("no idle timeout below 1 h"));
        assert_eq!(knowledge(PathKnowledge::default(), &none).timeout(), None);
        let bound = Bound {
            manner: BoundManner::KeepsAlive,
            by: "sshd: ClientAliveInterval 30".to_owned(),
            after: Duration::from_secs(30),
        };
        let words = text("box", &none, Some(&bound));
        let why =
            "sshd: ClientAliveInterval 30 sends something every 30 s: longer times of the way";
        assert!(words.contains(why), "{words}");
    }
}
