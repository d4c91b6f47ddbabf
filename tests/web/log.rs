//! What the log contains, and what it must never contain.

use std::collections::HashMap;

use actix_session::storage::SessionStore;
use actix_session_postgres::PgSessionStore;
use actix_web::cookie;
use reqwest::{Client, Method, redirect::Policy};
use uuid::Uuid;

use crate::support::{Page, TestApp, TestDatabase, decrypt, encrypt, eventually, log, process::Process};

const SECRET: &str = "canary-of-the-secret-5b1f0c7a92d34e68";

#[actix_web::test]
async fn every_line_of_a_request_is_json_and_has_its_id() {
    let app = TestApp::spawn().await;

    let page = app.get("/probe-error?canary").await;

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
async fn startup_logs_the_configuration_and_a_new_secret_file_but_no_secret() {
    let database = TestDatabase::new().await;
    let file = std::env::temp_dir().join(format!("secret-{}", Uuid::new_v4()));
    let name = file.to_str().expect("text");
    let start = |secret, secure| {
        let settings = [("LOG_FORMAT", "json"), ("TRUSTED_PROXIES", "10.0.0.0/8"), ("COOKIE_SECURE", secure)];
        Process::spawn(&[&[("DATABASE_URL", &*database.url), secret], &settings[..]].concat()).log()
    };

    let [first, second] = [0; 2].map(|_| start(("SESSION_SECRET_FILE", name), "true"));
    let written = std::fs::read_to_string(&file).expect("the file");
    std::fs::remove_file(&file).expect("the file");
    let given = start(("SESSION_SECRET", SECRET), "true");
    let local = start(("SESSION_SECRET_FILE", name), "false");
    std::fs::remove_file(&file).expect("the file");

    for (log, secret, is_new) in
        [(&first, &*written, true), (&second, &written, false), (&given, SECRET, false)]
    {
        let line = log.lines().find(|line| line.contains("starting")).expect("a line");
        for setting in
            ["database_url", "cookie_secure: true", "10.0.0.0/8", "session_max_age", "SecretKeys(1)"]
        {
            assert!(line.contains(setting), "{setting}: {line}");
        }
        assert!(!log.contains(secret.trim()) && !log.contains(password(&database.url)), "{log}");
        let warning = log.lines().find(|line| line.contains("created a new session secret"));
        assert_eq!(warning.is_some_and(|line| line.contains(name)), is_new, "{log}");
        assert_eq!(warning.is_some(), is_new, "{log}");
    }
    assert!(!local.contains("created a new session secret"), "on localhost, a new secret is normal: {local}");
}

#[actix_web::test]
async fn a_proxy_header_from_an_untrusted_client_causes_one_warning() {
    let app = TestApp::spawn_with(&[("TRUSTED_PROXIES", "10.0.0.1")]).await;

    for _ in 0..2 {
        app.send(Method::GET, "/probe", &[("x-forwarded-for", "203.0.113.9")]).await;
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
    // Browsers send this header only over HTTPS and to localhost.
    Page::of(get("/probe", "app.example").header("sec-fetch-site", "none")).await;
    assert!(warnings().is_empty(), "{:#?}", warnings());
    Page::of(get("/probe", "localhost.app.example:8080")).await;
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
    let visitor = format!("\"{}\"", Uuid::new_v4());
    let state = [("note", "\"canary-of-the-state\""), ("visitor_id", &visitor)];
    let state = HashMap::from(state.map(|(name, json)| (name.to_owned(), json.to_owned())));
    let key = PgSessionStore::new(database.pool.clone()).save(state, &cookie::time::Duration::HOUR).await;
    let cookie = encrypt(SECRET, "id", key.expect("a session").as_ref());
    canaries.extend(sent.iter().chain([&cookie]).flat_map(|cookie| cookie_canaries(cookie)));
    send(Method::GET, "/visits", &cookie).await; // demo
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
    let password = user.split_once(':').map_or("", |(_, password)| password);
    if password.len() > 8 { password } else { "no password" }
}
