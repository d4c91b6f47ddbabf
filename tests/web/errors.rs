//! Every failure is a page: its status, its request id, and nothing about its cause.

use std::time::{Duration, Instant};

use app::limits::PAGE_DEADLINE;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::support::{Page, TestApp, log};

fn assert_error_page(page: &Page, status: u16, what: &str) {
    assert_eq!(page.status.as_u16(), status, "{what} {page:#?}");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what} {page:#?}");
    assert!(page.body.contains("<html"), "{what} {page:#?}");
    assert!(!log::lines_with(page.request_id()).is_empty(), "{what}: its id is in the log");
}

/// A request from this site's own page.
fn post(app: &TestApp, path: &str) -> RequestBuilder {
    app.request(Method::POST, path).header("sec-fetch-site", "same-origin")
}

#[actix_web::test]
async fn an_unknown_path_is_a_404_page() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/nothing/here")).await;

    assert_error_page(&page, 404, "/nothing/here");
}

#[actix_web::test]
async fn a_wrong_method_is_a_405_page_that_names_the_right_ones() {
    let app = TestApp::spawn().await;

    for (method, path, allowed) in [
        (Method::POST, "/probe", "GET, HEAD"),
        (Method::DELETE, "/probe", "GET, HEAD"),
        (Method::POST, "/health/live", "GET, HEAD"),
        (Method::POST, "/static/app.css", "GET, HEAD"),
    ] {
        let request = app.request(method.clone(), path).header("sec-fetch-site", "same-origin");
        let page = Page::of(request).await;

        let mut allow: Vec<&str> = page.header("allow").split(", ").collect();
        allow.sort_unstable();
        assert_error_page(&page, 405, path);
        assert_eq!(allow.join(", "), allowed, "{method} {path}");
    }
}

#[actix_web::test]
async fn head_works_wherever_get_does() {
    let app = TestApp::spawn().await;

    for path in ["/probe", "/static/app.css", "/static/favicon.svg", "/health/live", "/health/ready"] {
        let page = Page::of(app.request(Method::HEAD, path)).await;

        assert_eq!(page.status, 200, "{path} {page:#?}");
        assert!(page.body.is_empty() && page.header("content-length") != "0", "{path} {page:#?}");
    }
}

#[actix_web::test]
async fn an_invalid_or_incomplete_form_is_a_400_page() {
    let app = TestApp::spawn().await;
    const FORM: &str = "application/x-www-form-urlencoded";

    assert_eq!(Page::of(post(&app, "/probe-form").form(&[("n", "7")])).await.body, "7");
    for body in ["", "m=7", "n=", "n=canary", "n=-1", "n=1&n=2", "n=4294967296", "n=%ff", "{\"n\":7}"] {
        let page = Page::of(post(&app, "/probe-form").header("content-type", FORM).body(body)).await;

        assert_error_page(&page, 400, body);
        assert!(!page.body.contains("canary") && !page.body.contains("field"), "{body} {page:#?}");
    }
}

#[actix_web::test]
async fn invalid_or_incomplete_json_is_a_400_page() {
    let app = TestApp::spawn().await;
    const JSON: &str = "application/json";

    let valid = post(&app, "/probe-json").header("content-type", JSON).body(r#"{"n":7}"#);
    assert_eq!(Page::of(valid).await.body, "7");
    for body in ["", "{}", "{", "[]", "null", r#"{"n":"canary"}"#, r#"{"n":-1}"#, r#"{"m":7}"#, "n=7"] {
        let page = Page::of(post(&app, "/probe-json").header("content-type", JSON).body(body)).await;

        assert_error_page(&page, 400, body);
        assert!(!page.body.contains("canary") && !page.body.contains("line 1"), "{body} {page:#?}");
    }
}

#[actix_web::test]
async fn an_invalid_or_incomplete_query_is_a_400_page() {
    let app = TestApp::spawn().await;

    assert_eq!(Page::of(app.request(Method::GET, "/probe-query?n=7")).await.body, "7");
    for query in ["", "?", "?m=7", "?n=", "?n=canary", "?n=-1", "?n=1&n=2"] {
        let page = Page::of(app.request(Method::GET, &format!("/probe-query{query}"))).await;

        assert_error_page(&page, 400, query);
        assert!(!page.body.contains("canary") && !page.body.contains("field"), "{query} {page:#?}");
    }
}

#[actix_web::test]
async fn an_invalid_path_is_a_404_page() {
    let app = TestApp::spawn().await;

    assert_eq!(Page::of(app.request(Method::GET, "/probe-path/7")).await.body, "7");
    for path in ["/probe-path/", "/probe-path/canary", "/probe-path/-1", "/probe-path/1/2", "/probe-path/%ff"]
    {
        let page = Page::of(app.request(Method::GET, path)).await;

        assert_error_page(&page, 404, path);
        assert!(!page.body.contains("canary"), "{path} {page:#?}");
    }
}

#[actix_web::test]
async fn a_failed_handler_is_a_500_page_and_its_cause_is_logged_once() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/probe-error")).await;

    assert_error_page(&page, 500, "/probe-error");
    assert!(!page.body.contains("canary"), "{page:#?}");
    let lines: Vec<Value> =
        log::lines_of(page.request_id()).into_iter().filter(|line| line["level"] == "ERROR").collect();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.to_string().contains("a canary"), "{line}");
}

