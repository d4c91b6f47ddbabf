//! `cargo dev without PART`: takes a part of the app out again.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use dev::cargo;

use super::{git, prepare};

/// A part of the app, and all that has to change without it. Files that are already gone are left out.
pub struct Part {
    /// Its files and folders.
    pub paths: &'static [&'static str],
    /// In a file, everything from the line that begins with the first text up to the line that begins with the second one,
    /// or up to the end if that is empty.
    pub cuts: &'static [(&'static str, &'static str, &'static str)],
    /// In a file, a text and what replaces it.
    pub texts: &'static [(&'static str, &'static str, &'static str)],
    /// In a file, all lines that contain a text.
    pub lines: &'static [(&'static str, &'static str)],
    /// Files, and the files that take their places.
    pub replaced: &'static [(&'static str, &'static str)],
}

pub const ACCOUNTS: Part = Part {
    paths: &[
        "src/accounts",
        "templates/accounts",
        "static/accounts.js",
        "tests/accounts",
        "tests/browser/accounts.rs",
        "migrations/0003_create_accounts.sql",
        "dev/seed/accounts.sql",
        "docs/accounts.md",
    ],
    cuts: &[("Cargo.toml", "# A login would take", "[profile.release]")],
    texts: &[
        ("src/app.rs", "    Config, accounts,\n", "    Config,\n"),
        ("src/cli.rs", "Config, accounts, config", "Config, config"),
        ("Cargo.toml", "\"signal\", \"sync\", \"time\"", "\"signal\", \"time\""),
    ],
    lines: &[
        ("src/lib.rs", "mod accounts;"),
        ("src/app.rs", "accounts"),
        ("src/cli.rs", "Accounts(accounts"),
        ("src/session.rs", "remembered_limits"),
        ("src/view/assets.rs", "accounts"),
        ("src/config.rs", "remember_"),
        ("src/config.rs", "REMEMBER_"),
        ("templates/base.html", "href=\"/account\""),
        ("tests/structure.rs", "\"accounts\""),
        ("tests/config/values.rs", "REMEMBER_"),
        ("tests/browser/suite.rs", "mod accounts;"),
        (".env.example", "REMEMBER_"),
        ("docs/configuration.md", "REMEMBER_"),
        ("README.md", "docs/accounts.md"),
        ("dev/without-demo/README.md", "docs/accounts.md"),
        ("docs/asvs.md", "accounts.md"),
        ("Cargo.toml", "argon2 = "),
        ("Cargo.toml", "rpassword = "),
        ("Cargo.toml", "unicode-normalization = "),
        ("Cargo.toml", "# Of the default features, only what a hash"),
        ("Cargo.toml", "# Reads a password from the terminal"),
        ("Cargo.toml", "# The same password typed on two systems"),
    ],
    replaced: &[],
};

/// What only the accounts and the pages about visits use. It goes with the last of them.
const BOTH: Part = Part {
    paths: &[],
    cuts: &[("src/http/session_cookie.rs", "    /// Returns the key in a cookie's", "    /// Decrypts")],
    texts: &[
        ("Cargo.toml", "\"runtime-tokio\", \"time\", \"tls", "\"runtime-tokio\", \"tls"),
        ("Cargo.toml", "\"serde\", \"v4\", \"v7\"", "\"serde\", \"v4\""),
    ],
    lines: &[
        ("src/view/assets.rs", "const SCRIPT"),
        ("Cargo.toml", "governor = "),
        ("Cargo.toml", "time = { version"),
        ("Cargo.toml", "serde_json = { version"),
    ],
    replaced: &[],
};

/// Takes a part out. The app's tests pass afterwards.
pub fn take_out(part: &Part) -> Result<()> {
    let is_there = part.paths.iter().any(|path| Path::new(path).exists());
    ensure!(is_there, "this is gone already");
    let changes = git(&["status", "--porcelain"])?;
    ensure!(changes.is_empty(), "commit your changes first, so that you can undo this:\n{changes}");
    edit(part)?;
    for (path, with) in part.replaced {
        fs::rename(with, path).with_context(|| format!("can't replace {path}"))?;
    }
    for path in part.paths.iter().map(Path::new).filter(|path| path.exists()) {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.with_context(|| format!("can't delete {}", path.display()))?;
    }
    if !["src/accounts", "src/visitors.rs"].iter().any(|path| Path::new(path).exists()) {
        edit(&BOTH)?;
    }
    prepare::renew()?;
    // Some lists fit on one line now. Without rustfmt, they stay as they are.
    let _ = cargo().arg("fmt").status();
    println!("It is gone. See what has changed with `git diff`, and run `cargo test`.");
    println!("A database that has its table keeps it. For a development database, delete .postgres/.");
    Ok(())
}

/// Makes all edits, or none if one of them has nothing to change. Leaves out files that are gone.
fn edit(part: &Part) -> Result<()> {
    let mut files = BTreeMap::new();
    let mut problems = Vec::new();
    let mut change = |file: &'static str, what: &str, edit: &dyn Fn(&str) -> String| {
        let Some(text) = files.get(file).cloned().or_else(|| fs::read_to_string(file).ok()) else { return };
        let changed = edit(&text);
        if changed == text {
            problems.push(format!("{file} doesn't contain {what:?}"));
        }
        files.insert(file, changed);
    };
    for (file, from, to) in part.cuts {
        change(file, from, &|text| cut(text, from, to));
    }
    for (file, old, new) in part.texts {
        change(file, old, &|text| text.replace(old, new));
    }
    for (file, part) in part.lines {
        change(file, part, &|text| text.split_inclusive('\n').filter(|line| !line.contains(part)).collect());
    }
    ensure!(problems.is_empty(), "nothing is changed:\n{}", problems.join("\n"));
    for (file, text) in files {
        fs::write(file, text).with_context(|| format!("can't write {file}"))?;
    }
    Ok(())
}

fn cut(text: &str, from: &str, to: &str) -> String {
    let mut is_cut = false;
    let is_kept = |line: &&str| {
        is_cut = if is_cut { to.is_empty() || !line.starts_with(to) } else { line.starts_with(from) };
        !is_cut
    };
    text.split_inclusive('\n').filter(is_kept).collect()
}
