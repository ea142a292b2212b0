//! Starting sessions: what the keeper is asked for, and what it answers.

use std::os::fd::OwnedFd;

use psess_protocol::identity::SessionId;
use psess_protocol::message::{ByteString, Created, Failure, FailureKind, NewSession};

use super::RegistryTask;
use crate::clock::unix_time;
use crate::environment;
use crate::journal::JOURNAL_BYTES;
use crate::keeper::protocol::{Spawn, SpawnStage, ToKeeper};
use crate::record::Record;
use crate::registry::Reply;
use crate::session::ConnectionId;
use crate::terminfo;

/// A session that the keeper was asked to start.
pub(super) struct Spawning {
    record: Record,
    /// For whom.
    connection: ConnectionId,
    /// What the user ought to know, each a sentence.
    warnings: Vec<String>,
    replies: Vec<Reply<Result<Created, Failure>>>,
}

impl RegistryTask {
    /// Starts a session, unless it was started already by the same request.
    pub(super) fn start(
        &mut self,
        connection: ConnectionId,
        new: NewSession,
        environment: &[ByteString],
        reply: Reply<Result<Created, Failure>>,
    ) -> anyhow::Result<()> {
        if let Some(entry) = self.entries.get(new.id) {
            let _ = reply.send(Ok(created(&entry.record, &[])));
            return Ok(());
        }
        if let Some(spawning) = self.spawning.get_mut(&new.id) {
            spawning.replies.push(reply);
            return Ok(());
        }
        let command = command_line(&new.command);
        let stem = if command.is_empty() {
            login_shell(environment, &new.environment)
        } else {
            command.clone()
        };
        let name = match self.entries.reserve(new.name.as_ref(), &stem) {
            Ok(name) => name,
            Err(failure) => {
                let _ = reply.send(Err(failure));
                return Ok(());
            }
        };
        self.point_to_agent(new.id, environment);
        let link = self.agent_link(new.id).entry();
        let overrides = [new.environment.as_slice(), &[link]].concat();
        let mut environment = environment::compose(environment, &overrides, (new.id, &name));
        let warnings = terminfo::replace_unknown(&mut environment);
        let cwd = environment::working_directory(new.cwd.as_ref(), &environment);
        let size = new.size.clamped();
        let now = unix_time();
        let record = Record {
            id: new.id,
            name: name.clone(),
            command,
            created: now,
            attached: 0,
            size,
            pid: 0,
            outcome: None,
        };
        let spawn = ToKeeper::Spawn(Spawn {
            session: new.id,
            argv: new.command.into_iter().map(|argument| argument.0).collect(),
            argv0: None,
            environment,
            cwd,
            umask: None,
            size,
            journal_bytes: JOURNAL_BYTES,
            blob: record.encode()?,
        });
        if let Err(error) = self.keeper.send(&spawn) {
            self.entries.release(&name);
            let _ = reply.send(Err(Failure {
                kind: FailureKind::Limit,
                message: format!("cannot start '{name}': {error:#}"),
            }));
            return Ok(());
        }
        self.spawning.insert(
            new.id,
            Spawning {
                record,
                connection,
                warnings: warnings.into_iter().collect(),
                replies: vec![reply],
            },
        );
        Ok(())
    }

    pub(super) fn handle_spawned(
        &mut self,
        session: SessionId,
        pid: u32,
        fds: Vec<OwnedFd>,
    ) -> anyhow::Result<()> {
        let Some(Spawning {
            mut record,
            connection,
            warnings,
            replies,
        }) = self.spawning.remove(&session)
        else {
            return Ok(());
        };
        record.pid = pid;
        let result = self.run_session(record.clone(), &fds, Some(connection));
        self.entries.release(&record.name);
        match result {
            Ok(()) => {
                for reply in replies {
                    let _ = reply.send(Ok(created(&record, &warnings)));
                }
                self.save(record)
            }
            Err(error) => {
                let failure = Failure {
                    kind: FailureKind::Limit,
                    message: format!("cannot start '{}': {error:#}", record.name),
                };
                for reply in replies {
                    let _ = reply.send(Err(failure.clone()));
                }
                self.agent_link(session).remove();
                self.keeper.send(&ToKeeper::Forget { session })
            }
        }
    }

    pub(super) fn handle_spawn_failed(
        &mut self,
        session: SessionId,
        stage: SpawnStage,
        errno: i32,
        message: String,
    ) {
        let Some(Spawning {
            record, replies, ..
        }) = self.spawning.remove(&session)
        else {
            return;
        };
        self.agent_link(session).remove();
        self.entries.release(&record.name);
        let kind = match stage {
            SpawnStage::Program if errno == libc::ENOENT => FailureKind::NotFound,
            SpawnStage::Program => FailureKind::NotExecutable,
            SpawnStage::Pty | SpawnStage::Journal => FailureKind::Limit,
            SpawnStage::Request | SpawnStage::Directory => FailureKind::Internal,
        };
        for reply in replies {
            let _ = reply.send(Err(Failure {
                kind,
                message: message.clone(),
            }));
        }
    }
}

fn created(record: &Record, warnings: &[String]) -> Created {
    Created {
        id: record.id,
        name: record.name.clone(),
        warnings: warnings.to_vec(),
    }
}

/// A command for people: without control characters, and not too long.
fn command_line(command: &[ByteString]) -> String {
    let words = command.iter().map(|word| String::from_utf8_lossy(&word.0));
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The name of the login shell, which names a session that runs one.
fn login_shell(base: &[ByteString], overrides: &[ByteString]) -> String {
    let mut entries = overrides.iter().rev().chain(base.iter().rev());
    let shell = entries.find_map(|entry| entry.0.strip_prefix(b"SHELL="));
    String::from_utf8_lossy(shell.unwrap_or(b"shell")).into_owned()
}
