//! The directories in which a server may be found, and what makes one trustworthy.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How the names of the files begin that make up the roll of sessions, one for each.
pub const ROLL_PREFIX: &str = "session-";

/// A directory that holds, or may come to hold, a server's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    /// A directory at this path, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The server's socket in it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    /// The file that the keeper holds locked (flock(2)) for as long as it lives.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The keeper's log of errors.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("keeper.log")
    }

    /// Whether a session is on the roll in it.
    #[must_use]
    pub fn has_roll(&self) -> bool {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name());
        names.any(|name| name.as_encoded_bytes().starts_with(ROLL_PREFIX.as_bytes()))
    }

    /// Whether it is there and nobody but this user can have put anything into it.
    ///
    /// # Errors
    /// [`DirectoryError`] when it is there but cannot be trusted.
    pub fn exists(&self) -> Result<bool, DirectoryError> {
        match std::fs::symlink_metadata(&self.0) {
            Ok(metadata) => self.check(&metadata).map(|()| true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(self.system("cannot look at", error)),
        }
    }

    /// Makes it, with mode 0700, unless it is there; trusts neither before looking.
    ///
    /// # Errors
    /// [`DirectoryError`] when it cannot be made or cannot be trusted.
    pub fn create(&self) -> Result<(), DirectoryError> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.system("cannot create", error)),
        }
        match self.exists()? {
            true => Ok(()),
            false => Err(self.system("cannot create", io::ErrorKind::NotFound.into())),
        }
    }

    fn check(&self, metadata: &Metadata) -> Result<(), DirectoryError> {
        let path = self.0.clone();
        if !metadata.is_dir() {
            return Err(DirectoryError::NoDirectory(path));
        }
        let ours = rustix::process::geteuid().as_raw();
        if metadata.uid() != ours {
            return Err(DirectoryError::Foreign {
                path,
                owner: metadata.uid(),
                ours,
            });
        }
        match metadata.mode() & 0o077 {
            0 => Ok(()),
            _ => Err(DirectoryError::Open {
                path,
                mode: metadata.mode() & 0o7777,
            }),
        }
    }

    fn system(&self, action: &'static str, error: io::Error) -> DirectoryError {
        DirectoryError::System {
            action,
            path: self.0.clone(),
            error,
        }
    }
}

/// What decides where to look: read from the environment and the system, or made up by a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `$PSESS_DIR`, made absolute.
    pub psess_dir: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, where it is an absolute path of a directory that is this user's own:
    /// after `sudo -E` or `su` it may be another's.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `/run/user/UID`, where it is a directory of this user's.
    pub run_user: Option<PathBuf>,
    /// Effective user id.
    pub uid: u32,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let own = |path: &PathBuf| {
            path.is_absolute()
                && std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == uid)
        };
        let variable = |name| {
            let value = std::env::var_os(name)?;
            (!value.is_empty()).then(|| PathBuf::from(value))
        };
        Self {
            // A keeper that is started has another working directory.
            psess_dir: variable("PSESS_DIR").and_then(|path| std::path::absolute(path).ok()),
            xdg_runtime_dir: variable("XDG_RUNTIME_DIR").filter(own),
            run_user: Some(PathBuf::from(format!("/run/user/{uid}"))).filter(own),
            uid,
        }
    }

    /// Where to look, in order.
    #[must_use]
    pub fn candidates(&self) -> Vec<Directory> {
        if let Some(directory) = &self.psess_dir {
            return vec![Directory::new(directory)];
        }
        let mut candidates: Vec<Directory> = [&self.xdg_runtime_dir, &self.run_user]
            .into_iter()
            .flatten()
            .map(|parent| Directory::new(parent.join("psess")))
            .collect();
        candidates.push(Directory::new(format!("/tmp/psess-{}", self.uid)));
        candidates.dedup();
        candidates
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file or a symbolic link stands in its place.
    #[error("{} is not a directory: remove it, or set PSESS_DIR to another path", .0.display())]
    NoDirectory(PathBuf),
    /// It belongs to somebody else, who could read and type into every session.
    #[error(
        "{} belongs to user {owner}, not to you (user {ours}): have it removed, or set PSESS_DIR \
         to a directory of your own",
        .path.display()
    )]
    Foreign {
        /// Its path.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// Our user id.
        ours: u32,
    },
    /// Others may enter it.
    #[error(
        "{0} is open to other users (mode {mode:o}): if it is psess's own, run 'chmod 700 {0}'; \
         else name one in PSESS_DIR that is",
        .path.display()
    )]
    Open {
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A system call failed on it.
    #[error("{action} {}: {error}", .path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn scratch() -> PathBuf {
        let path = std::env::temp_dir().join(format!(
            "psess-test-{:?}",
            crate::identity::SessionId::random()
        ));
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        path
    }

    #[test]
    fn psess_dir_is_the_only_candidate() {
        let surroundings = Surroundings {
            psess_dir: Some("/x".into()),
            xdg_runtime_dir: Some("/run/user/7".into()),
            ..Surroundings::default()
        };
        assert_eq!(surroundings.candidates(), [Directory::new("/x")]);
    }

    #[test]
    fn each_directory_is_looked_at_once() {
        let surroundings = Surroundings {
            xdg_runtime_dir: Some("/run/user/7".into()),
            run_user: Some("/run/user/7".into()),
            uid: 7,
            ..Surroundings::default()
        };
        assert_eq!(
            surroundings.candidates(),
            ["/run/user/7/psess", "/tmp/psess-7"].map(Directory::new)
        );
    }

    #[test]
    fn a_directory_open_to_others_is_refused_with_the_remedy() {
        let directory = Directory::new(scratch());
        assert!(directory.exists().unwrap());
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o750)).unwrap();
        let error = directory.create().unwrap_err().to_string();
        assert!(error.contains("mode 750"), "{error}");
        let remedy = format!("'chmod 700 {}'", directory.path().display());
        assert!(error.contains(&remedy), "{error}");
        std::fs::remove_dir(directory.path()).unwrap();
    }

    #[test]
    fn a_symbolic_link_is_refused() {
        let target = scratch();
        let link = target.join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let error = Directory::new(&link).create().unwrap_err();
        assert!(matches!(error, DirectoryError::NoDirectory(_)), "{error}");
        std::fs::remove_dir_all(target).unwrap();
    }

    #[test]
    fn another_users_directory_is_refused() {
        if !rustix::process::geteuid().is_root() {
            let error = Directory::new("/root").exists();
            assert!(matches!(error, Err(DirectoryError::Foreign { .. })));
            return;
        }
        let path = scratch();
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        let error = Directory::new(&path).exists().unwrap_err().to_string();
        assert!(error.contains("belongs to user 12345"), "{error}");
        std::fs::remove_dir(path).unwrap();
    }
}
