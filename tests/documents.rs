//! Whether this project's documents are true: their links, the tests that they name, and their tables of settings.
//!
//! A copy of this project that has its own documents can do without this file.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).expect(document)
}

/// The documents in the root of the project, in `.github/` and `docs/`, and in `lab/` if it is there.
fn documents() -> Vec<PathBuf> {
    let folders = ["", ".github", "docs", "lab", "lab/bench"].map(|folder| fs::read_dir(root().join(folder)));
    let files = folders.into_iter().flatten().flatten().map(|file| file.expect("a file").path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
}

/// A document without its code blocks.
fn without_code(document: &str) -> String {
    let mut is_code = false;
    let is_text = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    document.lines().filter(is_text).collect::<Vec<_>>().join("\n")
}

/// The targets of links and pictures, Markdown's and HTML's.
fn targets(document: &str) -> Vec<String> {
    let text = without_code(document);
    let marks = [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')];
    let found = marks.iter().flat_map(|&(begin, end)| {
        text.split(begin).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0.to_owned()))
    });
    found.collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &str) -> Vec<String> {
    let text = without_code(document);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

/// Returns why a link in `document` is broken, if it is. Links to other sites are not checked.
fn problem(document: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = document.parent().expect("a folder");
    let path = if file.is_empty() { document.to_owned() } else { folder.join(file) };
    // A copy may have deleted it.
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
fn every_link_and_picture_of_the_documents_leads_to_a_file_and_heading_of_the_project() {
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
fn a_link_that_leads_nowhere_is_found() {
    let readme = root().join("README.md");

    assert_eq!(targets("[a](b.md#c), `d`\n```\n[no](link)\n```\n<img src=\"e.webp\">"), ["b.md#c", "e.webp"]);
    assert_eq!(anchors("# One, `two`: three!\n```sh\n# a comment\n```"), ["one-two-three"]);
    for target in ["no-such-file.md", "src/no-such-file.rs", "#no-such-heading", "README.md#no-such-heading"]
    {
        assert!(problem(&readme, target).is_some(), "{target}");
    }
    assert_eq!(problem(&readme, "src/main.rs"), None);
}

/// The names in a document that look like tests: lowercase words in code, joined by at least three
/// underscores.
fn named_tests(document: &str) -> Vec<&str> {
    let is_test = |name: &&str| {
        name.matches('_').count() >= 3 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    document.split('`').skip(1).step_by(2).filter(is_test).collect()
}

/// The text of all files in these folders and their subfolders whose names end with `extension`.
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
fn every_test_and_metric_that_the_documents_name_exists() {
    let documents = read(".github/SECURITY.md") + &read_all(&["docs"], "md");
    let sources = read_all(&["src", "tests", "crates"], "rs");

    let mut missing = named_tests(&documents);
    let is_test_or_metric =
        |name: &str| sources.contains(&format!("fn {name}(")) || sources.contains(&format!("\"{name}\""));
    missing.retain(|name| !is_test_or_metric(name));

    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn names_of_tests_are_found_in_a_document() {
    let document = "`update` never revives a session: `a_session_that_ended_stays_ended`, `no_test`.\n\
        ```sh\ncargo test\n```\n`another_test_of_the_table` and `max_connections`";

    assert_eq!(named_tests(document), ["a_session_that_ended_stays_ended", "another_test_of_the_table"]);
}

/// The variables of `.env.example` and their values. Some are commented out.
fn settings() -> Vec<(String, String)> {
    let example = read(".env.example");
    let lines = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let lines = lines.filter(|(name, _)| is_variable(name));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The names and defaults in a document's table of settings.
fn settings_table(document: &str) -> Vec<(String, String)> {
    let document = read(document);
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(name, _)| is_variable(name));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(" | ").next().unwrap_or_default().to_owned()))
        .collect()
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Whether a document shows this default as code. If there is no fixed value, it says so in words.
fn shows_default(name: &str, value: &str, shown: &str) -> bool {
    match (name, value) {
        ("DATABASE_URL", _) => shown == "required",
        (_, "") => !shown.is_empty() && !shown.contains('`'),
        (_, value) => shown == format!("`{value}`"),
    }
}

#[test]
fn the_configuration_document_lists_every_variable_with_its_default() {
    let (settings, listed) = (settings(), settings_table("docs/configuration.md"));

    let names = |table: &[(String, String)]| table.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&listed), names(&settings));
    for ((name, value), (_, shown)) in settings.iter().zip(&listed) {
        assert!(shows_default(name, value, shown), "{name}: {shown}");
    }
}

#[test]
fn the_settings_in_the_readme_have_the_same_defaults() {
    let listed = settings_table("README.md");

    assert!(!listed.is_empty());
    for (name, shown) in listed {
        let setting = settings().into_iter().find(|(known, _)| *known == name);
        let (_, value) = setting.unwrap_or_else(|| panic!("no variable {name}"));
        assert!(shows_default(&name, &value, &shown), "{name}: {shown}");
    }
}

#[test]
fn the_development_container_is_valid_and_has_the_compiler_of_the_image() {
    let text = read(".devcontainer/devcontainer.json");
    let container: serde_json::Value = serde_json::from_str(&text).expect("JSON");

    let dockerfile = container["build"]["dockerfile"].as_str().expect("a Dockerfile");
    let dockerfile = read(&format!(".devcontainer/{dockerfile}"));
    let compiler = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("FROM rust:")?.split(' ').next().map(str::to_owned))
    };
    assert_eq!(compiler(&dockerfile).expect("an image"), compiler(&read("Dockerfile")).expect("an image"));
    let user = container["remoteUser"].as_str().expect("a user");
    assert!(dockerfile.contains(&format!("USER {user}\n")), "{dockerfile}");
}
