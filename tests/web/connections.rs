//! What a client sees on its connection, byte by byte.

use std::sync::atomic::Ordering;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{TestApp, probe::PATIENCE};

#[actix_web::test]
async fn connect_and_upgrade_get_an_immediate_response_and_close_the_connection() {
    let app = TestApp::spawn().await;

    for (request, status) in [
        ("CONNECT app.example:443 HTTP/1.1\r\nhost: app.example:443\r\n\r\n", "405"),
        ("GET /probe HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "200"),
        ("POST /probe-form HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n", "415"),
    ] {
        let response = app.exchange(request.as_bytes()).await;

        assert!(response.starts_with(&format!("http/1.1 {status}")), "{request}: {response}");
        assert!(response.contains("connection: close"), "{request}: {response}");
    }
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
