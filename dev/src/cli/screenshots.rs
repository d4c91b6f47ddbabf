//! `cargo dev screenshots`: the pictures in the README.
//!
//! A browser test makes them (`tests/browser/pictures.rs`), so that they show what is tested.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{APP, cargo, project};

const TEST: &str = "pictures::the_pictures_for_the_readme_are_small";

/// Makes the pictures in `screenshots/` anew.
pub fn make() -> Result<()> {
    let place = project().join("screenshots");
    let status = cargo()
        .args(["test", "--package", APP, "--test", "browser", "--", "--exact", TEST])
        .env("SCREENSHOTS_DIR", &place)
        .env_remove("SKIP_BROWSER_TESTS")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "no pictures");
    for picture in fs::read_dir(&place).context("no pictures were made")? {
        let picture = picture?;
        eprintln!("screenshots/{} ({} bytes)", picture.file_name().display(), picture.metadata()?.len());
    }
    Ok(())
}
