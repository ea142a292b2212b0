//! Where the configuration comes from, the first to be overruled first: the machine's file, the
//! user's, `PSESS_*` variables. Flags come last, where they are used.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use psess_protocol::account::Account;

use super::ConfigError;

/// The file of the machine, for all its users.
const OF_MACHINE: &str = "/etc/psess/config.toml";

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Each file's path and text; a later one overrules those before.
    pub(super) files: Vec<(PathBuf, String)>,
    /// `PSESS_DETACH_KEY`.
    pub(super) detach_key: Option<String>,
    /// `PSESS_SSH`.
    pub(super) ssh: Option<String>,
}

impl Sources {
    /// Reads the machine's file, the user's, and the variables `PSESS_CONFIG` (which names another
    /// in place of the user's), `PSESS_DETACH_KEY` and `PSESS_SSH`. `named` is a file in place of
    /// the user's too; one that was named must be there.
    ///
    /// # Errors
    /// [`ConfigError::Read`].
    pub fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let named = named.map(Path::to_owned).or_else(|| {
            let path = env::var_os("PSESS_CONFIG")?;
            (!path.is_empty()).then(|| PathBuf::from(path))
        });
        let of_user = match &named {
            Some(path) => Some(path.clone()),
            None => of_user(env::var_os("XDG_CONFIG_HOME"), home),
        };
        let mut files = Vec::new();
        for path in [Some(PathBuf::from(OF_MACHINE)), of_user] {
            let Some(path) = path else { continue };
            match fs::read_to_string(&path) {
                Ok(text) => files.push((path, text)),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && named.as_ref() != Some(&path) => {
                }
                Err(error) => return Err(ConfigError::Read { path, error }),
            }
        }
        Ok(Self {
            files,
            detach_key: env::var("PSESS_DETACH_KEY").ok(),
            ssh: env::var("PSESS_SSH").ok(),
        })
    }
}

/// The user's home: `HOME`, or what the password database says.
pub(super) fn home() -> Option<PathBuf> {
    let said = env::var_os("HOME").filter(|home| !home.is_empty());
    said.map(PathBuf::from)
        .or_else(|| Account::of_this_process().map(|account| account.home))
}

fn of_user(
    config_home: Option<OsString>,
    home: impl FnOnce() -> Option<PathBuf>,
) -> Option<PathBuf> {
    // The XDG specification: a relative path is as good as none.
    let directory = config_home
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(home()?.join(".config")))?;
    Some(directory.join("psess/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_where_the_xdg_specification_puts_it() {
        let home = || Some(PathBuf::from("/home/ann"));
        let expected = Some(PathBuf::from("/home/ann/.config/psess/config.toml"));
        assert_eq!(of_user(None, home), expected);
        assert_eq!(of_user(Some("relative".into()), home), expected);
        let elsewhere = Some(PathBuf::from("/etc/x/psess/config.toml"));
        assert_eq!(of_user(Some("/etc/x".into()), || None), elsewhere);
        assert_eq!(of_user(None, || None), None);
    }
}
