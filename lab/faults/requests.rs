//! Tests hostile and old clients, and a database that rejects writes. The app runs in the test's process.

use actix_web::rt::net::TcpStream;
use reqwest::{Client, Method};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Page, TestApp, TestDatabase, eventually, log, probe::PATIENCE};
use crate::{process::Process, stage::TURN};

/// A time long before anything was logged.
const FORGED_TIME: &str = "2001-01-01T00:00:00Z";

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
async fn an_http_1_0_client_does_not_close_other_clients_connections() {
    let _turn = TURN.lock().await;
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
async fn control_characters_in_the_cookie_never_cause_a_server_error() {
    let _turn = TURN.lock().await;
    let app = TestApp::spawn().await;

    for byte in (0..32_u8).chain([127]).filter(|byte| !b"\r\n".contains(byte)) {
        let head =
            [b"GET /probe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: id=", &[byte][..], b"\r\n\r\n"];
        let response = app.exchange(&head.concat()).await;

        let status = response.get(9..12).unwrap_or_default();
        assert!(["200", "400"].contains(&status), "{byte:#04x}: {response}");
    }
}

#[actix_web::test]
async fn a_request_cannot_forge_a_log_line() {
    let _turn = TURN.lock().await;
    let database = TestDatabase::new().await;
    for format in ["json", "pretty"] {
        let process = Process::spawn(&[
            ("DATABASE_URL", &database.url),
            ("SESSION_SECRET", "a secret of the tests and of nothing else"),
            ("LOG_FORMAT", format),
            ("RUST_LOG", "debug"),
        ]);
        let client = Client::new();
        let forged = r#"{"level":"ERROR","forged":true}"#;
        for path in [
            "/%0d%0a%7B%22forged%22:true%7D".to_owned(),
            format!("/%0A{FORGED_TIME} ERROR forged"),
            format!("/\u{85}{forged}"),
            format!("/?x=%0a{forged}"),
        ] {
            let request = client.get(format!("{}{path}", process.url));
            let request = request.header("user-agent", forged).header("cookie", "id=%0d%0aforged");
            request.send().await.expect("a response");
        }
        let method = Method::from_bytes(b"FORGED").expect("a method");
        client.request(method, &process.url).send().await.expect("a response");

        let log = process.log();
        assert!(log.matches("answered").count() >= 5, "{log}");
        for line in log.lines() {
            if format == "json" {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
                assert_eq!(line.get("forged"), None, "{line}");
            } else {
                let line = line.trim_start_matches("\u{1b}[2m");
                assert!(
                    line.starts_with("20") && !line.starts_with(FORGED_TIME),
                    "each line starts with its time: {line}"
                );
            }
        }
    }
}

async fn ready(app: &TestApp) -> u16 {
    app.get("/health/ready").await.status.as_u16()
}

#[actix_web::test]
async fn the_app_uses_read_committed_even_if_the_role_has_a_stricter_default() {
    let _turn = TURN.lock().await;
    let database = TestDatabase::on_own_server().await;
    database.execute("alter role postgres set default_transaction_isolation = 'repeatable read'").await;
    let app = TestApp::on(database, &[]).await;

    let pool = app::database::pool(&app.config);
    let isolation: String =
        sqlx::query_scalar("show transaction_isolation").fetch_one(&pool).await.expect("a setting");

    assert_eq!((&*isolation, ready(&app).await), ("read committed", 200));
}

#[actix_web::test]
async fn the_pool_rejects_connections_to_a_read_only_server_and_recovers_afterward() {
    let _turn = TURN.lock().await;
    let database = TestDatabase::on_own_server().await;
    let app = TestApp::on(database, &[]).await;
    let (_, cookie) = app.start().await;
    let end_all = "select pg_terminate_backend(pid) from pg_stat_activity
        where pid <> pg_backend_pid() and backend_type = 'client backend'";
    let log_out = async || {
        let logout = app.request(Method::POST, "/logout").header("sec-fetch-site", "same-origin");
        Page::of(logout.header("cookie", &cookie)).await.status.as_u16()
    };
    sqlx::raw_sql("alter role postgres set default_transaction_read_only = on")
        .execute(&app.database.pool)
        .await
        .expect("set");
    sqlx::raw_sql(end_all).execute(&app.database.pool).await.expect("ended");

    eventually("it is not ready", async || ready(&app).await == 503).await;
    assert_eq!(log_out().await, 503);
    assert!(!log::lines_with("the server is read-only").is_empty());
    let mut writer = PgConnection::connect(&app.database.url).await.expect("a connection");
    for sql in
        ["set default_transaction_read_only = off", "alter role postgres reset default_transaction_read_only"]
    {
        sqlx::raw_sql(sql).execute(&mut writer).await.expect("reset");
    }

    eventually("it is ready", async || ready(&app).await == 200).await;
    for _ in 0..20 {
        assert_eq!(log_out().await, 303);
    }
}
