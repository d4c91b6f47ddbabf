//! The [Nu HTML checker](https://validator.github.io/validator/) checks every page as the app sends it. It
//! comes from npm, in the version that `axe/` pins, and needs Java.

use std::{fs, path::Path, process::Command};

use actix_web::http::StatusCode;
use app::view::error_page::ErrorPage;

use crate::{accessibility::installed, support::TestApp};

const PASSWORD: &str = "three notches on a stick";

/// A visitor's steps. A path without fields is opened, and fields are posted to a path. The pages of a
/// removed part are 404 pages.
const STEPS: &[(&str, &[(&str, &str)])] = &[
    ("/visits", &[]),
    ("/logout?confirm", &[]),
    ("/experiments", &[]),
    ("/", &[]),
    ("/visits", &[]),
    ("/", &[]),
    ("/visits", &[]),
    ("/logout?confirm", &[]),
    ("/experiments", &[]),
    ("/experiments/count", &[("none", "")]),
    ("/experiments/replay", &[("cookie", "old")]),
    ("/experiments/rotate", &[("none", "")]),
    ("/experiments/expire", &[("none", "")]),
    ("/", &[]),
    ("/logout", &[]),
    ("/", &[]),
    ("/login", &[]),
    ("/login", &[("email", "nobody@example.org"), ("password", PASSWORD)]),
    ("/register", &[]),
    ("/register", &[("email", "nobody"), ("password", "password")]),
    ("/register", &[("email", "ada@example.org"), ("password", PASSWORD)]),
    ("/", &[]),
    ("/visits", &[]),
    ("/account", &[]),
    ("/account/password", &[("current", "wrong"), ("new", "short")]),
    ("/account/delete", &[("password", "wrong")]),
    ("/confirm", &[]),
    ("/confirm", &[("password", "wrong")]),
];

const STATUSES: [u16; 13] = [400, 403, 404, 405, 408, 409, 413, 414, 415, 429, 431, 500, 503];

/// Returns the checker's messages about these pages.
fn complaints(folder: &Path) -> String {
    let mut checker = Command::new("java");
    checker
        .arg("-jar")
        .arg(installed().join("vnu-jar/build/dist/vnu.jar"))
        .args(["--Werror", "--format", "gnu"]);
    // Safari and password managers read this attribute, but it isn't in the standard.
    checker.args(["--filterpattern", ".*passwordrules.*"]);
    let output = checker.arg("--skip-non-html").arg(folder).output();
    let output = output.expect("this test needs Java: `apt install default-jre-headless` on Debian");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), complaints.is_empty(), "{complaints}");
    complaints
}

#[actix_web::test]
async fn every_page_in_every_state_is_valid_html() {
    let app = TestApp::spawn_with(&[("EXPERIMENTS", "true")]).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let browser = app.browser();

    for (step, (path, fields)) in STEPS.iter().enumerate() {
        let page = if fields.is_empty() { browser.get(path).await } else { browser.post(path, fields).await };
        if !page.body.is_empty() {
            let name = format!("{step}-{}.html", path.replace(['/', '?'], "-"));
            fs::write(folder.join(name), page.body).expect("a file");
        }
    }
    for status in STATUSES {
        let status = StatusCode::from_u16(status).expect("a status");
        let page = ErrorPage::new(status, None).to_html();
        fs::write(folder.join(format!("error-{status}.html")), page).expect("a file");
    }

    assert_eq!(complaints(&folder), "");
}

#[test]
fn invalid_html_is_detected() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("invalid-html");
    fs::create_dir_all(&folder).expect("a folder");
    let page = "<!doctype html><html lang=en><title>x</title><dl><dt>term</dd><dd>text</dd></dl>";
    fs::write(folder.join("page.html"), page).expect("a file");

    assert!(complaints(&folder).contains("No “dd” element in scope"), "{}", complaints(&folder));
}
