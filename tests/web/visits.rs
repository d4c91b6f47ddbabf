//! `/visits`. Every test of this page is in this file.

use reqwest::Method;
use serde_json::Value;

use crate::headers::assert_nothing_inline;
use crate::support::{Page, TestApp, eventually};

async fn text(app: &TestApp, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&app.database.pool).await.expect(sql)
}

/// GET with this `Accept` header, and the JSON of the response.
async fn json(app: &TestApp, cookie: &str, accept: &str) -> (Page, Value) {
    let page = app.send(Method::GET, "/visits", &[("accept", accept), ("cookie", cookie)]).await;
    let value = serde_json::from_str(&page.body).unwrap_or_else(|error| panic!("{error} {page:#?}"));
    (page, value)
}

#[actix_web::test]
async fn the_page_shows_the_user_the_count_and_the_times_and_counts_nothing() {
    let (app, browser) = TestApp::spawn_with_browser().await;
    let user = browser.get("/").await.visitor().to_owned();
    browser.get("/").await;
    app.database.execute("update sessions set created_at = now() - interval '90 minutes'").await;

    browser.get("/visits").await;
    let page = browser.get("/visits").await;

    assert_eq!((page.visitor(), page.visits()), (user.as_str(), 2));
    for sql in [
        r#"select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from sessions"#,
        r#"select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD, HH24:MI:SS "UTC"') from sessions"#,
        r#"select to_char(ends_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from sessions"#,
        r#"select to_char(last_visit_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from visitors"#,
    ] {
        let time = text(&app, sql).await;
        assert!(page.body.contains(&time), "{time} {page:#?}");
    }
    assert_eq!(app.database.number("select visits from visitors").await, 2);
}

#[actix_web::test]
async fn the_page_shows_the_time_left_and_resets_the_idle_timer_but_shows_no_expired_session() {
    let (app, browser) = TestApp::spawn_with_browser().await;
    let user = browser.get("/").await.visitor().to_owned();
    let in_minutes = "update sessions set expires_at = now() + interval '42 minutes 30 seconds'";
    app.database.execute(in_minutes).await;

    // No request would set so late a time, so the page must have read it from the row.
    let page = browser.get("/visits").await;

    assert!(page.element("in").starts_with("42m"), "{page:#?}");
    app.database.execute("update sessions set expires_at = now() + interval '12 minutes 30 seconds'").await;
    browser.get("/visits").await;
    let is_reset = "select count(*) from sessions where expires_at > now() + interval '29 minutes'";
    eventually("the idle timer is reset", async || app.database.number(is_reset).await == 1).await;
    assert!(browser.get("/visits").await.element("in").starts_with("29m"));

    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;
    let page = browser.get("/visits").await;
    assert!(page.try_element("visitor").is_none() && !page.body.contains(&user), "{page:#?}");
}

#[actix_web::test]
async fn the_page_shows_the_cookie_the_row_the_headers_and_the_statement_that_finds_the_session() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;
    let row = text(&app, "select encode(substr(id, 1, 6), 'hex') from sessions").await;

    let page = app.get_with("/visits", &cookie).await;

    assert!(page.body.contains(&row), "{row} {page:#?}");
    assert!(page.body.contains("HttpOnly") && page.body.contains("SameSite=Lax"), "{page:#?}");
    assert!(page.body.contains("&#34;visitor_id&#34;:") && page.body.contains(first.visitor()), "{page:#?}");
    assert!(!page.body.contains(cookie.trim_start_matches("id=")), "only the start of the value: {page:#?}");
    assert_nothing_inline(&page);
    assert!(page.body.contains("<dt>Set-Cookie</dt><dd>none") && page.set_cookies().is_empty(), "{page:#?}");
    for name in ["Cache-Control", "Content-Security-Policy"] {
        let (_, rest) = page.body.split_once(&format!("<dt>{name}</dt><dd><code>")).expect(name);
        let (shown, _) = rest.split_once("</code>").expect(name);
        assert!(page.header(name).starts_with(shown.trim_end_matches(" …")), "{name}: {shown}");
    }
    let shown = page.element("load").replace("&lt;", "<").replace("&gt;", ">");
    // The last statement on the store's connection, without the comment that replaces its plan.
    let ran = "select trim(e'\n' from split_part(query, ' -- ', 1)) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and query like '%is_due%'";
    assert_eq!(shown, text(&app, ran).await);
}

#[actix_web::test]
async fn without_a_session_the_page_offers_to_start_one_the_json_is_null_and_none_is_started() {
    let app = TestApp::spawn().await;

    let page = app.get("/visits").await;
    let (other_form, value) = json(&app, "", "application/json").await;

    assert_eq!(
        (page.status.as_u16(), other_form.status.as_u16(), value),
        (200, 200, Value::Null),
        "{page:#?}"
    );
    assert!(page.body.contains(r#"href="/""#) && page.try_element("visitor").is_none(), "{page:#?}");
    assert!(page.set_cookies().is_empty() && other_form.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(app.sessions().await, 0);
}

#[actix_web::test]
async fn a_client_that_prefers_json_gets_the_user_the_count_and_both_ends_of_the_session() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;
    app.get_with("/", &cookie).await;
    // No request would set so late a time, so it doesn't change between two requests.
    app.database.execute("update sessions set expires_at = now() + interval '40 minutes'").await;

    for accept in
        ["application/json", "application/json, text/plain, */*", "text/html;q=0.9, application/json"]
    {
        let (page, value) = json(&app, &cookie, accept).await;

        let ends = r#"select to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            || to_char(ends_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from sessions"#;
        let ends = text(&app, ends).await;
        let (expires_at, ends_at) = ends.split_at(20);
        let expected = serde_json::json!({
            "visitor_id": first.visitor(), "visits": 2, "expires_at": expires_at, "ends_at": ends_at
        });
        assert_eq!(value, expected, "{accept} {page:#?}");
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "application/json"));
        assert_eq!(page.header("cache-control"), "no-store", "one address has two forms: {page:#?}");
    }
    app.database.execute("update sessions set ends_at = now() + interval '5 minutes', expires_at = now() + interval '5 minutes'").await;
    let (page, value) = json(&app, &cookie, "application/json").await;
    assert!(value["ends_at"].is_string(), "{page:#?}");
    assert_eq!(value["expires_at"], value["ends_at"], "{page:#?}");

    for accept in [
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html, application/json;q=0.9",
        "*/*",
        "",
        "nonsense",
    ] {
        let page = app.send(Method::GET, "/visits", &[("accept", accept), ("cookie", &cookie)]).await;

        assert_eq!(page.status, 200, "{accept} {page:#?}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{accept} {page:#?}");
        assert_eq!(page.header("cache-control"), "no-store", "one address has two forms: {page:#?}");
    }
}
