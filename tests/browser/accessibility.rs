//! Checks every page with [axe-core](https://github.com/dequelabs/axe-core), and that everything can be reached with
//! the keyboard. axe-core comes from npm, in the version that `axe/` pins. It isn't part of the app.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{process::Command, sync::OnceLock};

use serde_json::Value;
use thirtyfour::Key;

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

/// The text of the focused element, and whether the element and its outline are visible.
const FOCUSED: &str = "const it = document.activeElement, box = it.getBoundingClientRect();
    const outlined = getComputedStyle(it).outlineStyle !== 'none';
    const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    return [it.innerText.replace(/\\s+/g, ' ').trim(), outlined && inside]";

async fn tab(browser: &Browser) -> (String, bool) {
    browser.press(Key::Tab).await;
    browser.run(FOCUSED).await
}

/// Presses Tab until an element that matches `selector` has the focus.
pub async fn tab_to(browser: &Browser, selector: &str) {
    let is_there = format!("return document.activeElement.matches(\"{selector}\")");
    for _ in 0..30 {
        browser.press(Key::Tab).await;
        if browser.run::<bool>(&is_there).await {
            return;
        }
    }
    panic!("{selector} can't be reached with Tab");
}

#[actix_web::test]
async fn tab_moves_in_reading_order_and_the_focus_is_visible() {
    let (_app, browser) = open().await;
    browser.resize(1280, 1600).await;
    browser.go("/probe/start").await;
    browser.go("/logout").await;
    let in_order: Vec<String> = browser
        .run("return [...document.querySelectorAll('a, button, summary')].map(it => it.textContent)")
        .await;

    assert!(in_order.len() > 3, "{in_order:?}");
    for expected in in_order {
        let (text, is_visible) = tab(&browser).await;
        assert_eq!(text, expected);
        assert!(is_visible, "{text}");
    }
}

#[actix_web::test]
async fn the_skip_link_goes_to_the_content() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/logout?confirm").await;

    browser.press(Key::Tab).await;
    browser.press(Key::Enter).await;

    assert_eq!(browser.run::<String>("return document.activeElement.id").await, "main");
    browser.press(Key::Tab).await;
    assert_eq!(browser.run::<String>("return document.activeElement.tagName").await, "BUTTON");
}

#[actix_web::test]
async fn a_visitor_can_log_out_with_the_keyboard_alone() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/").await;

    tab_to(&browser, "nav a[href='/logout?confirm']").await;
    browser.leave(browser.press(Key::Enter)).await;
    tab_to(&browser, "main button").await;
    browser.leave(browser.press(Key::Enter)).await;

    assert!(browser.text("dialog").await.contains("You are logged out."));
}
