//! `cargo dev rename`: renames the app.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use dev::cargo;

use super::{format, git};

/// The current name. Renaming also replaces this constant, so the app can be renamed again.
const NAME: &str = "actix-postgres-sessions";

/// Replaces the name in all files of the repository, and the package's description if a new one is given.
pub fn rename(name: &str, description: Option<&str>) -> Result<()> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
    ensure!(is_name, "a name must start with a letter and contain only letters, digits and hyphens");
    let lock = fs::read_to_string("Cargo.lock")?;
    let is_taken = lock.contains(&format!("name = \"{name}\"\n"));
    ensure!(name == NAME || !is_taken, "the app already uses a package named {name}");
    let changes = git(&["status", "--porcelain"])?;
    ensure!(changes.is_empty(), "commit your changes first, so that you can undo the rename:\n{changes}");

    for path in git(&["ls-files", "-z"])?.split_terminator('\0') {
        // The licenses name the authors of the template.
        if !path.contains("LICENSE-") {
            replace(path.as_ref(), NAME, name)?;
        }
    }
    if let Some(description) = description {
        let manifest = Path::new("Cargo.toml");
        let line = |text: &str| text.lines().find(|line| line.starts_with("description")).map(str::to_owned);
        let old = line(&fs::read_to_string(manifest)?).context("Cargo.toml has no description")?;
        replace(manifest, &old, &format!("description = {description:?}"))?;
    }
    // The packages in Cargo.lock are sorted by name.
    ensure!(
        cargo().args(["update", "--workspace", "--quiet"]).status()?.success(),
        "can't update Cargo.lock"
    );
    // The new name may change how lines are wrapped.
    format();
    println!("The app is now called {name}. Review the changes with `git diff`, and run `cargo test`.");
    Ok(())
}

/// Replaces text in a file. Skips binary files.
fn replace(path: &Path, old: &str, new: &str) -> Result<()> {
    if let Ok(text) = fs::read_to_string(path)
        && text.contains(old)
    {
        fs::write(path, text.replace(old, new)).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}