#[actix_web::test]
async fn a_panic_is_a_500_page() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/probe-panic")).await;

    assert_error_page(&page, 500, "/probe-panic");
    assert!(!page.body.contains("handler of the tests"), "{page:#?}");
}

#[actix_web::test]
async fn a_page_that_is_too_slow_for_its_own_deadline_is_a_503_page() {
    let app = TestApp::spawn().await;
    let start = Instant::now();

    let page = Page::of(app.request(Method::GET, "/probe-slow")).await;

    let took = start.elapsed();
    assert_error_page(&page, 503, "/probe-slow");
    assert_eq!(page.header("retry-after"), "5", "{page:#?}");
    assert!(took >= Duration::from_millis(50) && took < PAGE_DEADLINE, "{took:?}");
}

#[actix_web::test]
async fn the_page_of_a_slow_request_does_not_blame_the_database() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/probe-slow")).await;

    assert_error_page(&page, 503, "/probe-slow");
    let (_, main) = page.body.split_once("<main").expect("a page");
    let (main, _) = main.split_once("</main>").expect("a page");
    assert!(!main.contains("database"), "{main}");
}

#[actix_web::test]
async fn a_compressed_form_is_read_like_any_other() {
    let app = TestApp::spawn().await;
    // printf n=7 | gzip -n
    let gzipped = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcb\xb35\x07\0\x89\xd2\x5d\x6f\x03\0\0\0";
    let request = app.request(Method::POST, "/probe-form").header("sec-fetch-site", "same-origin");
    let request = request.header("content-type", "application/x-www-form-urlencoded");

    let page = Page::of(request.header("content-encoding", "gzip").body(gzipped.to_vec())).await;

    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "7"), "{page:#?}");
}

#[actix_web::test]
async fn a_guard_keeps_its_own_status() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/probe-forbidden")).await;

    assert_error_page(&page, 403, "/probe-forbidden");
}

#[actix_web::test]
async fn a_page_with_a_longer_deadline_may_take_longer_than_others() {
    let app = TestApp::spawn().await;
    let (user, cookie) = app.start().await;

    let slow = app.hold("nothing", "slow", &cookie).await;
    tokio::time::sleep(PAGE_DEADLINE + Duration::from_millis(200)).await;
    app.release("slow");
    let page = slow.await.expect("a response");

    assert_eq!((page.status.as_u16(), page.visitor()), (200, &*user), "{page:#?}");
}

#[actix_web::test]
async fn a_page_whose_session_can_not_be_read_in_time_returns_a_503_page() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    let mut lock = app.database.pool.begin().await.expect("a transaction");
    sqlx::query("lock table sessions").execute(&mut *lock).await.expect("a lock");

    let page = app.get_with("/", &cookie).await;

    assert_error_page(&page, 503, "/");
    assert_eq!(page.header("retry-after"), "5", "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:#?}");
}

#[actix_web::test]
async fn a_missing_table_returns_a_500_page_that_does_not_name_it() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    app.database.execute("alter table sessions rename to elsewhere").await;

    let page = app.get_with("/", &cookie).await;

    assert_error_page(&page, 500, "/");
    assert!(!page.body.contains("elsewhere") && !page.body.contains("relation"), "{page:#?}");
}

/// Writes of the session fail, because the database is about to shut down, or for any other reason.
#[actix_web::test]
async fn a_failed_write_of_the_session_returns_an_error_page_without_a_cookie() {
    writes_fail(
        "create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'a canary' using errcode = '57P01'; end $$",
        503,
    )
    .await;
    writes_fail(
        "create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'a canary'; end $$",
        500,
    )
    .await;
}

async fn writes_fail(refuse: &'static str, status: u16) {
    let app = TestApp::spawn().await;
    let (user, cookie) = app.start().await;
    app.database.execute(refuse).await;
    app.database
        .execute("create trigger refuse before insert or update or delete on sessions for each row execute function refuse()")
        .await;

    for (action, cookie) in [
        ("start", ""),
        ("log-in", ""),
        ("write", &*cookie),
        ("rotate", &cookie),
        ("log-in", &cookie),
        ("end", &cookie),
    ] {
        let page = app.get_with(&format!("/probe/{action}"), cookie).await;

        assert_error_page(&page, status, action);
        assert_eq!(page.header("retry-after"), if status == 503 { "5" } else { "" }, "{action} {page:#?}");
        assert!(page.set_cookies().is_empty() && !page.body.contains("canary"), "{action} {page:#?}");
    }
    assert_eq!(app.get_with("/probe", &cookie).await.visitor(), user, "the session is as it was");
}

#[actix_web::test]
async fn a_session_that_grows_too_large_returns_a_500_page_and_stays_as_it_was() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    app.database.execute("update sessions set state = json_build_object('large', repeat('x', 65520))").await;

    let page = app.get_with("/probe/write", &cookie).await;

    assert_error_page(&page, 500, "/probe/write");
    let as_it_was =
        "select count(*) from sessions where state->>'large' = repeat('x', 65520) and state->>'note' is null";
    assert_eq!(app.database.number(as_it_was).await, 1);
}
