//! Runs the tests that need Chromium.

use std::fs; // demo
use std::{env, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dev::cargo;

const HOW_TO_GET_THEM: &str = "the browser tests need Chromium and chromedriver:
  Debian   apt install chromium chromium-driver
  Ubuntu   apt install chromium-browser chromium-chromedriver
  Fedora   dnf install chromium chromedriver
  macOS    brew install --cask google-chrome chromedriver";

/// Runs the browser tests.
pub fn test(arguments: &[&str]) -> Result<()> {
    run(cargo().args(["test", "--package", "browser"]).args(arguments))
}

// demo: begin
/// Takes the README's screenshots by running one of the browser tests.
pub fn screenshots() -> Result<()> {
    let mut tests = cargo();
    tests.args(["test", "--package", "browser", "--", "pictures::"]);
    run(tests.env("SCREENSHOTS_DIR", fs::canonicalize("docs/screenshots")?))
}
// demo: end

fn run(tests: &mut Command) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program| env::split_paths(&path).any(|place| place.join(program).is_file());
    let browsers = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let has_browser = browsers.into_iter().any(has) || Path::new("/Applications/Google Chrome.app").exists();
    // GitHub's runners have chromedriver in a separate directory.
    let has_driver = has("chromedriver") || env::var_os("CHROMEWEBDRIVER").is_some();
    ensure!(has_browser && has_driver, HOW_TO_GET_THEM);
    ensure!(tests.status().context("can't run cargo")?.success(), "the browser tests failed");
    Ok(())
}
