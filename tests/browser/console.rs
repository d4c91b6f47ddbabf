use thirtyfour::BrowserLogEntry;

use crate::{Browser, open, state::State};

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
