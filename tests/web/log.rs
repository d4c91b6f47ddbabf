//! What is in the log, and what must never be.

use std::collections::HashMap;

use actix_session::storage::SessionStore;
use actix_session_postgres::PgSessionStore;
use actix_web::cookie;
use reqwest::{Client, Method, redirect::Policy};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    process::Process,
    secrets::{decrypt, encrypt},
    support::{Page, TestApp, TestDatabase, eventually, log},
};

const SECRET: &str = "canary-of-the-secret-5b1f0c7a92d34e68";
/// Long before anything was logged.
const FORGED_TIME: &str = "2001-01-01T00:00:00Z";

#[actix_web::test]
async fn every_line_of_a_request_is_json_and_has_its_id() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/probe-error?canary")).await;

    let lines = log::lines_of(page.request_id());
    assert!(lines.len() >= 2, "{lines:#?}");
    for line in &lines {
        assert_eq!(line["span"]["id"], page.request_id(), "{line}");
        assert!(line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
        assert!(!line.to_string().contains("?canary"), "a query may be secret: {line}");
    }
    let answered = lines.iter().find(|line| line["message"] == "answered").expect("the request's own line");
    assert_eq!((&answered["status"], &answered["level"]), (&500.into(), &"INFO".into()));
    assert_eq!(
        (&answered["span"]["method"], &answered["span"]["path"]),
        (&"GET".into(), &"/probe-error".into())
    );
}

#[actix_web::test]
async fn a_failed_session_store_is_logged_once_with_its_cause_and_the_request_id() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    app.database.execute("alter table sessions rename to elsewhere").await;

    let page = app.get_with("/probe", &cookie).await;

    let failures: Vec<Value> =
        log::lines_of(page.request_id()).into_iter().filter(|line| line["level"] == "ERROR").collect();
    let [failure] = &failures[..] else { panic!("{failures:#?}") };
    assert!(failure["error"].as_str().is_some_and(|error| error.contains("sessions")), "{failure}");
}

#[actix_web::test]
async fn a_request_can_not_forge_a_log_line() {
    let database = TestDatabase::new().await;
    for format in ["json", "pretty"] {
        let process = Process::spawn(&[
            ("DATABASE_URL", &database.url),
            ("SESSION_SECRET", SECRET),
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
                    "a line starts with its time: {line}"
                );
            }
        }
    }
}

#[actix_web::test]
async fn the_start_logs_the_configuration_and_no_secret() {
    let database = TestDatabase::new().await;
    let process = Process::spawn(&[
        ("DATABASE_URL", &database.url),
        ("SESSION_SECRET", SECRET),
        ("LOG_FORMAT", "json"),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
    ]);

    let log = process.log();

    let start = log.lines().find(|line| line.contains("starting")).expect("a line");
    for setting in ["database_url", "cookie_secure: true", "10.0.0.0/8", "session_max_age", "SecretKeys(1)"] {
        assert!(start.contains(setting), "{setting}: {start}");
    }
    assert!(!log.contains(SECRET) && !log.contains(password(&database.url)), "{log}");
}

#[actix_web::test]
async fn startup_warns_of_a_new_secret_only_if_one_was_created() {
    let database = TestDatabase::new().await;
    let file = std::env::temp_dir().join(format!("secret-{}", Uuid::new_v4()));
    let start = || {
        let file = file.to_str().expect("text");
        Process::spawn(&[("DATABASE_URL", &database.url), ("SESSION_SECRET_FILE", file)]).log()
    };

    let (first, second) = (start(), start());
    std::fs::remove_file(&file).expect("the file");

    let warning = "created a new session secret";
    assert!(first.contains(warning) && first.contains(file.to_str().expect("text")), "{first}");
    assert!(!second.contains(warning), "{second}");
}

