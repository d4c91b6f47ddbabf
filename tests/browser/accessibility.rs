//! [axe-core](https://github.com/dequelabs/axe-core) checks every page. It comes from npm, in the version
//! that `axe/` pins, and isn't part of the app.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::{Browser, open, state::State};

const HOW_TO_GET: &str = "This test needs npm: `apt install npm` on Debian.";

/// Returns the source code of axe-core.
fn axe() -> &'static str {
    static AXE: OnceLock<String> = OnceLock::new();
    AXE.get_or_init(|| fs::read_to_string(installed().join("axe-core/axe.min.js")).expect("axe-core"))
}

/// Returns the folder of the installed npm packages.
pub fn installed() -> PathBuf {
    install().unwrap_or_else(|problem| panic!("{problem}\n{HOW_TO_GET}"))
}

/// Installs the packages in target/, and reuses them until the lock file changes.
fn install() -> Result<PathBuf, String> {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("axe");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let (lock_file, modules) = ("package-lock.json", place.join("node_modules"));
    let problem = |error: std::io::Error| format!("the npm packages can't be installed: {error}");
    fs::create_dir_all(&place).map_err(problem)?;
    // Other test processes may be installing them, too.
    let guard = File::create(place.join("guard")).map_err(problem)?;
    guard.lock().map_err(problem)?;
    let is_current = fs::read(pinned.join(lock_file)).ok() == fs::read(place.join(lock_file)).ok();
    if !(is_current && modules.exists()) {
        fs::copy(pinned.join("package.json"), place.join("package.json")).map_err(problem)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&place);
        fs::copy(pinned.join(lock_file), place.join(lock_file)).map_err(problem)?;
        let output = npm.output().map_err(problem)?;
        if !output.status.success() {
            return Err(format!("npm ci: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(modules)
}

/// Returns the violations that axe finds on the page, including violations of best practices.
pub async fn violations(browser: &Browser) -> Vec<Value> {
    let script = format!(
        "const done = arguments[0]; {};
         axe.run().then(found => done(found.violations.map(({{ id, help, nodes }}) =>
             ({{ id, help, where: nodes.map(node => node.html) }}))), done);",
        axe()
    );
    let found = browser.driver.execute_async(script, Vec::new()).await.expect("a verdict");
    found.convert().expect("a list of violations")
}

#[actix_web::test]
async fn axe_finds_no_violations_on_any_page_in_light_or_dark_mode() {
    let (_app, browser) = open().await;

    for scheme in ["light", "dark"] {
        browser.prefer(&[("prefers-color-scheme", scheme)]).await;
        for state in State::all() {
            state.show(&browser).await;
            assert_eq!(violations(&browser).await, Vec::<Value>::new(), "{state:?}, {scheme}");
        }
    }
}

#[actix_web::test]
async fn axe_detects_low_contrast_missing_names_and_wrong_headings() {
    let (_app, browser) = open().await;

    for (fault, rule) in [
        ("document.body.style.color = 'silver'", "color-contrast"),
        ("document.querySelector('nav a').textContent = ''", "link-name"),
        ("document.documentElement.removeAttribute('lang')", "html-has-lang"),
        ("document.querySelector('h2').outerHTML = '<h4>Next</h4>'", "heading-order"),
    ] {
        browser.go("/").await;
        browser.run::<Value>(fault).await;
        let found = violations(&browser).await;
        assert!(found.iter().any(|violation| violation["id"] == rule), "{fault}: {found:?}");
    }
}
