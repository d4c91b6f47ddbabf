//! What a client sees on its connection, byte by byte.

use crate::support::TestApp;

#[actix_web::test]
async fn connect_and_upgrade_get_an_immediate_response_and_close_the_connection() {
    let app = TestApp::spawn().await;

    for (request, status) in [
        ("CONNECT app.example:443 HTTP/1.1\r\nhost: app.example:443\r\n\r\n", "405"),
        ("GET /probe HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "200"),
        ("POST /probe-form HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "415"),
    ] {
        let response = app.exchange(request.as_bytes()).await;

        assert!(response.starts_with(&format!("http/1.1 {status}")), "{request}: {response}");
        assert!(response.contains("connection: close"), "{request}: {response}");
    }
}

#[actix_web::test]
async fn the_upgrade_header_never_changes_the_length_of_the_body() {
    let app = TestApp::spawn().await;

    for offer in ["connection: upgrade\r\n", "connection: upgrade\r\nupgrade: websocket\r\n", ""] {
        let request = format!(
            "POST /probe-form HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             {offer}content-length: 4\r\n\r\nn=77GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        );
        let response = app.exchange(request.as_bytes()).await;

        assert!(response.starts_with("http/1.1 200"), "{offer:?}: {response}");
        let (_, body) = response.split_once("\r\n\r\n").expect("a body");
        assert!(body == "77" || body.starts_with("77http/1.1 404"), "{offer:?}: {response}");
    }
}

#[actix_web::test]
async fn while_the_app_stops_every_response_closes_its_connection() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/health/live").await.header("connection"), "");

    app.readiness.stopping.store(true, std::sync::atomic::Ordering::Relaxed);

    for path in ["/health/live", "/no-such-page"] {
        let response = app.exchange(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await;
        assert!(response.contains("connection: close"), "{path}: {response}");
    }
}
