//! The headers of every response.

use reqwest::Method;

use crate::support::{Page, TestApp};

const EVERYWHERE: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

pub fn assert_secure(page: &Page, what: &str) {
    for (name, value) in EVERYWHERE {
        assert_eq!(page.header(name), value, "{what}: {name} {page:#?}");
        assert_eq!(page.headers.get_all(name).iter().count(), 1, "{what}: {name} {page:#?}");
    }
}

/// Asserts that a page has nothing inline and loads everything from this site, as the policy requires.
pub fn assert_nothing_inline(page: &Page) {
    for inline in
        ["<style", " style=", "<script>", "javascript:", " onclick=", " onload=", " onsubmit=", "http-equiv"]
    {
        assert!(!page.body.contains(inline), "{inline} {page:#?}");
    }
    for source in page.body.split(" src=\"").skip(1) {
        assert!(source.starts_with('/') && !source.starts_with("//"), "{source}");
    }
}

/// A response of each kind: path, method, status.
const RESPONSES: [(&str, Method, u16); 15] = [
    ("/", Method::GET, 200),
    ("/", Method::HEAD, 200),
    ("/probe", Method::GET, 200),
    ("/probe-redirect", Method::POST, 303),
    ("/probe-form", Method::POST, 400),
    ("/probe", Method::POST, 405),
    ("/probe-panic", Method::GET, 500),
    ("/probe-error", Method::GET, 500),
    ("/probe-slow", Method::GET, 503),
    ("/nothing", Method::GET, 404),
    ("/static/nothing.css", Method::GET, 404),
    ("/static/app.css", Method::GET, 200),
    ("/static/favicon.svg", Method::GET, 200),
    ("/health/live", Method::GET, 200),
    ("/health/ready", Method::GET, 200),
];

/// Requests all of [`RESPONSES`], and a file that the client has. Sends one request from another site, which is refused.
async fn responses(app: &TestApp) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for (path, method, status) in RESPONSES {
        let form: &[(&str, &str)] = &[];
        let request = app.request(method.clone(), path).header("sec-fetch-site", "same-origin");
        let request = if method == Method::POST { request.form(form) } else { request };
        let page = Page::of(request).await;
        assert_eq!(page.status.as_u16(), status, "{method} {path} {page:#?}");
        pages.push((format!("{method} {path}"), page));
    }
    let foreign = app.send(Method::POST, "/probe-redirect", &[]).await;
    assert_eq!(foreign.status, 403, "{foreign:#?}");
    pages.push(("from another site".to_owned(), foreign));
    let css = app.get("/static/app.css").await;
    let again = app.request(Method::GET, "/static/app.css").header("if-none-match", css.header("etag"));
    let again = Page::of(again).await;
    assert_eq!(again.status, 304, "{again:#?}");
    pages.push(("/static/ again".to_owned(), again));
    pages
}

#[actix_web::test]
async fn every_response_has_every_security_header_once_and_only_static_files_may_be_cached() {
    let app = TestApp::spawn().await;

    for (what, page) in responses(&app).await {
        assert_secure(&page, &what);
        let is_file = what.contains("/static/") && matches!(page.status.as_u16(), 200 | 304);
        assert_eq!(page.header("cache-control") != "no-store", is_file, "{what} {page:#?}");
        for name in ["server", "x-powered-by", "via"] {
            assert_eq!(page.header(name), "", "{what} names the software: {page:#?}");
        }
        assert_nothing_inline(&page);
    }
}

#[actix_web::test]
async fn https_is_required_from_then_on_only_if_the_cookie_needs_it() {
    for (secure, expected) in [("true", "max-age=63072000"), ("false", "")] {
        let app = TestApp::spawn_with(&[("COOKIE_SECURE", secure)]).await;

        for path in ["/probe", "/nothing", "/static/app.css"] {
            let page = app.get(path).await;

            assert_eq!(page.header("strict-transport-security"), expected, "{path}");
        }
    }
}
