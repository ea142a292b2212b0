//! From evidence to the likeliest cause. Pure.
//!
//! The strongest evidence is asked first: what somebody said in so many words, then who is another
//! one afterwards, then timing. ssh's wording alone cannot tell a reset from a silent drop; timing
//! can. Where the evidence fits several causes, the verdict says so by its confidence, and what
//! else it may be.

use std::fmt;
use std::time::Duration;

use psess_protocol::message::EndingManner;
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::evidence::{Evidence, Noticed, SshEnd, SshdRemark};
use super::seconds::span;

/// A gap shorter than this is no reason for anybody to forget a connection.
const SHORTEST_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// A middlebox's RST comes within a round trip of the packet that it answers, or of the first
/// time that TCP repeats it.
const RESET_WITHIN: Duration = Duration::from_secs(3);

/// The kernel takes at least so long to give up unanswered data, with any sane tcp_retries2.
const KERNEL_GIVES_UP: Duration = Duration::from_secs(10);

/// A sleep or a stop shorter than this explains nothing.
const SLEPT: Duration = Duration::from_secs(3);

/// Two ends that notice the same event do so within this time.
const ENDS_TOGETHER: Duration = Duration::from_millis(1_500);

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// It fits, and other causes fit as well.
    Possible,
    /// It fits better than anything else.
    Likely,
    /// Somebody said so, or nothing else fits.
    Certain,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Possible => "possibly",
            Self::Likely => "probably",
            Self::Certain => "certainly",
        })
    }
}

/// The likeliest cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Who or what.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// What it follows from, each a sentence without a full stop.
    pub because: Vec<String>,
}

/// Names the likeliest cause.
#[must_use]
pub fn classify(evidence: &Evidence) -> Verdict {
    let mut verdict = told(evidence)
        .or_else(|| another_one(evidence))
        .or_else(|| given_up_there(evidence))
        .unwrap_or_else(|| match evidence.noticed {
            Noticed::Silence => with_sshds_word(silent(evidence), evidence),
            Noticed::Closed => closed(evidence),
            Noticed::Finished => verdict(
                Cause::Unknown,
                Confidence::Possible,
                "the program ended by itself; the connection was well",
            ),
        });
    if evidence.redial.needed_user && verdict.confidence < Confidence::Certain {
        verdict = Verdict {
            cause: Cause::RedialRefused,
            confidence: Confidence::Certain,
            because: verdict.because,
        };
    }
    if evidence.redial.needed_user {
        let words = format!("the redial was refused: {}", evidence.redial.words);
        verdict.because.push(words);
    }
    verdict
}

/// Somebody said it in so many words.
fn told(evidence: &Evidence) -> Option<Verdict> {
    use Confidence::Certain;
    if evidence.leaving {
        return Some(verdict(Cause::User, Certain, "the user asked to leave"));
    }
    if evidence.auto_logout {
        let why = "the shell's last words were its auto-logout; the connection was well";
        return Some(verdict(Cause::ShellTimeout, Certain, why));
    }
    if let Some(verdict) = told_by_sshd(evidence) {
        return Some(verdict);
    }
    let ssh = evidence.ssh.as_ref()?;
    let says = |words: &str| ssh.words.contains(words);
    if says("Timeout, server") {
        return Some(verdict(
            Cause::ServerAlive,
            Certain,
            "ssh said: Timeout, server not responding",
        ));
    }
    if let Some(signal) = ssh.signal {
        let why = format!("signal {signal} ended the ssh process on this machine");
        return Some(verdict(Cause::User, Certain, why));
    }
    if says("mux_client") || says("Shared connection to") || says("ontrol socket") {
        let why = format!("ssh spoke of its master: {}", last_line(ssh));
        return Some(verdict(Cause::ControlMaster, Confidence::Likely, why));
    }
    None
}

/// sshd wrote into its log why it closed the connection, and this side met that end.
///
/// Where this side met silence, sshd gave up because of what made it silent: see [`silent`].
fn told_by_sshd(evidence: &Evidence) -> Option<Verdict> {
    let was_open = evidence
        .far_end
        .is_some_and(|end| end.manner != EndingManner::Closed);
    // Who was there until the session was attached again was not closed before.
    if evidence.noticed != Noticed::Closed || was_open {
        return None;
    }
    let remark = [
        SshdRemark::ClientNotResponding,
        SshdRemark::Inactive,
        SshdRemark::TimedOut,
    ]
    .into_iter()
    .find(|remark| evidence.far.sshd_log.contains(remark))?;
    let (cause, confidence) = match remark {
        SshdRemark::ClientNotResponding => (Cause::ClientAlive, Confidence::Certain),
        SshdRemark::Inactive => (Cause::UnusedConnectionTimeout, Confidence::Certain),
        SshdRemark::TimedOut => (Cause::KernelGaveUp, Confidence::Likely),
        SshdRemark::Reset | SshdRemark::Stopped => return None,
    };
    let verdict = verdict(cause, confidence, format!("sshd's log says: {remark}"));
    let away = evidence.slept.max(evidence.stalled);
    Some(match away >= SLEPT {
        true => verdict.and(format!("this machine had slept for {}", span(away))),
        false => verdict,
    })
}

