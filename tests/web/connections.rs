//! What a client sees on its connection, byte by byte.

use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{TestApp, probe::PATIENCE};

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: app.example\r\n\r\n";

struct Connection(TcpStream);

impl Connection {
    async fn open(app: &TestApp) -> Self {
        Self(TcpStream::connect(app.url.trim_start_matches("http://")).await.expect("a connection"))
    }

    async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.expect("sent");
    }

    /// Returns the head of the next response, and leaves a short body unread.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        let read = async {
            while !head.ends_with(b"\r\n\r\n") {
                match self.0.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
        };
        timeout(PATIENCE, read).await.expect("a response in time");
        String::from_utf8_lossy(&head).to_lowercase()
    }

    /// Returns everything that the app sends until it closes the connection.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("closed in time").expect("read");
        String::from_utf8_lossy(&rest).to_lowercase()
    }
}

#[actix_web::test]
async fn a_client_that_speaks_http_1_0_does_not_close_the_connections_of_others() {
    let app = TestApp::spawn().await;
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(Connection::open(&app).await);
    }

    for round in 0..20 {
        let mut old = Connection::open(&app).await;
        old.send("GET /health/live HTTP/1.0\r\n\r\n").await;
        assert!(old.rest().await.starts_with("http/1.0 200"), "round {round}");
        for other in &mut others {
            other.send(LIVE).await;
            let head = other.head().await;
            assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
            other.0.read_exact(&mut [0; 5]).await.expect("the body");
        }
    }
}

#[actix_web::test]
async fn connect_and_upgrade_are_answered_at_once_and_close_the_connection() {
    let app = TestApp::spawn().await;

    for (request, status) in [
        ("CONNECT app.example:443 HTTP/1.1\r\nhost: app.example:443\r\n\r\n", "405"),
        ("GET /probe HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "200"),
        ("POST /probe-form HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "415"),
    ] {
        let mut connection = Connection::open(&app).await;
        connection.send(request).await;
        let response = connection.rest().await;

        assert!(response.starts_with(&format!("http/1.1 {status}")), "{request}: {response}");
        assert!(response.contains("connection: close"), "{request}: {response}");
    }
}

#[actix_web::test]
async fn a_body_is_as_long_as_its_content_length_whatever_upgrade_offers() {
    let app = TestApp::spawn().await;

    for offer in ["connection: upgrade\r\n", "connection: upgrade\r\nupgrade: websocket\r\n", ""] {
        let mut connection = Connection::open(&app).await;
        connection
            .send(&format!(
                "POST /probe-form HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 {offer}content-length: 4\r\n\r\nn=77"
            ))
            .await;
        let head = connection.head().await;
        let mut body = [0; 2];
        connection.0.read_exact(&mut body).await.expect("a body");

        assert!(head.starts_with("http/1.1 200"), "{offer:?}: {head}");
        assert_eq!(&body, b"77", "{offer:?}");
    }
}

#[actix_web::test]
async fn while_the_app_stops_every_response_closes_its_connection() {
    let app = TestApp::spawn().await;
    let mut connections = [Connection::open(&app).await, Connection::open(&app).await];
    connections[0].send(LIVE).await;
    assert!(!connections[0].head().await.contains("connection: close"));

    app.readiness.stopping.store(true, std::sync::atomic::Ordering::Relaxed);

    for (connection, path) in connections.iter_mut().zip(["/health/live", "/no-such-page"]) {
        connection.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let rest = connection.rest().await;
        assert!(rest.contains("connection: close"), "{path}: {rest}");
    }
}
