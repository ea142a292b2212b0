//! The line of a shell that copies this machine's psess to another machine.

use std::path::Path;

/// Copies it to where psess is `configured` to be there, if that is a path, else to `usual`, by a command
/// whose last word a shell there is to run. A path that begins with `~/` is in the home there.
pub(super) fn line(argv: Vec<&str>, configured: Option<&str>, usual: &str) -> String {
    let configured = configured.filter(|name| name.contains('/'));
    let path = configured.unwrap_or(usual);
    let folder = match path.rsplit_once('/') {
        Some(("" | "~", _)) | None => String::new(),
        Some((folder, _)) => format!("mkdir -p {}; ", in_double_quotes(folder)),
    };
    let file = in_double_quotes(path);
    let copy = format!("{folder}cat >{file}; chmod +x {file}");
    let words = argv.into_iter().chain([copy.as_str()]);
    format!("{} <{}", shell_words::join(words), this_program())
}

/// This program's file, which need not be on the PATH; what a shell finds, where the file has gone.
fn this_program() -> String {
    let program = std::env::current_exe().ok();
    let path = program.as_deref().filter(|path| path.is_file());
    match path.and_then(Path::to_str) {
        Some(path) => shell_words::quote(path).into_owned(),
        None => "\"$(command -v psess)\"".to_owned(),
    }
}

/// A path of the far side for sh, with its leading `~/` as the far side's home. Characters that
/// one of the shells on the way would take for its own are refused by the configuration.
pub(super) fn in_double_quotes(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("\"$HOME/{rest}\""),
        None => format!("\"{path}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_made_where_there_may_be_none() {
        for (path, copy) in [
            (
                "~/my opt/psess",
                r#"'mkdir -p "$HOME/my opt"; cat >"$HOME/my opt/psess"; chmod +x "$HOME/my opt/psess"'"#,
            ),
            ("~/psess", r#"'cat >"$HOME/psess"; chmod +x "$HOME/psess"'"#),
            ("/psess", r#"'cat >"/psess"; chmod +x "/psess"'"#),
        ] {
            let start = format!("ssh far {copy} <");
            for (configured, usual) in [
                (Some(path), "/usual/psess"),
                (Some("name"), path),
                (None, path),
            ] {
                let line = line(vec!["ssh", "far"], configured, usual);
                assert!(
                    line.starts_with(&start),
                    "{line} does not start with {start}"
                );
            }
        }
    }
}
