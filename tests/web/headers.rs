//! What every answer tells the browser.

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

fn check(page: &Page, what: &str) {
    for (name, value) in EVERYWHERE {
        assert_eq!(page.header(name), value, "{what}: {name} {page:#?}");
        assert_eq!(page.headers.get_all(name).iter().count(), 1, "{what}: {name} {page:#?}");
    }
}

/// An answer of each kind: path, method, status.
const ANSWERS: [(&str, Method, u16); 12] = [
    ("/", Method::GET, 200),
    ("/", Method::HEAD, 200),
    ("/visits", Method::GET, 200),
    ("/logout", Method::GET, 303),
    ("/logout", Method::POST, 403),
    ("/", Method::POST, 405),
    ("/nothing", Method::GET, 404),
    ("/static/nothing.css", Method::GET, 404),
    ("/static/app.css", Method::GET, 200),
    ("/static/favicon.svg", Method::GET, 200),
    ("/health/live", Method::GET, 200),
    ("/health/ready", Method::GET, 200),
];

#[actix_web::test]
async fn every_answer_carries_every_security_header_once() {
    let app = TestApp::spawn().await;

    for (path, method, status) in ANSWERS {
        let page = Page::of(app.request(method.clone(), path)).await;

        assert_eq!(page.status.as_u16(), status, "{method} {path}");
        check(&page, &format!("{method} {path}"));
    }
}

#[actix_web::test]
async fn an_answer_without_a_database_carries_them_too() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.new_session().await;
    app.database.execute("alter table sessions rename to elsewhere").await;
    app.database.execute("alter table users rename to nowhere").await;

    for (path, cookie) in [("/", &*cookie), ("/visits", &cookie), ("/", "")] {
        let page = app.get_with(path, cookie).await;

        assert_eq!(page.status, 503, "{page:#?}");
        check(&page, path);
        assert_eq!(page.header("cache-control"), "no-store", "{page:#?}");
    }
}

#[actix_web::test]
async fn what_the_browser_has_already_comes_with_them_as_well() {
    let app = TestApp::spawn().await;
    let sheet = Page::of(app.request(Method::GET, "/static/app.css")).await;

    let again = app.request(Method::GET, "/static/app.css").header("if-none-match", sheet.header("etag"));
    let again = Page::of(again).await;

    assert_eq!(again.status, 304, "{again:#?}");
    check(&again, "304");
}

#[actix_web::test]
async fn https_is_asked_for_where_the_cookie_needs_it_and_nowhere_else() {
    for (secure, expected) in [("true", "max-age=63072000"), ("false", "")] {
        let app = TestApp::spawn_with(&[("COOKIE_SECURE", secure)]).await;

        for path in ["/", "/nothing", "/static/app.css"] {
            let page = Page::of(app.request(Method::GET, path)).await;

            assert_eq!(page.header("strict-transport-security"), expected, "{path}");
        }
    }
}

#[actix_web::test]
async fn nothing_that_depends_on_a_session_is_kept_by_anyone() {
    let app = TestApp::spawn().await;

    for (path, method, _) in ANSWERS {
        let page = Page::of(app.request(method.clone(), path)).await;

        let kept = page.header("cache-control") != "no-store";
        let is_asset = path.starts_with("/static/") && page.status == 200;
        assert_eq!(kept, is_asset, "{method} {path} {page:#?}");
    }
}

#[actix_web::test]
async fn a_logout_has_the_browser_forget_what_it_kept() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    let page = browser.post("/logout").await;

    assert_eq!(page.header("clear-site-data"), r#""cache", "storage""#);
}

#[actix_web::test]
async fn no_page_holds_what_the_policy_forbids() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    for path in ["/", "/visits", "/nothing"] {
        let page = browser.get(path).await;

        for inline in [
            "<style",
            " style=",
            "<script>",
            "javascript:",
            " onclick=",
            " onload=",
            " onsubmit=",
            "http-equiv",
        ] {
            assert!(!page.body.contains(inline), "{path}: {inline} {page:#?}");
        }
        for (_, source) in
            page.body.match_indices(" src=\"").map(|(at, found)| page.body.split_at(at + found.len()))
        {
            assert!(source.starts_with('/'), "{path}: {source}");
        }
    }
}

#[actix_web::test]
async fn no_answer_says_what_it_is_made_with() {
    let app = TestApp::spawn().await;

    for (path, method, _) in ANSWERS {
        let page = Page::of(app.request(method.clone(), path)).await;

        for name in ["server", "x-powered-by", "via"] {
            assert_eq!(page.header(name), "", "{method} {path} {page:#?}");
        }
    }
}