/// The server or its machine is another one than before.
fn another_one(evidence: &Evidence) -> Option<Verdict> {
    let before = evidence.server_before.as_ref()?;
    let after = evidence.server_after.as_ref()?;
    if before.boot_id != after.boot_id {
        let why = "the far machine has another boot id than before";
        return Some(verdict(Cause::Rebooted, Confidence::Certain, why));
    }
    // A server that restarts closes its connections. One that hangs open died of something else.
    if before != after && evidence.noticed == Noticed::Closed {
        let why = format!(
            "the server has process id {} now, before it had {}",
            after.pid, before.pid
        );
        return Some(verdict(Cause::ServerRestarted, Confidence::Certain, why));
    }
    None
}

/// The far end closed the connection while this side sent nothing, and did not know of it: what
/// it said at the end never came here. No middlebox ends one side in order.
fn given_up_there(evidence: &Evidence) -> Option<Verdict> {
    let end = evidence
        .far_end
        .filter(|end| end.manner == EndingManner::Closed)?;
    // What still lies on the way of this side's bytes forgot the connection, and did so first.
    let is_well = evidence.noticed == Noticed::Closed
        && !evidence.network_changed
        && evidence.redial.failed == 0;
    if !is_well || end.after + ENDS_TOGETHER >= evidence.idle {
        return None;
    }
    let seen = format!(
        "the far end was closed {} after the last byte, {} before this side sent anything",
        span(end.after),
        span(evidence.idle - end.after)
    );
    let far = &evidence.far;
    let limits = [
        (Cause::ClientAlive, "ClientAlive", far.client_alive),
        (Cause::KernelGaveUp, "TCP keepalive there", far.keepalive),
    ];
    let fitting = limits.into_iter().find_map(|(cause, name, limit)| {
        // ClientAlive takes up to twice as long.
        let limit = limit.filter(|limit| {
            (limit.mul_f64(0.9)..=limit.mul_f64(2.2) + ENDS_TOGETHER).contains(&end.silence)
        })?;
        Some((cause, format!("{name} gives up after {}", span(limit))))
    });
    Some(match fitting {
        Some((cause, why)) => verdict(cause, Confidence::Likely, seen).and(why),
        None => verdict(Cause::SshdEnded, Confidence::Possible, seen),
    })
}

/// ssh ended, or the socket closed.
fn closed(evidence: &Evidence) -> Verdict {
    use Confidence::{Likely, Possible};
    let Some(ssh) = &evidence.ssh else {
        let why = "the socket closed";
        return verdict(Cause::ServerRestarted, Possible, why);
    };
    let says = |words: &str| ssh.words.contains(words);
    if says("imed out") {
        let why = format!("ssh said: {}", last_line(ssh));
        return verdict(Cause::KernelGaveUp, Likely, why);
    }
    if says("closed by remote host") {
        return closed_by_sshd(evidence);
    }
    if says("eset by peer") || says("roken pipe") {
        return broken(evidence, ssh);
    }
    if ssh.status == Some(255) && ssh.words.is_empty() {
        return closed_without_a_word(evidence);
    }
    let words = match (ssh.status, last_line(ssh)) {
        (Some(status), "") => format!("the far command ended with status {status}, without a word"),
        (_, line) => format!("ssh said: {line}"),
    };
    verdict(Cause::Unknown, Possible, words)
}

/// "Connection to … closed by remote host": a FIN came, so the path was well.
fn closed_by_sshd(evidence: &Evidence) -> Verdict {
    let far = &evidence.far;
    let said = "ssh said: closed by remote host, so the way was well";
    let away = evidence
        .slept
        .max(evidence.stalled)
        .max(evidence.unanswered);
    if let Some(limit) = far.client_alive
        && away >= limit.mul_f64(0.9)
    {
        return verdict(Cause::ClientAlive, Confidence::Likely, said).and(format!(
            "this side was silent for {}, and ClientAlive gives up after {}",
            span(away),
            span(limit)
        ));
    }
    if far.sshd_restarted || far.sshd_log.contains(&SshdRemark::Stopped) {
        return verdict(Cause::SshdEnded, Confidence::Certain, said)
            .and("sshd was stopped or started at that time".to_owned());
    }
    if evidence.stalled.max(evidence.slept) >= SLEPT {
        return verdict(Cause::Slept, Confidence::Possible, said).and(format!(
            "this machine had slept for {}",
            span(evidence.stalled.max(evidence.slept))
        ));
    }
    verdict(Cause::SshdEnded, Confidence::Likely, said)
        .and("neither the far machine nor the psess server is another one".to_owned())
}

