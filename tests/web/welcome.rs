//! `/`: visits, counted exactly.

use actix_web::rt;
use futures_util::future::join_all;
use reqwest::Method;

use crate::headers::assert_nothing_inline;
use crate::support::{Page, TestApp, log};

const VISITORS: &str = "select count(*) from visitors";

#[actix_web::test]
async fn a_first_visit_writes_only_the_session_row_and_the_second_one_creates_the_visitor() {
    let (app, browser) = TestApp::spawn_with_browser().await;

    let first = browser.get("/").await;
    assert_eq!((app.sessions().await, app.database.number(VISITORS).await), (1, 0));
    let second = browser.get("/").await;

    assert_eq!((first.visits(), second.visits()), (1, 2), "{second:#?}");
    assert_eq!(first.visitor().len(), 36, "{first:#?}");
    assert_eq!((first.set_cookies().len(), second.set_cookies().len()), (1, 0), "{first:#?}");
    assert!(first.body.contains(r#"href="/logout?confirm""#), "{first:#?}");
    assert_nothing_inline(&first);
    assert_nothing_inline(&second);
    assert_eq!(app.database.number("select visits from visitors").await, 2);
    let same = "select count(*) from sessions join visitors on state->>'visitor_id' = visitors.id::text";
    assert_eq!((app.database.number(same).await, app.sessions().await), (1, 1));
}

#[actix_web::test]
async fn the_tenth_visit_shows_ten_and_logs_it_once() {
    let (_app, browser) = TestApp::spawn_with_browser().await;

    let first = browser.get("/").await;
    for visit in 2..10 {
        assert_eq!(browser.get("/").await.visits(), visit);
    }
    let tenth = browser.get("/").await;

    assert_eq!(tenth.visits(), 10);
    assert_eq!(tenth.visitor(), first.visitor());
    assert!(tenth.set_cookies().is_empty(), "the cookie stays the same: {tenth:#?}");
    let lines = log::lines_with(&format!("User {} has visited the page 10 times", first.visitor()));
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&line["visitor_id"], &line["visits"]), (&first.visitor().into(), &10.into()), "{line}");
    let request = log::lines_of_visit(first.visitor());
    assert!(
        request.iter().any(|line| line["message"] == "answered"),
        "it has its request's id: {request:#?}"
    );
}

#[actix_web::test]
async fn two_hundred_concurrent_visits_after_the_first_each_show_a_different_count() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.new_session().await;
    assert_eq!(app.database.number(VISITORS).await, 0, "any of them may be the second visit");

    let visits = (0..200).map(|_| Page::of(app.request(Method::GET, "/").header("cookie", &cookie)));
    let pages = join_all(visits.map(rt::spawn)).await;

    let pages: Vec<Page> = pages.into_iter().map(|page| page.expect("a page")).collect();
    for page in &pages {
        assert_eq!(page.status, 200, "{page:#?}");
    }
    let mut seen: Vec<i64> = pages.iter().map(Page::visits).collect();
    seen.sort_unstable();
    assert_eq!(seen, (2..=201).collect::<Vec<_>>());
    assert_eq!(app.database.number("select visits from visitors").await, 201);
}

/// How browsers announce a prefetch.
const AHEAD: [(&str, &str); 5] = [
    ("sec-purpose", "prefetch"),
    ("sec-purpose", "prefetch;prerender"),
    ("sec-purpose", "Prefetch; anonymous-client-ip"),
    ("purpose", "prefetch"),
    ("x-moz", "prefetch"),
];

#[actix_web::test]
async fn neither_head_nor_a_prefetch_starts_a_session_or_counts() {
    let (app, browser) = TestApp::spawn_with_browser().await;

    for (name, value) in AHEAD {
        let page = app.send(Method::GET, "/", &[(name, value)]).await;

        assert_eq!(page.status, 400, "{name}: {value} {page:#?}");
        assert!(page.set_cookies().is_empty() && page.try_element("visitor").is_none(), "{page:#?}");
    }
    let head = app.send(Method::HEAD, "/", &[]).await;
    assert_eq!((head.status.as_u16(), head.set_cookies().len()), (200, 0), "{head:#?}");
    assert_eq!((app.sessions().await, app.database.number(VISITORS).await), (0, 0));
    browser.get("/").await;
    assert_eq!(browser.send(Method::HEAD, "/", &[]).await.status, 200);
    for ((name, value), visit) in AHEAD.into_iter().zip(2..) {
        let ahead = browser.send(Method::GET, "/", &[(name, value)]).await;

        assert_eq!((ahead.status.as_u16(), ahead.try_element("visits")), (400, None), "{ahead:#?}");
        assert_eq!(browser.get("/").await.visits(), visit);
    }
}

#[actix_web::test]
async fn only_a_request_for_a_document_starts_a_session() {
    let app = TestApp::spawn().await;
    let get = async |destination| app.send(Method::GET, "/", &[("sec-fetch-dest", destination)]).await;

    for destination in ["image", "script", "iframe", "empty", ""] {
        let page = get(destination).await;

        assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0), "{destination} {page:#?}");
    }
    assert_eq!(app.sessions().await, 0);
    assert_eq!(get("document").await.visits(), 1);
}

#[actix_web::test]
async fn a_session_gets_the_configured_lifetime() {
    let settings = [("SESSION_IDLE_TIMEOUT", "20m"), ("SESSION_MAX_AGE", "5h")];
    let app = TestApp::spawn_with(&settings).await;

    app.get("/").await;

    let lifetime = "select count(*) from sessions where idle_seconds = 1200
        and ends_at = created_at + interval '5 hours' and expires_at = created_at + interval '20 minutes'";
    assert_eq!(app.database.number(lifetime).await, 1);
}

#[actix_web::test]
async fn a_visit_after_a_login_is_never_refused_and_leaves_the_session_unchanged() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;
    app.new_session().await;
    let cookie = app.get_with("/probe/log-in", "").await.cookie("id").expect("a cookie");

    let page = app.get_with("/", &cookie).await;
    let next = app.get_with("/", &cookie).await;

    for page in [page, next] {
        assert_eq!((page.status.as_u16(), page.try_element("visits")), (200, None), "{page:#?}");
        assert!(page.set_cookies().is_empty(), "{page:#?}");
    }
    let as_it_was =
        "select count(*) from sessions where owner is not null and state::text = '{\"account\":7}'";
    assert_eq!(app.database.number(as_it_was).await, 1);
}

#[actix_web::test]
async fn the_log_of_a_failed_statement_does_not_quote_the_row() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.new_session().await;
    app.database.execute("alter table visitors add constraint canary check (visits < 0)").await;

    let page = app.get_with("/", &cookie).await;

    assert_eq!(page.status, 500, "{page:#?}");
    let lines = log::lines_with(page.request_id());
    assert!(lines.iter().any(|line| line.contains("canary")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("Failing row")), "{lines:#?}");
}
