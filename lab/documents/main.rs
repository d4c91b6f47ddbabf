//! Tests the documents: their links, and the tests and metrics that they name.

use std::fs;
use std::path::{Path, PathBuf};

/// This project, or the copy of it in the directory `PROJECT`.
fn root() -> PathBuf {
    let copy = std::env::var_os("PROJECT").map(PathBuf::from);
    copy.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project").to_owned())
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).expect(document)
}

/// The documents in the root of the project, in `.github/` and `docs/`, and in `lab/` if it exists.
fn documents() -> Vec<PathBuf> {
    let folders = ["", ".github", "docs", "lab", "lab/bench"].map(|folder| fs::read_dir(root().join(folder)));
    let files = folders.into_iter().flatten().flatten().map(|file| file.expect("a file").path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Returns a document without its code blocks.
fn without_code(document: &str) -> String {
    let mut is_code = false;
    let is_text = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    document.lines().filter(is_text).collect::<Vec<_>>().join("\n")
}

/// Returns the targets of links and pictures in Markdown and HTML.
fn targets(document: &str) -> Vec<String> {
    let text = without_code(document);
    let marks = [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')];
    let found = marks.iter().flat_map(|&(begin, end)| {
        text.split(begin).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0.to_owned()))
    });
    found.collect()
}

/// Returns the anchors of a document's headings, as GitHub generates them.
fn anchors(document: &str) -> Vec<String> {
    let text = without_code(document);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

/// Returns what is wrong with a link in `document`, if anything. Doesn't check links to other sites.
fn problem(document: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = document.parent().expect("a folder");
    let path = if file.is_empty() { document.to_owned() } else { folder.join(file) };
    // The copy in `PROJECT` may not have a lab.
    if path.starts_with(root().join("lab")) && !root().join("lab").exists() {
        return None;
    }
    if !path.exists() {
        return Some(format!("{}: no file {file}", document.display()));
    }
    let is_document = path.extension().is_some_and(|extension| extension == "md");
    let is_missing = !anchor.is_empty()
        && is_document
        && !anchors(&fs::read_to_string(&path).expect("text")).contains(&anchor.to_owned());
    is_missing.then(|| format!("{}: no heading #{anchor} in {file}", document.display()))
}

#[test]
fn every_link_and_picture_in_the_documents_leads_to_an_existing_file_and_heading() {
    let mut checked = 0;
    let mut problems = Vec::new();
    for document in documents() {
        let targets = targets(&fs::read_to_string(&document).expect("text"));
        checked += targets.len();
        problems.extend(targets.iter().filter_map(|target| problem(&document, target)));
    }

    assert!(problems.is_empty(), "{problems:#?}");
    assert!(checked > 20, "only {checked} links were found");
}

#[test]
fn broken_links_are_detected() {
    let readme = root().join("README.md");

    assert_eq!(targets("[a](b.md#c), `d`\n```\n[no](link)\n```\n<img src=\"e.webp\">"), ["b.md#c", "e.webp"]);
    assert_eq!(anchors("# One, `two`: three!\n```sh\n# a comment\n```"), ["one-two-three"]);
    for target in ["no-such-file.md", "src/no-such-file.rs", "#no-such-heading", "README.md#no-such-heading"]
    {
        assert!(problem(&readme, target).is_some(), "{target}");
    }
    assert_eq!(problem(&readme, "src/main.rs"), None);
}

/// Returns the names in a document that look like tests: lowercase words and numbers in code, joined by at
/// least three underscores.
fn named_tests(document: &str) -> Vec<&str> {
    let is_test = |name: &&str| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        name.matches('_').count() >= 3 && name.bytes().all(is_word)
    };
    document.split('`').skip(1).step_by(2).filter(is_test).collect()
}

/// Returns the text of all files with this extension in these folders and their subfolders.
fn read_all(folders: &[&str], extension: &str) -> String {
    let mut text = String::new();
    let mut paths: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
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
fn every_test_and_metric_named_in_the_documents_exists() {
    let documents = read(".github/SECURITY.md") + &read_all(&["docs"], "md");
    // Reads the lab from here, because the copy in `PROJECT` may not have one.
    let sources = read_all(&["src", "tests", "crates", env!("CARGO_MANIFEST_DIR")], "rs");

    let mut missing = named_tests(&documents);
    let is_test_or_metric =
        |name: &str| sources.contains(&format!("fn {name}(")) || sources.contains(&format!("\"{name}\""));
    missing.retain(|name| !is_test_or_metric(name));

    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn test_names_in_a_document_are_found() {
    let document = "`update` never brings a session back: `an_ended_session_is_invalid`, `no_test`.\n\
        ```sh\ncargo test\n```\n`it_returns_a_404_page` and `max_connections`";

    assert_eq!(named_tests(document), ["an_ended_session_is_invalid", "it_returns_a_404_page"]);
}

#[test]
fn every_source_file_named_on_a_page_exists() {
    for rest in read_all(&["templates"], "html").split("Source: <code>").skip(1) {
        let path = rest.split('<').next().unwrap_or("");
        assert!(root().join(path).is_file(), "there is no {path}");
    }
}

/// Returns the names and defaults in a document's table of settings.
fn settings(document: &str) -> Vec<(String, String)> {
    let is_variable = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let document = read(document);
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(name, _)| is_variable(name));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(" | ").next().unwrap_or("").to_owned())).collect()
}

/// `tests/config/dotenv.rs` compares `docs/configuration.md` with the code.
#[test]
fn settings_in_the_readme_have_the_defaults_from_the_configuration_document() {
    let (listed, all) = (settings("README.md"), settings("docs/configuration.md"));

    assert!(!listed.is_empty());
    for setting in listed {
        assert!(all.contains(&setting), "{setting:?}");
    }
}