/// "Connection reset by peer" or "Broken pipe": one and the same to TCP, so timing decides.
fn broken(evidence: &Evidence, ssh: &SshEnd) -> Verdict {
    use Confidence::{Likely, Possible};
    let said = format!("ssh said: {}", last_line(ssh));
    let away = evidence.stalled.max(evidence.slept);
    let at_once = evidence
        .since_sent
        .is_some_and(|since| since <= RESET_WITHIN);
    if away >= SLEPT && evidence.network_changed {
        return verdict(Cause::NetworkChanged, Likely, said);
    }
    if evidence.unanswered >= KERNEL_GIVES_UP && !at_once {
        return verdict(Cause::KernelGaveUp, Likely, said).and(format!(
            "bytes had been unanswered for {}",
            span(evidence.unanswered)
        ));
    }
    if evidence.network_changed {
        return verdict(Cause::NetworkChanged, Likely, said)
            .and("this machine's address or gateway is another one".to_owned());
    }
    if let Some(limit) = evidence.keepalive
        && !at_once
        && is_about(evidence.idle, limit)
    {
        return verdict(Cause::KernelGaveUp, Likely, said).and(format!(
            "nothing had come for {}, and TCP keepalive gives up after {}",
            span(evidence.idle),
            span(limit)
        ));
    }
    let both_ends = evidence
        .far_end
        .is_some_and(|end| end.manner == EndingManner::Closed);
    // Who forgot a connection answers the end that sent; this one was told to both.
    if at_once && was_idle(evidence) && !both_ends {
        let confidence = if knows_shorter_timeout(evidence) || away < SLEPT {
            Likely
        } else {
            Possible
        };
        let verdict = verdict(Cause::IdleReset, confidence, said);
        return with_far_end(with_idle(verdict, evidence), evidence).and(format!(
            "the reset came {} after the next packet",
            span(evidence.since_sent.unwrap_or_default())
        ));
    }
    let verdict = if evidence.far.sshd_log.contains(&SshdRemark::Reset) {
        verdict(Cause::Reset, Likely, said).and("sshd's log speaks of a reset as well".to_owned())
    } else if both_ends && evidence.far.knows_sshd_log {
        verdict(Cause::SshdEnded, Likely, said)
            .and("the far end was closed as well".to_owned())
            .and("sshd's log, where a reset would stand, says nothing".to_owned())
    } else if both_ends {
        verdict(Cause::Reset, Possible, said).and("the far end was closed as well".to_owned())
    } else if evidence.far.knows_sshd_log && at_once {
        // The kernel of a machine answers so for a process that is gone.
        verdict(Cause::SshdEnded, Possible, said)
            .and("sshd's log, where a reset would stand, says nothing".to_owned())
    } else {
        verdict(Cause::Reset, Possible, said)
    };
    verdict.and(format!(
        "the connection had been idle for {}",
        span(evidence.idle)
    ))
}

/// Status 255 and empty stderr: sshd said goodbye in order.
fn closed_without_a_word(evidence: &Evidence) -> Verdict {
    let said = "ssh ended with 255 without a word, as when sshd closes the channel";
    match evidence.far.channel_timeout {
        Some(limit) if is_about(evidence.idle, limit) => {
            verdict(Cause::ChannelTimeout, Confidence::Certain, said).and(format!(
                "nothing had come for {}, and ChannelTimeout is {}",
                span(evidence.idle),
                span(limit)
            ))
        }
        _ if evidence.shares_master => verdict(Cause::ControlMaster, Confidence::Likely, said)
            .and("ssh went through a ControlMaster, and ends so when that one does".to_owned()),
        Some(_) => verdict(Cause::ChannelTimeout, Confidence::Possible, said),
        None if evidence.far.knows_sshd => verdict(Cause::User, Confidence::Possible, said).and(
            "sshd has no ChannelTimeout; ssh ends so when it gets a SIGTERM, or when the far \
                 command is killed"
                .to_owned(),
        ),
        None => verdict(Cause::Unknown, Confidence::Possible, said)
            .and("perhaps sshd's ChannelTimeout: 'psess doctor HOST' reads it".to_owned()),
    }
}

