//! What all pages have in common: they are small and valid, and write nothing to the console.

use std::time::{Duration, Instant};
use std::{fs, path::Path, process::Command};

use actix_web::http::StatusCode;
use app::view::error_page::error_page;
use thirtyfour::BrowserLogEntry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Browser, accessibility::installed, open, state::State, support::TestApp};

/// Returns this page's console messages and policy violations, except for the browser's own notes about error
/// pages and the logout's header.
async fn complaints(browser: &Browser, state: Option<State>) -> Vec<String> {
    let note = match state {
        Some(state) if state.is_error() => "Failed to load resource: the server responded with a status of",
        Some(State::LoggedOut) => "Clear-Site-Data header on",
        _ => "",
    };
    let expected = |entry: &BrowserLogEntry| !note.is_empty() && entry.message.contains(note);
    let console = browser.console().await;
    let violations: Vec<String> = browser.run("return violations").await;
    console
        .into_iter()
        .filter(|entry| !expected(entry))
        .map(|entry| entry.message)
        .chain(violations)
        .collect()
}

#[actix_web::test]
async fn no_page_writes_to_the_console_or_violates_its_security_policy() {
    let (_app, browser) = open().await;

    for state in State::all() {
        state.show(&browser).await;
        assert_eq!(complaints(&browser, Some(state)).await, Vec::<String>::new(), "{state:?}");
    }
}

#[actix_web::test]
async fn console_messages_failed_requests_and_policy_violations_are_detected() {
    let (_app, browser) = open().await;

    for (fault, sign) in [
        ("console.debug('left over')", "left over"),
        ("setTimeout(() => { throw new Error('uncaught') })", "uncaught"),
        ("document.body.setAttribute('style', 'margin: 0')", "style-src"),
        (
            "document.body.append(Object.assign(document.createElement('script'), { text: '1' }))",
            "script-src",
        ),
        ("document.body.append(Object.assign(new Image(), { src: 'http://192.0.2.1/' }))", "img-src"),
        ("document.body.append(Object.assign(new Image(), { src: '/static/missing.svg' }))", "404"),
    ] {
        browser.go("/").await;
        // The browser takes a moment to report what happened.
        let script = format!("const done = arguments[0]; {fault}; setTimeout(done, 300)");
        browser.driver.execute_async(script, Vec::new()).await.unwrap();
        let complaints = complaints(&browser, None).await;
        assert!(complaints.iter().any(|complaint| complaint.contains(sign)), "{fault}: {complaints:?}");
    }
}

const PASSWORD: &str = "three notches on a stick";

/// A visitor's steps. Without fields, the visitor opens the path. Otherwise, they post the fields to it. If a
/// part has been removed, its paths return 404 pages.
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

/// Returns what the [Nu HTML checker](https://validator.github.io/validator/) says about these pages. The checker
/// comes from npm, in the version that `axe/` pins, and needs Java.
fn invalid(folder: &Path) -> String {
    let mut checker = Command::new("java");
    checker
        .arg("-jar")
        .arg(installed().join("vnu-jar/build/dist/vnu.jar"))
        .args(["--Werror", "--format", "gnu"]);
    // Safari and password managers read this attribute, but it isn't in the standard.
    checker.args(["--filterpattern", ".*passwordrules.*"]);
    let output = checker.arg("--skip-non-html").arg(folder).output();
    let output = output.expect("this test needs Java: `apt install default-jre-headless` on Debian");
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), messages.is_empty(), "{messages}");
    messages
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
        let page = error_page(status, None);
        fs::write(folder.join(format!("error-{status}.html")), page).expect("a file");
    }

    assert_eq!(invalid(&folder), "");
}

#[test]
fn invalid_html_is_detected() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("invalid-html");
    fs::create_dir_all(&folder).expect("a folder");
    let page = "<!doctype html><html lang=en><title>x</title><dl><dt>term</dd><dd>text</dd></dl>";
    fs::write(folder.join("page.html"), page).expect("a file");

    assert!(invalid(&folder).contains("No “dd” element in scope"), "{}", invalid(&folder));
}

/// The files that a page links to.
const LINKED: &str = "return [...document.querySelectorAll('link, script, img')].map(it => {
    const url = new URL(it.href || it.src);
    return url.pathname + url.search;
})";

/// The files that the page used, and how many bytes of each came from the server rather than the browser's cache.
const USED: &str = "return performance.getEntriesByType('resource')
    .map(entry => [new URL(entry.name).pathname, entry.transferSize])";

#[actix_web::test]
async fn a_first_visit_transfers_less_than_10_kb_including_headers() {
    let (app, browser) = open().await;
    browser.go("/").await;

    let mut paths: Vec<String> = browser.run(LINKED).await;
    paths.push("/".to_owned());

    let mut weights = Vec::new();
    for path in &paths {
        weights.push((weight(&app.url, path).await, path));
    }
    let total: usize = weights.iter().map(|(bytes, _)| bytes).sum();
    assert!(weights.len() == 3 && (3000..10_000).contains(&total), "{total}: {weights:?}");
}

#[actix_web::test]
async fn a_second_visit_fetches_only_the_page() {
    let (_app, browser) = open().await;

    browser.go("/").await;
    let first = bytes_of_css(&browser).await;
    browser.go("/").await;
    let second = bytes_of_css(&browser).await;

    assert!(first > 0);
    assert_eq!(second, 0);
    let used: Vec<(String, u64)> = browser.run(USED).await;
    assert!(used.iter().all(|&(_, bytes)| bytes == 0), "{used:?}");
}

/// Returns how many bytes of the style sheet came from the server. Chromium may list a file only after the
/// page is loaded.
async fn bytes_of_css(browser: &Browser) -> u64 {
    let begin = Instant::now();
    loop {
        let used: Vec<(String, u64)> = browser.run(USED).await;
        if let Some((_, bytes)) = used.iter().find(|(path, _)| path == "/static/app.css") {
            return *bytes;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{used:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the size of a response in bytes, including the headers.
async fn weight(url: &str, path: &str) -> usize {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
    answer.len()
}
