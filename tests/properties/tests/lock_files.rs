//! The workspaces of their own (the fuzzers, the second oracle, a benchmark) have lock files of
//! their own, which know what psess' crates depend on today: `--locked` refuses them otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const CRATES: [(&str, &str); 5] = [
    ("psess-client", "client"),
    ("psess-descriptor", "descriptor"),
    ("psess-properties", "tests/properties"),
    ("psess-protocol", "protocol"),
    ("psess-server", "server"),
];

#[test]
fn lock_files_beside_the_workspace_are_of_today() {
    for workspace in ["fuzz", "tests/alacritty", "bench/terminal"] {
        let lock = read(&format!("{workspace}/Cargo.lock"));
        for (name, folder) in CRATES {
            let Some(locked) = locked(&lock, name) else {
                continue;
            };
            let named = dependencies(&read(&format!("{folder}/Cargo.toml")));
            assert_eq!(
                locked, named,
                "{name} in {workspace}: run 'cargo metadata --manifest-path {workspace}/Cargo.toml'"
            );
        }
    }
}

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a lock file says that a package depends on, without versions.
fn locked(lock: &str, package: &str) -> Option<BTreeSet<String>> {
    let name = format!("name = \"{package}\"\n");
    let block = lock
        .split("[[package]]\n")
        .find(|block| block.starts_with(&name))?;
    let lines = block.lines().filter_map(|line| line.strip_prefix(" \""));
    Some(lines.map(|line| word(line, &[' ', '"'])).collect())
}

/// What a manifest says in `[dependencies]`, which begins each line with a crate's name.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let (_, behind) = manifest
        .split_once("[dependencies]\n")
        .expect("every crate has dependencies");
    let section = behind.split("\n[").next().unwrap_or_default();
    let lines = section.lines().filter(|line| !line.is_empty());
    lines.map(|line| word(line, &['.', ' ', '='])).collect()
}

fn word(line: &str, ends: &[char]) -> String {
    line.split(ends).next().unwrap_or_default().to_owned()
}