/// Nothing came any more, and ssh knew nothing of it.
fn silent(evidence: &Evidence) -> Verdict {
    use Confidence::{Certain, Likely, Possible};
    let away = evidence.slept.max(evidence.stalled);
    if evidence.network_changed {
        let why = "this machine's address or gateway is another one than before";
        return verdict(Cause::NetworkChanged, Certain, why);
    }
    let words = &evidence.redial.words;
    let local = [
        "etwork is unreachable",
        "o route to host",
        "not resolve hostname",
    ];
    if evidence.redial.failed > 0 && local.iter().any(|local| words.contains(local)) {
        let why = format!("the first redial met: {words}");
        return verdict(Cause::Offline, Likely, why);
    }
    if evidence.redial.failed > 0 {
        let why = match evidence.redial.succeeded {
            true => "redials failed for a while, and then one worked",
            false => "no redial has worked",
        };
        let sure = if evidence.redial.succeeded {
            Likely
        } else {
            Possible
        };
        return verdict(Cause::Outage, sure, why).and(format!("the first one met: {words}"));
    }
    if !evidence.redial.succeeded {
        let why = "nothing came any more, and no redial has succeeded yet";
        return verdict(Cause::Outage, Possible, why);
    }
    if away >= SLEPT {
        return verdict(
            Cause::Slept,
            Likely,
            format!("this machine slept for {}", span(away)),
        )
        .and("the connection did not survive it; a redial worked at once".to_owned());
    }
    let fresh = "nothing came any more, but a fresh dial worked at once";
    if !was_idle(evidence) {
        let before = if survived(evidence) >= evidence.idle.mul_f64(0.9) {
            ", which it had survived before"
        } else {
            ""
        };
        return verdict(Cause::Outage, Possible, fresh).and(format!(
            "it had been idle for only {}{before}",
            span(evidence.idle)
        ));
    }
    let confidence = if knows_shorter_timeout(evidence) {
        Certain
    } else {
        Likely
    };
    let verdict = with_idle(verdict(Cause::IdleTimeout, confidence, fresh), evidence);
    let verdict = with_far_end(verdict, evidence);
    if evidence.tcp.as_ref().is_some_and(|tcp| tcp.retransmitting) {
        let why = "the kernel was sending the same bytes again and again";
        return verdict.and(why.to_owned());
    }
    verdict
}

/// Whether the gap before was long enough to be forgotten in, and longer than any that this
/// connection had survived.
fn was_idle(evidence: &Evidence) -> bool {
    evidence.idle >= SHORTEST_IDLE_TIMEOUT
        && (evidence.idle > survived(evidence).mul_f64(1.1) || knows_shorter_timeout(evidence))
}

/// The longest gap that this connection, or an earlier one on this way, is known to have survived.
fn survived(evidence: &Evidence) -> Duration {
    let earlier = evidence.known_survived.unwrap_or_default();
    evidence.survived_idle.max(earlier)
}

fn knows_shorter_timeout(evidence: &Evidence) -> bool {
    evidence
        .known_timeout
        .is_some_and(|known| evidence.idle >= known.mul_f64(0.9))
}

fn with_idle(verdict: Verdict, evidence: &Evidence) -> Verdict {
    let verdict = verdict.and(format!("it had been idle for {}", span(evidence.idle)));
    match evidence.known_timeout {
        Some(known) if knows_shorter_timeout(evidence) => {
            verdict.and(format!("this way is known to forget after {}", span(known)))
        }
        _ if survived(evidence) >= Duration::from_secs(1) => verdict.and(format!(
            "the longest gap that was survived before was {}",
            span(survived(evidence))
        )),
        _ => verdict,
    }
}

/// That sshd gave up as well: it met the same silence.
fn with_sshds_word(verdict: Verdict, evidence: &Evidence) -> Verdict {
    let has_given_up = |remark: &&SshdRemark| match remark {
        SshdRemark::ClientNotResponding | SshdRemark::TimedOut => true,
        SshdRemark::Inactive | SshdRemark::Reset | SshdRemark::Stopped => false,
    };
    match evidence.far.sshd_log.iter().find(has_given_up) {
        Some(remark) => verdict.and(format!(
            "sshd met the silence as well; its log says: {remark}"
        )),
        None => verdict,
    }
}

/// What a middlebox does in between, the far end does not see.
fn with_far_end(verdict: Verdict, evidence: &Evidence) -> Verdict {
    let Some(end) = evidence.far_end else {
        return verdict;
    };
    match end.manner {
        EndingManner::Closed => verdict,
        EndingManner::Silent | EndingManner::Replaced => {
            verdict.and("the far end saw nothing of it: there the connection was open".to_owned())
        }
    }
}

fn is_about(measured: Duration, limit: Duration) -> bool {
    let slack = limit.mul_f64(0.1).max(Duration::from_millis(1_500));
    measured.abs_diff(limit) <= slack
}

fn last_line(ssh: &SshEnd) -> &str {
    ssh.words.lines().next_back().unwrap_or_default()
}

fn verdict(cause: Cause, confidence: Confidence, why: impl Into<String>) -> Verdict {
    Verdict {
        cause,
        confidence,
        because: vec![why.into()],
    }
}

impl Verdict {
    fn and(mut self, why: String) -> Self {
        self.because.push(why);
        self
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
