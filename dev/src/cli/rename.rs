//! `cargo dev rename`: gives the app its own name.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use dev::cargo;

use super::{format, git};

/// The present name. It is replaced as well, so the app can be renamed again.
const NAME: &str = "actix-postgres-sessions";

/// Replaces the name in all files of the repository, and the description of the package if there is one.
pub fn rename(name: &str, description: Option<&str>) -> Result<()> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
    ensure!(is_name, "a name consists of letters, digits and hyphens, and begins with a letter");
    let lock = fs::read_to_string("Cargo.lock")?;
    let is_taken = lock.contains(&format!("name = \"{name}\"\n"));
    ensure!(name == NAME || !is_taken, "{name} is the name of another package that the app uses");
    let changes = git(&["status", "--porcelain"])?;
    ensure!(changes.is_empty(), "commit your changes first, so that you can undo the renaming:\n{changes}");

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
    // The lines that contain the name have a different length now.
    format();
    println!("The app is called {name} now. See what has changed with `git diff`, and run `cargo test`.");
    Ok(())
}

/// Replaces a text in a file. Skips files that aren't text.
fn replace(path: &Path, old: &str, new: &str) -> Result<()> {
    if let Ok(text) = fs::read_to_string(path)
        && text.contains(old)
    {
        fs::write(path, text.replace(old, new)).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}
