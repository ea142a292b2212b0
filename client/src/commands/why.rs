//! `psess why`: who cut the connection, and after how long.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::say;
use crate::broken_pipe;
use crate::clock::Clock;
use crate::doctor::cause::Cause;
use crate::doctor::cut::Cut;
use crate::doctor::cut_log::CutLog;
use crate::doctor::evidence::{Evidence, Noticed};
use crate::doctor::seconds::span;
use crate::doctor::verdict::Verdict;
use crate::paragraph;
use crate::standard_output::StandardOutput;

/// Flags of `psess why`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    psess why             all cuts of the last days, the newest last\n  \
    psess why devbox      those on the way to devbox\n  \
    psess why -n 1        only the last one")]
pub struct WhyArgs {
    /// A host, a session's name, or HOST:NAME
    #[arg(value_name = "HOST|NAME")]
    what: Option<String>,
    /// How many of the newest to show
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    count: usize,
    /// How many days to go back
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    days: u64,
    /// Print JSON with all evidence; further fields may come with later versions
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// When the log cannot be read.
pub fn run(args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let log = CutLog::of_user().context("there is no home directory to keep a log in")?;
    let mut cuts = log.cuts().context("cannot read the log of cuts")?;
    let days = Duration::from_secs(args.days.saturating_mul(86_400));
    let oldest = SystemTime::now().checked_sub(days);
    cuts.retain(|cut| {
        oldest.is_none_or(|oldest| cut.noticed_at() >= oldest)
            && args.what.as_deref().is_none_or(|what| concerns(cut, what))
    });
    let is_none_known = cuts.is_empty();
    cuts.drain(..cuts.len().saturating_sub(args.count));
    broken_pipe::end_silently();
    let mut stdout = StandardOutput::of_this_process();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &json(&cuts))?;
        writeln!(stdout)?;
    } else if is_none_known {
        say(format_args!(
            "no cuts are known{}",
            of(args.what.as_deref())
        ));
    } else {
        let clock = Clock::now();
        let width = paragraph::width();
        let blocks: Vec<String> = cuts.iter().map(|cut| block(&clock, cut, width)).collect();
        stdout.write_all(blocks.join("\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A few words on the last cut of a session, for lists; `None` when there was none lately.
#[must_use]
pub fn last_cut(cuts: &[Cut], host: Option<&str>, session: &str) -> Option<String> {
    let cut = cuts
        .iter()
        .rfind(|cut| cut.host.as_deref() == host && cut.session == session)?;
    cut.phrase()
}

fn of(what: Option<&str>) -> String {
    what.map_or(String::new(), |what| format!(" of '{what}'"))
}

/// Whether a cut is of this host or session.
fn concerns(cut: &Cut, what: &str) -> bool {
    let host = cut.host.as_deref();
    match what.rsplit_once(':') {
        Some((of, "")) => host == Some(of),
        Some((of, session)) => host == Some(of) && cut.session == session,
        None => host == Some(what) || cut.session == what,
    }
}

/// A block: when and where, then a labelled line for each thing that is known.
fn block(clock: &Clock, cut: &Cut, width: usize) -> String {
    const INDENT: usize = 12;
    let Verdict {
        cause,
        confidence,
        because,
    } = cut.verdict();
    let evidence = &cut.evidence;
    let place = match &cut.host {
        Some(host) => format!("{host}:{}", cut.session),
        None => cut.session.clone(),
    };
    let mut text = format!("{}  {place}\n", clock.moment(cut.noticed_at / 1_000));
    let mut line = |label: &str, words: &str| {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {label:10}");
        paragraph::wrap(&mut text, words, INDENT, width);
    };
    let cause_words = if cause == Cause::Unknown {
        cause.words().to_owned()
    } else {
        format!("{confidence} {}", cause.words())
    };
    line("cause", &cause_words);
    line("idle", &span(evidence.idle));
    line("lived", &span(evidence.age));
    line("noticed", noticed(evidence.noticed));
    if evidence.noticed != Noticed::Finished {
        line("back", &back(evidence));
    }
    for (place, reason) in because.iter().enumerate() {
        line(if place == 0 { "evidence" } else { "" }, reason);
    }
    if let Some(advice) = cause.advice() {
        line("helps", advice);
    }
    text
}

fn noticed(noticed: Noticed) -> &'static str {
    match noticed {
        Noticed::Silence => "by silence: nothing came any more",
        Noticed::Closed => "when it was closed",
        Noticed::Finished => "when the program ended",
    }
}

fn back(evidence: &Evidence) -> String {
    match evidence.back_after {
        Some(back) => format!("{} after the last byte", span(back)),
        None => "it did not come back".to_owned(),
    }
}

#[derive(Serialize)]
struct JsonList<'a> {
    /// Grows when a field changes its meaning or goes.
    schema: u32,
    cuts: Vec<JsonCut<'a>>,
}

#[derive(Serialize)]
struct JsonCut<'a> {
    #[serde(flatten)]
    cut: &'a Cut,
    verdict: Verdict,
}

