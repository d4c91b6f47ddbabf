//! `cargo dev without PART` removes a part of the app: the marked code that CONTRIBUTING.md describes, and the doc
//! comment above a marked line. Code that is marked for several parts is removed with the last of them.
//! The files in `dev/without-PART/` replace those with the same path in the project.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dev::cargo;

use super::{committed_files, prepare, succeed};

/// How a comment begins in Rust and JavaScript, in TOML, YAML, shell and templates, in SQL and HTML, and in CSS.
const COMMENTS: [&str; 4] = ["// ", "# ", "-- ", "/* "];

/// Removes a part. The app's remaining tests still pass.
pub fn take_out(part: &str) -> Result<()> {
    let list = fs::read_to_string("dev/parts.txt").context("can't read dev/parts.txt")?;
    let mark = format!(" # {part}");
    let listed = list.lines().filter_map(|line| line.strip_suffix(&mark)).collect::<Vec<_>>();
    ensure!(!listed.is_empty(), "the app has no part named {part}");
    for (path, text) in committed_files()? {
        let kept = without(part, &text).with_context(|| format!("{path} (undo with `git restore .`)"))?;
        if kept != text {
            fs::write(&path, kept).with_context(|| format!("can't write {path}"))?;
        }
    }
    let replacements = format!("dev/without-{part}/.");
    if Path::new(&replacements).exists() {
        succeed(Command::new("cp").args(["-R", &replacements, "."]), "can't replace files")?;
    }
    succeed(Command::new("rm").arg("-rf").args(listed), "can't delete files")?;
    prepare(false)?;
    let _ = cargo().args(["fmt", "--all"]).status();
    println!("The part is removed. Review the changes with `git diff`, and run `cargo test`.");
    println!("The app refuses a database with the part's tables: delete .postgres/, or see docs/deploy.md.");
    Ok(())
}

/// Returns the text without the lines of this part.
pub(super) fn without(part: &str, text: &str) -> Result<String> {
    let mut kept = Vec::<String>::new();
    let mut depth = 0;
    let mut was_cut = false;
    for line in text.split_inclusive('\n') {
        let (names, edge) = label(line).split_once(": ").unwrap_or((label(line), ""));
        let others: Vec<&str> = names.split(", ").filter(|name| *name != part).collect();
        let is_of_part = names == part;
        depth += u32::from(is_of_part && edge == "begin");
        if depth > 0 || is_of_part {
            ensure!(depth > 0 || edge.is_empty(), "a block of {part} has no begin");
            while depth == 0 && kept.last().is_some_and(|line| line.trim_start().starts_with("///")) {
                kept.pop();
            }
        } else if !(was_cut && line == "\n" && kept.last().is_none_or(|line| line == "\n")) {
            kept.push(line.replace(names, &others.join(", ")));
        }
        was_cut = depth > 0 || is_of_part;
        depth -= u32::from(is_of_part && edge == "end");
    }
    ensure!(depth == 0, "a block of {part} has no end");
    Ok(kept.concat())
}

/// Returns the text of the comment at the end of a line.
fn label(line: &str) -> &str {
    // For example, ` -->`, or ` |` at the end of a row in a Markdown table.
    let line = line.trim_end_matches(|char: char| !char.is_alphanumeric());
    let comments = COMMENTS.iter().filter_map(|begin| Some(line.rsplit_once(begin)?.1));
    comments.min_by_key(|comment| comment.len()).unwrap_or_default()
}
