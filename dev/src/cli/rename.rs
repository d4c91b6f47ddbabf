//! `cargo dev rename`: renames the app.

use std::fs;

use anyhow::{Context, Result, ensure};
use dev::cargo;

use super::{committed_files, succeed};

/// The current name. Renaming also replaces this constant, so the app can be renamed again.
const NAME: &str = "actix-postgres-sessions";

/// Replaces the name in all files of the repository.
pub fn rename(name: &str) -> Result<()> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
    ensure!(is_name, "a name must start with a letter and contain only letters, digits and hyphens");
    let lock = fs::read_to_string("Cargo.lock")?;
    ensure!(!lock.contains(&format!("name = \"{name}\"\n")), "the app already uses a package named {name}");

    for (path, text) in committed_files()? {
        // The licenses keep the old name, because they name the template's authors.
        if text.contains(NAME) && !path.contains("LICENSE-") {
            fs::write(&path, text.replace(NAME, name)).with_context(|| format!("can't write {path}"))?;
        }
    }
    // Cargo.lock sorts packages by name, so their order may change.
    succeed(cargo().args(["update", "--workspace", "--quiet"]), "can't update Cargo.lock")?;
    // The new name may change how lines are wrapped.
    let _ = cargo().args(["fmt", "--all"]).status();
    println!("The app is now {name}. Describe it in Cargo.toml, review `git diff`, and run `cargo test`.");
    Ok(())
}
