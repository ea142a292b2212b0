//! What the fuzzers kept breaks nothing.

use std::path::Path;

use psess_properties::PROPERTIES;

#[test]
fn the_corpora_break_nothing() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, property) in PROPERTIES {
        let corpus = corpora.join(name);
        let entries = std::fs::read_dir(&corpus)
            .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} is empty", corpus.display());
        for file in files {
            // Said only when the test fails.
            println!("{}", file.display());
            property(&std::fs::read(file).unwrap());
        }
    }
}
