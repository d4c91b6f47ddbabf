//! `cargo dev without PART` removes a part of the app.
//!
//! A line that ends with a comment such as `// PART` belongs to that part, together with the doc comment
//! above it. So do the lines from `// PART: begin` to `// PART: end`. Code that several parts need is marked
//! with all of their names, separated by commas, and is removed with the last of them. `dev/parts.txt` lists
//! whole files and folders. The files in `dev/without-PART/` replace those with the same path in the project.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use super::{committed_files, format, prepare, succeed};

/// How a comment begins in Rust and JavaScript, in TOML, YAML, shell and templates, in SQL and HTML, and in CSS.
const COMMENTS: [&str; 4] = ["// ", "# ", "-- ", "/* "];

/// How a comment may end. The first entry is the end of a row in a Markdown table.
const ENDS: [&str; 4] = [" |", " -->", " */", " #}"];

/// Removes a part. The app's remaining tests still pass.
pub fn take_out(part: &str) -> Result<()> {
    let mut edits = Vec::new();
    for (path, text) in committed_files()? {
        let kept = without(part, &text)
            .with_context(|| format!("nothing was changed, because of a problem in {path}"))?;
        if kept != text {
            edits.push((path, kept));
        }
    }
    ensure!(!edits.is_empty(), "the app has no part named {part}");

    let list = fs::read_to_string("dev/parts.txt").context("can't read dev/parts.txt")?;
    for (path, text) in edits {
        fs::write(&path, text).with_context(|| format!("can't write {path}"))?;
    }
    let replacements = format!("dev/without-{part}/.");
    if Path::new(&replacements).exists() {
        succeed(Command::new("cp").args(["-R", &replacements, "."]), "can't replace files")?;
    }
    let listed = list.lines().filter(|line| label(line) == part).filter_map(|line| line.split(" #").next());
    succeed(Command::new("rm").arg("-rf").args(listed), "can't delete files")?;
    prepare::renew()?;
    format();
    println!("The part is removed. Review the changes with `git diff`, and run `cargo test`.");
    println!(
        "The app won't start on a database that has run the part's migration: delete .postgres/, or see docs/deploy.md."
    );
    Ok(())
}

/// Returns the text without the lines of this part.
fn without(part: &str, text: &str) -> Result<String> {
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
        } else if others.len() < names.split(", ").count() {
            kept.push(line.replace(names, &others.join(", ")));
        } else if !(was_cut && line == "\n" && kept.last().is_none_or(|line| line == "\n")) {
            kept.push(line.to_owned());
        }
        was_cut = depth > 0 || is_of_part;
        depth -= u32::from(is_of_part && edge == "end");
    }
    ensure!(depth == 0, "a block of {part} has no end");
    Ok(kept.concat())
}

/// Returns the text of the comment at the end of a line.
fn label(line: &str) -> &str {
    let line = ENDS.iter().fold(line.trim_end(), |line, end| line.strip_suffix(end).unwrap_or(line));
    let comments = COMMENTS.iter().filter_map(|begin| Some(line.rsplit_once(begin)?.1));
    comments.min_by_key(|comment| comment.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn a_part_is_removed_with_its_doc_comments_and_shared_lines_with_the_last_part() {
        let text = "a\n/// doc\nb // one\n\n# one: begin\nc\n# one: end\n\n| d <!-- two --> |\ne /* one, two */\none\n";

        let without_one = without("one", text).expect("complete blocks");

        assert_eq!(without_one, "a\n\n| d <!-- two --> |\ne /* two */\none\n");
        assert_eq!(without("two", &without_one).expect("complete blocks"), "a\n\none\n");
        assert!(without("one", "# one: begin\n").is_err() && without("one", "# one: end\n").is_err());
    }
}
