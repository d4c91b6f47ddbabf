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

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A response of each kind: method, path, header of the request, status.
const RESPONSES: [(Method, &str, (&str, &str), u16); 17] = [
    (Method::GET, "/", SAME_ORIGIN, 200),
    (Method::HEAD, "/", SAME_ORIGIN, 200),
    (Method::GET, "/probe", SAME_ORIGIN, 200),
    (Method::POST, "/probe-redirect", SAME_ORIGIN, 303),
    (Method::POST, "/probe-redirect", ("sec-fetch-site", "cross-site"), 403),
    (Method::POST, "/probe-form", ("content-type", "application/x-www-form-urlencoded"), 400),
    (Method::POST, "/probe", SAME_ORIGIN, 405),
    (Method::GET, "/probe-panic", SAME_ORIGIN, 500),
    (Method::GET, "/probe-error", SAME_ORIGIN, 500),
    (Method::GET, "/probe-slow", SAME_ORIGIN, 503),
    (Method::GET, "/nothing", SAME_ORIGIN, 404),
    (Method::GET, "/static/nothing.css", SAME_ORIGIN, 404),
    (Method::GET, "/static/app.css", SAME_ORIGIN, 200),
    (Method::GET, "/static/app.css", ("if-none-match", "*"), 304),
    (Method::GET, "/static/favicon.svg", SAME_ORIGIN, 200),
    (Method::GET, "/health/live", SAME_ORIGIN, 200),
    (Method::GET, "/health/ready", SAME_ORIGIN, 200),
];

#[actix_web::test]
async fn every_response_has_every_security_header_once_and_only_static_files_may_be_cached() {
    let app = TestApp::spawn().await;

    for (method, path, header, status) in RESPONSES {
        let what = format!("{method} {path} {header:?}");
        let page = app.send(method, path, &[header]).await;

        assert_eq!(page.status.as_u16(), status, "{what} {page:#?}");
        assert_secure(&page, &what);
        let is_file = path.starts_with("/static/") && matches!(status, 200 | 304);
        assert_eq!(page.header("cache-control") != "no-store", is_file, "{what} {page:#?}");
        for name in ["server", "x-powered-by", "via"] {
            assert_eq!(page.header(name), "", "{what} names the software: {page:#?}");
        }
        assert_nothing_inline(&page);
    }
}

#[actix_web::test]
async fn https_is_required_for_later_visits_only_if_the_cookie_is_secure() {
    for (secure, expected) in [("true", "max-age=63072000"), ("false", "")] {
        let app = TestApp::spawn_with(&[("COOKIE_SECURE", secure)]).await;

        for path in ["/probe", "/nothing", "/static/app.css"] {
            let page = app.get(path).await;

            assert_eq!(page.header("strict-transport-security"), expected, "{path}");
        }
    }
}
