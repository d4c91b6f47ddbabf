//! SECURITY.md and the documents in `docs/` name tests as proof. Each of those tests must exist.

use std::{fs, path::Path};

/// The names in a document that look like tests: code of lowercase words, joined by at least three underscores.
fn named_tests(document: &str) -> Vec<&str> {
    let is_test = |name: &&str| {
        name.matches('_').count() >= 3 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    document.split('`').skip(1).step_by(2).filter(is_test).collect()
}

/// The text of all files in these folders and below whose names end with `extension`.
fn read_all(folders: &[&str], extension: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let mut paths: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder");
            paths.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            text.push_str(&fs::read_to_string(path).expect("text"));
        }
    }
    text
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let documents = read_all(&["SECURITY.md", "docs"], "md");
    let sources = read_all(&["src", "tests", "crates"], "rs");

    let mut missing = named_tests(&documents);
    missing.retain(|name| !sources.contains(&format!("fn {name}(")));

    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn names_of_tests_are_found_in_a_document() {
    let document = "`update` never revives a session: `a_session_that_ended_stays_ended`, `no_test`.\n\
        ```sh\ncargo test\n```\n`another_test_of_the_table` and `max_connections`";

    assert_eq!(named_tests(document), ["a_session_that_ended_stays_ended", "another_test_of_the_table"]);
}
