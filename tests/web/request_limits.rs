//! Requests that are too large or not for this server.

use app::limits::{MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_URI_BYTES};
use reqwest::Method;

use crate::support::{Page, TestApp};

#[actix_web::test]
async fn one_constant_limits_forms_json_and_raw_bodies() {
    let app = TestApp::spawn().await;
    let form = |length: usize| format!("n=7&rest={}", "x".repeat(length - 9));
    let json = |length: usize| format!(r#"{{"n":7,"x":"{}"}}"#, "x".repeat(length - 14));

    for (length, status) in [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)] {
        for (path, content_type, body) in [
            ("/probe-form", "application/x-www-form-urlencoded", form(length)),
            ("/probe-json", "application/json", json(length)),
            ("/probe-bytes", "application/octet-stream", "x".repeat(length)),
        ] {
            assert_eq!(body.len(), length);
            let page =
                Page::of(app.request(Method::POST, path).header("content-type", content_type).body(body))
                    .await;

            assert_eq!(page.status.as_u16(), status, "{path} {length} {page:#?}");
            assert!(status == 200 || page.body.contains("<html"), "{page:#?}");
        }
    }
}

#[actix_web::test]
async fn a_head_that_is_too_large_is_refused_with_a_page() {
    let app = TestApp::spawn().await;
    let uri = format!("/probe?{}", "x".repeat(MAX_URI_BYTES));
    let uri = Page::of(app.request(Method::GET, &uri)).await;
    let value =
        Page::of(app.request(Method::GET, "/probe").header("x-large", "x".repeat(MAX_HEAD_BYTES))).await;
    let many = (0..MAX_HEADERS)
        .fold(app.request(Method::GET, "/probe"), |request, n| request.header(format!("x-{n}"), "1"));
    let many = Page::of(many).await;

    for (page, status) in [(uri, 414), (value, 431), (many, 431)] {
        assert_eq!(page.status.as_u16(), status, "{page:#?}");
        assert!(page.body.contains("<html") && page.set_cookies().is_empty(), "{page:#?}");
    }
}

#[actix_web::test]
async fn cookies_that_are_too_large_are_deleted_so_that_the_next_request_succeeds() {
    let app = TestApp::spawn().await;
    let (user, session) = app.start().await;
    let large: Vec<String> = (0..9).map(|n| format!("large{n}={}", "x".repeat(4_000))).collect();
    let small: Vec<String> = (0..20).map(|n| format!("small{n}=1")).collect();
    let cookies = format!("{}; {session}; {}; __Secure-x=\u{e9}", small.join("; "), large.join("; "));

    let refused = app.get_with("/probe", &cookies).await;

    assert_eq!(refused.status, 431, "{refused:#?}");
    assert!(refused.body.contains("Delete this site&#39;s cookies"), "{refused:#?}");
    let deleted = refused.set_cookies();
    assert!(
        deleted.len() < 20 && deleted.iter().all(|set| set.contains("=; Max-Age=0; Path=/")),
        "{deleted:?}"
    );
    assert!(deleted.contains(&"__Secure-x=; Max-Age=0; Path=/; Secure"), "{deleted:?}");
    let is_left = |cookie: &&str| {
        let (name, _) = cookie.split_once('=').expect("name=value");
        !deleted.iter().any(|set| set.starts_with(&format!("{name}=;")))
    };
    let left = cookies.split("; ").filter(is_left).collect::<Vec<_>>().join("; ");
    assert_eq!(app.get_with("/probe", &left).await.visitor(), user, "{left}");
}

#[actix_web::test]
async fn a_malformed_host_returns_a_400_page() {
    let app = TestApp::spawn().await;
    let get = |host: &'static str| Page::of(app.request(Method::GET, "/probe").header("host", host));

    for host in [":80", "a b", "a/b", "a?b", "user@a", "a:b", "a:99999", "a:80:80", "http://a", "a\"", "[::1"]
    {
        let page = get(host).await;

        assert_eq!(page.status, 400, "{host} {page:#?}");
        assert!(page.body.contains("<html"), "{host} {page:#?}");
    }
    for host in ["a", "example.com", "example.com:8080", "a:", "127.0.0.1", "[::1]", "[::1]:80", "a_b.c-d"] {
        assert_eq!(get(host).await.status, 200, "{host}");
    }
}

#[actix_web::test]
async fn a_route_without_a_session_accepts_other_origins_and_never_sees_a_cookie() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    let before = app.sessions().await;

    let webhook = app.request(Method::POST, "/probe-webhook").header("origin", "https://payments.example");
    let page =
        Page::of(webhook.header("sec-fetch-site", "cross-site").header("cookie", &cookie).body("paid")).await;
    let form = app.request(Method::POST, "/probe/write").header("origin", "https://payments.example");
    let form = Page::of(form.header("cookie", &cookie)).await;

    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "empty session: paid"), "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(form.status, 403, "a page refuses it: {form:#?}");
    assert_eq!(app.sessions().await, before);
}
