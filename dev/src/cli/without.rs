//! `cargo dev without accounts`: takes a part of the app out again.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use dev::cargo;

use super::{git, prepare};

/// Everything of the accounts that is a file or a folder.
const ACCOUNTS: [&str; 8] = [
    "src/accounts",
    "templates/accounts",
    "static/accounts.js",
    "tests/accounts",
    "tests/browser/accounts.rs",
    "migrations/0003_create_accounts.sql",
    "dev/seed/accounts.sql",
    "docs/accounts.md",
];

/// The lines in other files: those that contain the text.
const LINES: [(&str, &str); 20] = [
    ("src/lib.rs", "mod accounts;"),
    ("src/app.rs", "accounts"),
    ("src/cli.rs", "Accounts(accounts"),
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
    ("docs/asvs.md", "accounts.md"),
    ("Cargo.toml", "argon2 = "),
    ("Cargo.toml", "rpassword = "),
    ("Cargo.toml", "unicode-normalization = "),
    ("Cargo.toml", "# Of the default features, only what a hash"),
    ("Cargo.toml", "# Reads a password from the terminal"),
    ("Cargo.toml", "# The same password typed on two systems"),
];

/// Text in other files that is only a part of a line, or several lines.
const TEXTS: [(&str, &str, &str); 4] = [
    ("src/app.rs", "    Config, accounts,\n", "    Config,\n"),
    ("src/cli.rs", "Config, accounts, config", "Config, config"),
    ("Cargo.toml", "\"signal\", \"sync\", \"time\"", "\"signal\", \"time\""),
    (
        "Cargo.toml",
        "# A login would take ten times as long.\n[profile.dev.package.argon2]\nopt-level = 3\n\n\
         [profile.dev.package.blake2]\nopt-level = 3\n\n",
        "",
    ),
];

/// Deletes the accounts. The app is anonymous afterwards, and its tests pass.
pub fn accounts() -> Result<()> {
    ensure!(Path::new("src/accounts").exists(), "this app has no accounts");
    let changes = git(&["status", "--porcelain"])?;
    ensure!(changes.is_empty(), "commit your changes first, so that you can undo this:\n{changes}");
    for (file, old, new) in TEXTS {
        change(file, |text| text.replace(old, new))?;
    }
    for (file, part) in LINES {
        change(file, |text| text.split_inclusive('\n').filter(|line| !line.contains(part)).collect())?;
    }
    for path in ACCOUNTS.map(Path::new) {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.with_context(|| format!("can't delete {}", path.display()))?;
    }
    prepare::renew()?;
    // Some lists fit on one line now. Without rustfmt, they stay as they are.
    let _ = cargo().arg("fmt").status();
    println!("The accounts are gone. See what has changed with `git diff`, and run `cargo test`.");
    println!("A database that has the table keeps it. For a development database, delete .postgres/.");
    Ok(())
}

/// Changes a file, which has to contain something to change.
fn change(file: &str, edit: impl FnOnce(&str) -> String) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("can't read {file}"))?;
    let new = edit(&old);
    ensure!(
        old != new,
        "{file} doesn't refer to the accounts as expected; `git checkout .` undoes what was done"
    );
    fs::write(file, new).with_context(|| format!("can't write {file}"))
}
