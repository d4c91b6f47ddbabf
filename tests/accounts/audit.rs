//! The log has one line for each event, and never contains what users typed.

use app::accounts::table::Account;
use serde_json::Value;

use crate::support::{SECRET, TestApp, decrypt, log};
use crate::{ADA, NEW_PASSWORD, PASSWORD, account, ada, other, spawn};

/// The events of this account: client, session and message.
fn events(account: impl ToString) -> Vec<(String, String, String)> {
    let lines = log::lines_with(&format!("\"account\":\"{}\"", account.to_string()));
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| (text(&line, "client"), text(&line, "session"), text(&line, "message"))).collect()
}

/// The first digits of the IDs of all sessions.
async fn sessions(app: &TestApp) -> Vec<String> {
    let ids = sqlx::query_scalar("select left(encode(id, 'hex'), 12) from sessions order by created_at");
    ids.fetch_all(&app.database.pool).await.expect("ids")
}

#[actix_web::test]
async fn each_event_logs_one_line_with_its_account_client_and_session() {
    let app = spawn().await;
    let account = account(&app, ADA).await;
    let browser = app.browser();

    browser.log_in_from("203.0.113.7", ADA, "a guess").await;
    browser.log_in_from("203.0.113.7", ADA, PASSWORD).await;
    let session = sessions(&app).await.remove(0);
    browser.post("/confirm", &[("password", PASSWORD)]).await;
    browser.post("/account/password", &[("current", PASSWORD), ("new", NEW_PASSWORD)]).await;
    browser.get("/account/data").await;
    other(&app, &Account { epoch: 1, ..account }).await;
    let ended = sessions(&app).await.remove(1);
    browser.post("/account/sessions", &[("session", &ended)]).await;
    browser.post("/account/sessions", &[]).await;
    let last = sessions(&app).await.remove(0);
    browser.post("/logout", &[]).await;

    let found = events(account.id);
    let messages: Vec<&str> = found.iter().map(|(.., message)| message.as_str()).collect();
    let expected = [
        "a wrong password",
        "logged in",
        "confirmed the password",
        "changed the password",
        "downloaded the data",
        "logged in",
        &format!("ended the session {ended}"),
        "ended all 0 other sessions",
        "logged out",
    ];
    assert_eq!(messages, expected);
    assert_eq!((&*found[0].0, &*found[0].1), ("203.0.113.7", ""), "{found:#?}");
    assert_eq!((&*found[1].0, &found[1].1), ("203.0.113.7", &session), "{found:#?}");
    assert_eq!((&found[2].1, &found[8].1), (&session, &last), "{found:#?}");
}

#[actix_web::test]
async fn registrations_refused_attempts_invalid_sessions_and_deletions_are_logged() {
    let app = spawn().await;
    let browser = app.browser();
    browser.post("/register", &[("email", ADA), ("password", PASSWORD)]).await;
    let id: uuid::Uuid =
        sqlx::query_scalar("select id from accounts").fetch_one(&app.database.pool).await.expect("an id");
    app.database.execute("update accounts set epoch = 1").await;
    browser.get("/account").await;
    for _ in 0..4 {
        app.database.execute("update accounts set failures = 50").await;
        app.browser().log_in(ADA, "a guess").await;
    }
    browser.log_in(ADA, PASSWORD).await;
    browser.post("/account/delete", &[("password", PASSWORD)]).await;

    let messages: Vec<String> = events(id).into_iter().map(|(.., message)| message).collect();
    assert_eq!(messages[..3], ["registered", "logged in", "ended a session that is no longer valid"]);
    assert_eq!(
        messages[6..],
        ["refused an attempt: there were too many", "logged in", "deleted the account"]
    );
}

#[actix_web::test]
async fn passwords_session_keys_and_cookies_are_never_logged_even_at_trace() {
    let (app, ..) = ada().await;
    let (secret, encoded) = ("hush-7fb2 &1d", "hush-7fb2");
    let browser = app.browser();

    browser.post("/register", &[("email", "eve@example.org"), ("password", secret)]).await;
    let login = browser.log_in("eve@example.org", secret).await;
    browser.log_in(ADA, &format!("{secret}-wrong")).await;
    browser.post("/login", &[("password", secret)]).await;
    browser.get("/account").await;
    browser.post("/account/password", &[("current", secret), ("new", &format!("{secret}-new"))]).await;
    app.database.execute("alter table accounts rename to away").await;
    let failed = browser.log_in("eve@example.org", secret).await;

    assert_eq!(failed.status, 500, "{failed:#?}");
    assert!(!log::lines_of(failed.request_id()).is_empty(), "the failure is in the log");
    let cookie = login.cookie("id").expect("a cookie");
    let (_, value) = cookie.split_once('=').expect("a value");
    let key = decrypt(SECRET, &cookie).expect("this app's cookie");
    for hidden in [encoded, "$argon2id$", value, &*key] {
        assert_eq!(log::lines_with(hidden), [""; 0], "{hidden}");
    }
    assert!(!log::lines_with("\"level\":\"TRACE\"").is_empty(), "the log is at trace");
}
