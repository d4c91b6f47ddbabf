//! The links and pictures of the documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The documents in the root of the project and in `docs/`.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [root.to_owned(), root.join("docs")].map(|folder| fs::read_dir(folder).expect("a folder"));
    let files = files.into_iter().flatten().map(|file| file.expect("a file").path());
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

/// Returns why a link of `document` leads nowhere, if so. Links to other sites are not checked.
fn problem(document: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = document.parent().expect("a folder");
    let path = if file.is_empty() { document.to_owned() } else { folder.join(file) };
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
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");

    assert_eq!(targets("[a](b.md#c), `d`\n```\n[no](link)\n```\n<img src=\"e.webp\">"), ["b.md#c", "e.webp"]);
    assert_eq!(anchors("# One, `two`: three!\n```sh\n# a comment\n```"), ["one-two-three"]);
    for target in ["no-such-file.md", "src/no-such-file.rs", "#no-such-heading", "README.md#no-such-heading"]
    {
        assert!(problem(&readme, target).is_some(), "{target}");
    }
    assert_eq!(problem(&readme, "src/main.rs"), None);
}