fn json(cuts: &[Cut]) -> JsonList<'_> {
    JsonList {
        schema: 1,
        cuts: cuts
            .iter()
            .map(|cut| JsonCut {
                cut,
                verdict: cut.verdict(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::evidence::{Redial, SshEnd};

    fn cut() -> Cut {
        let evidence = Evidence {
            age: Duration::from_secs(300),
            idle: Duration::from_secs(15),
            survived_idle: Duration::from_secs(5),
            redial: Redial {
                succeeded: true,
                ..Redial::default()
            },
            back_after: Some(Duration::from_secs(24)),
            ..Evidence::default()
        };
        let host = Some("box".to_owned());
        Cut::new(SystemTime::now(), host, "build".to_owned(), evidence)
    }

    #[test]
    fn a_cut_reads_as_a_block_of_what_is_known() {
        let text = block(&Clock::now(), &cut(), 60);
        let (first, rest) = text.split_once('\n').expect("several lines");
        assert!(first.ends_with("  box:build"), "{first}");
        let words = "  cause     probably a NAT or firewall forgot the idle\n            \
                     connection\n  \
                     idle      15 s\n  lived     5 min\n  \
                     noticed   by silence: nothing came any more\n  \
                     back      24 s after the last byte\n  \
                     evidence  nothing came any more, but a fresh dial worked\n            \
                     at once\n            it had been idle for 15 s\n";
        assert!(rest.starts_with(words), "{text}");
    }

    #[test]
    fn what_is_not_known_is_not_even_possible() {
        let mut cut = cut();
        cut.evidence.noticed = Noticed::Closed;
        cut.evidence.ssh = Some(SshEnd {
            status: Some(1),
            ..SshEnd::default()
        });
        assert_eq!(cut.verdict().cause, Cause::Unknown);
        let text = block(&Clock::now(), &cut, 60);
        assert!(text.contains("  cause     unknown\n"), "{text}");
    }

    #[test]
    fn cuts_are_chosen_by_host_or_session() {
        for what in ["box", "box:", "build", "box:build"] {
            assert!(concerns(&cut(), what), "{what}");
        }
        for what in ["other", "box:other", "other:build"] {
            assert!(!concerns(&cut(), what), "{what}");
        }
        let words = last_cut(&[cut()], Some("box"), "build").unwrap();
        assert_eq!(
            words,
            "probably a NAT or firewall forgot it after 15 s idle"
        );
        assert_eq!(last_cut(&[cut()], None, "build"), None);
    }

    #[test]
    fn json_has_a_schema_evidence_and_verdict() {
        let value = serde_json::to_value(json(&[cut()])).expect("plain data");
        assert_eq!(value["schema"], 1);
        assert_eq!(value["cuts"][0]["evidence"]["idle"], 15.0);
        assert_eq!(value["cuts"][0]["verdict"]["cause"], "idle-timeout");
    }
}
