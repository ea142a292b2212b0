//! One row of `psess doctor`'s table: a setting, where it was read, what it does and what to change.

use std::time::Duration;

use serde::Serialize;

use super::arithmetic::{Keeper, Limit};
use super::seconds;

/// At which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// This machine.
    Here,
    /// Between.
    Way,
    /// The far machine.
    There,
}

/// What a setting does, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Ends an idle connection, or an idle shell.
    CutsIdle,
    /// Ends what stays behind at logout.
    CutsAtLogout,
    /// May be in the way of a new connection.
    Hinders,
    /// Could not be read.
    Unknown,
    /// Finds by itself that the path is dead, and ends the connection.
    CutsDead,
    /// Ends a connection on which something was sent that nobody acknowledges.
    CutsUnanswered,
    /// Would end an idle connection, but something comes sooner each time.
    Held,
    /// Ends connections of others, which go through this machine.
    CutsOthers,
    /// Ends a login that takes too long.
    CutsLogin,
    /// Keeps idle connections alive.
    Keeps,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose setting.
    pub layer: &'static str,
    /// At which end.
    pub end: End,
    /// The setting with its value.
    pub setting: String,
    /// Where it was read.
    pub source: String,
    /// What it does.
    pub effect: Effect,
    /// After how long.
    #[serde(with = "seconds::option", rename = "after_seconds")]
    pub after: Option<Duration>,
    /// What follows, for people.
    pub says: String,
    /// What to change for those who want no heartbeats of psess.
    pub fix: Option<Fix>,
    /// What it does by itself.
    #[serde(skip)]
    pub role: Role,
}

/// What a setting does to an idle connection by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    Bystander,
    /// It ends it.
    Limit(Limit),
    /// It keeps it alive.
    Keeper(Keeper),
    /// It keeps it alive where psess is used.
    Heartbeat(Keeper),
}

/// The exact line to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// At which end.
    pub end: End,
    /// In which file; `None`: it is a command to be run once.
    pub file: Option<String>,
    /// The line.
    pub line: String,
}

impl Finding {
    /// A row of which only the setting is known.
    pub(super) fn new(layer: &'static str, end: End, setting: impl Into<String>) -> Self {
        Self {
            layer,
            end,
            setting: setting.into(),
            source: String::new(),
            effect: Effect::Unknown,
            after: None,
            says: String::new(),
            fix: None,
            role: Role::Bystander,
        }
    }

    pub(super) fn read_in(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// What it does, and what follows in words.
    pub(super) fn effect(mut self, effect: Effect, says: impl Into<String>) -> Self {
        self.effect = effect;
        self.says = says.into();
        self
    }

    pub(super) fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// It ends an idle connection.
    pub(super) fn limit(self, limit: Limit, says: impl Into<String>) -> Self {
        let role = Role::Limit(limit);
        let row = self.after(limit.after).effect(Effect::CutsIdle, says);
        Self { role, ..row }
    }

    pub(super) fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(super) fn fix(
        mut self,
        end: End,
        file: impl Into<String>,
        line: impl Into<String>,
    ) -> Self {
        self.fix = Some(Fix {
            end,
            file: Some(file.into()),
            line: line.into(),
        });
        self
    }

    /// What helps is a command.
    pub(super) fn fix_by_running(mut self, end: End, line: impl Into<String>) -> Self {
        self.fix = Some(Fix {
            end,
            file: None,
            line: line.into(),
        });
        self
    }
}