#[actix_web::test]
async fn a_client_that_is_not_a_trusted_proxy_but_sends_its_header_causes_one_warning() {
    let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", "10.0.0.1")]).await;

    for _ in 0..2 {
        Page::of(app.request(Method::GET, "/probe").header("x-forwarded-for", "203.0.113.9")).await;
    }

    let lines = log::lines_with("isn't in TRUSTED_PROXIES");
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.contains(r#""level":"WARN""#) && line.contains(r#""peer":"127.0.0.1""#), "{line}");
}

#[actix_web::test]
async fn a_page_over_plain_http_causes_one_warning_unless_the_host_is_local() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let get = |path: &str, host: &str| app.request(Method::GET, path).header("host", host.to_owned());
    let warnings = || log::lines_with("over plain HTTP");

    for local in ["localhost:8080", "app.localhost", "127.0.0.1", "127.1.2.3:80", "[::1]:8080"] {
        Page::of(get("/probe", local)).await;
    }
    Page::of(get("/health/live", "app.example")).await;
    let plain = TestApp::spawn().await;
    Page::of(plain.request(Method::GET, "/probe").header("host", "app.example")).await;
    Page::of(get("/probe", "app.example").header("x-forwarded-proto", "https")).await;
    // Browsers send this header over HTTPS and to localhost only.
    Page::of(get("/probe", "app.example").header("sec-fetch-site", "none")).await;
    assert!(warnings().is_empty(), "{:#?}", warnings());
    Page::of(get("/probe", "app.example")).await;
    Page::of(get("/probe", "app.example")).await;

    let [line] = &warnings()[..] else { panic!("{:#?}", warnings()) };
    assert!(line.contains(r#""level":"WARN""#) && line.contains("app.example"), "{line}");
}

#[actix_web::test]
async fn no_cookie_key_secret_password_or_state_is_ever_logged() {
    let database = TestDatabase::new().await;
    let process = Process::spawn(&[
        ("DATABASE_URL", &database.url),
        ("SESSION_SECRET", SECRET),
        ("COOKIE_SECURE", "false"),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "trace"),
    ]);
    let mut canaries =
        vec![SECRET.to_owned(), password(&database.url).to_owned(), "canary-of-the-state".to_owned()];
    let client = Client::builder().redirect(Policy::none()).build().expect("a client");
    let send = async |method: Method, path: &str, cookie: &str| {
        let request = client.request(method, format!("{}{path}", process.url)).header("cookie", cookie);
        Page::of(request.header("sec-fetch-site", "same-origin")).await
    };
    eventually("the app is ready", async || send(Method::GET, "/health/ready", "").await.status == 200).await;

    let sent = send(Method::GET, "/", "").await.cookie("id");
    let state = HashMap::from([("note".to_owned(), "\"canary-of-the-state\"".to_owned())]);
    let key = PgSessionStore::new(database.pool.clone()).save(state, &cookie::time::Duration::HOUR).await;
    let cookie = encrypt(SECRET, "id", key.expect("a session").as_ref());
    canaries.extend(sent.iter().chain([&cookie]).flat_map(|cookie| cookie_canaries(cookie)));
    for path in ["/", "/nothing", "/static/app.css"] {
        send(Method::GET, path, &cookie).await;
    }
    let hostile = "id=canary-of-a-hostile-cookie; theme=canary-of-another-cookie";
    canaries.extend(["canary-of-a-hostile-cookie", "canary-of-another-cookie"].map(str::to_owned));
    send(Method::GET, "/", hostile).await;
    database
        .execute("update sessions set state = '[\"canary-of-the-state\"]' where state->>'note' is not null")
        .await;
    send(Method::GET, "/", &cookie).await;
    database
        .execute(
            "update sessions set state = '{\"visitor_id\":\"canary-of-the-state\"}' where state::text like '[%'",
        )
        .await;
    send(Method::HEAD, "/", &cookie).await;
    send(Method::POST, "/logout", &cookie).await;
    database.execute("alter table sessions rename to elsewhere").await;
    assert_eq!(send(Method::GET, "/", &cookie).await.status, 500);
    send(Method::GET, "/", "").await;

    let log = process.log();
    assert!(log.contains("answered") && log.lines().count() > 50, "{log}");
    for canary in canaries {
        let found: Vec<&str> = log.lines().filter(|line| line.contains(&canary)).collect();
        assert!(found.is_empty(), "{canary} in {found:#?}");
    }
}

/// Returns the cookie's value as it was sent, the decoded value, and the session's key in it.
fn cookie_canaries(cookie: &str) -> [String; 3] {
    let key = decrypt(SECRET, cookie).expect("a cookie of this app");
    let (_, encoded) = cookie.split_once('=').expect("name=value");
    [encoded.to_owned(), encoded.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="), key]
}

fn password(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (user, _) = rest.split_once('@').expect("a user");
    user.split_once(':')
        .map(|(_, password)| password)
        .filter(|password| password.len() > 8)
        .unwrap_or("no password")
}
