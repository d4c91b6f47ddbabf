//! Requests that are too large or meant for a different server, and what clients see on their connections.

use std::sync::atomic::Ordering;

use app::limits::MAX_BODY_BYTES;
use futures_util::future::join_all;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Page, TestApp, probe::PATIENCE};

#[actix_web::test]
async fn forms_json_and_raw_bodies_share_one_size_limit() {
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
            let request = app.request(Method::POST, path).header("content-type", content_type);
            let page = Page::of(request.body(body)).await;

            assert_eq!(page.status.as_u16(), status, "{path} {length} {page:#?}");
            assert!(status == 200 || page.body.contains("<html"), "{page:#?}");
        }
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
    let get = async |host| app.send(Method::GET, "/probe", &[("host", host)]).await;

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
    let form = app
        .send(Method::POST, "/probe/write", &[("origin", "https://payments.example"), ("cookie", &cookie)])
        .await;

    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "empty session: paid"), "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(form.status, 403, "a page refuses it: {form:#?}");
    assert_eq!(app.sessions().await, before);
}

#[actix_web::test]
async fn connect_and_upgrade_get_an_immediate_response_and_close_the_connection() {
    let app = TestApp::spawn().await;

    let exchanges = [
        ("CONNECT app.example:443 HTTP/1.1\r\nhost: app.example:443\r\n\r\n", "405"),
        ("GET /probe HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "200"),
        ("POST /probe-form HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n", "415"),
    ]
    .map(async |(request, status)| {
        let response = app.exchange(request.as_bytes()).await;

        assert!(response.starts_with(&format!("http/1.1 {status}")), "{request}: {response}");
        assert!(response.contains("connection: close"), "{request}: {response}");
    });
    join_all(exchanges).await;
}

#[actix_web::test]
async fn an_upgrade_header_never_changes_the_length_of_the_body() {
    let app = TestApp::spawn().await;

    for offer in
        ["connection: upgrade\r\n", "connection: upgrade\r\nupgrade: h2c\r\n", "upgrade: WebSocket \r\n", ""]
    {
        let request = format!(
            "POST /probe-form HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             {offer}content-length: 4\r\n\r\nn=77GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        );
        let response = app.exchange(request.as_bytes()).await;

        if offer.contains("WebSocket") {
            // A WebSocket handshake has no body.
            assert!(response.starts_with("http/1.1 400"), "{offer:?}: {response}");
            assert!(!response.contains("http/1.1 404"), "{offer:?}: {response}");
            continue;
        }
        assert!(response.starts_with("http/1.1 200"), "{offer:?}: {response}");
        let (_, body) = response.split_once("\r\n\r\n").expect("a body");
        assert!(body == "77" || body.starts_with("77http/1.1 404"), "{offer:?}: {response}");
    }
}

#[actix_web::test]
async fn while_the_app_stops_every_response_closes_its_connection() {
    let app = TestApp::spawn().await;
    let (mut used, unused) = (app.connect().await, app.connect().await);
    used.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    let mut first = [0; 4_096];
    let length = timeout(PATIENCE, used.read(&mut first)).await.expect("in time").expect("a response");
    let first = String::from_utf8_lossy(&first[..length]).to_lowercase();
    assert!(first.starts_with("http/1.1 200") && !first.contains("connection: close"), "{first}");

    app.readiness.stopping.store(true, Ordering::Relaxed);

    let new = app.connect().await;
    for (connection, path) in [(used, "/health/live"), (unused, "/no-such-page"), (new, "/health/live")] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = app.exchange_on(connection, request.as_bytes()).await;
        assert!(response.contains("connection: close"), "{path}: {response}");
    }
}
