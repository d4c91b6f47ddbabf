//! Every failure returns a page that shows its status and request ID, but nothing about its cause.

use actix_web::rt;
use reqwest::Method;
use serde_json::Value;

use crate::headers::assert_secure;
use crate::support::{Page, TestApp, log};

fn assert_error_page(page: &Page, status: u16, what: &str) {
    assert_eq!(page.status.as_u16(), status, "{what} {page:#?}");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what} {page:#?}");
    assert!(page.body.contains("<html"), "{what} {page:#?}");
    assert!(!log::lines_with(page.request_id()).is_empty(), "{what}: its id is in the log");
}

#[actix_web::test]
async fn head_works_and_a_wrong_method_returns_a_405_page_that_lists_the_allowed_ones() {
    let app = TestApp::spawn().await;

    for (method, path, allowed) in [
        (Method::POST, "/", &["GET", "HEAD"][..]),
        (Method::PUT, "/logout", &["GET", "HEAD", "POST"]),
        (Method::POST, "/visits", &["GET", "HEAD"]), // demo
        (Method::POST, "/probe", &["GET", "HEAD"]),
        (Method::DELETE, "/probe", &["GET", "HEAD"]),
        (Method::POST, "/health/live", &["GET", "HEAD"]),
        (Method::POST, "/health/ready", &["GET", "HEAD"]),
        (Method::POST, "/static/app.css", &["GET", "HEAD"]),
        (Method::POST, "/static/favicon.svg", &["GET", "HEAD"]),
    ] {
        let page = app.send(method.clone(), path, &[("sec-fetch-site", "same-origin")]).await;

        assert_error_page(&page, 405, path);
        assert_eq!(page.allow(), allowed, "{method} {path}");
        let head = app.send(Method::HEAD, path, &[]).await;
        assert_eq!(
            (head.status.as_u16(), head.header("content-length") != "0"),
            (200, true),
            "{path} {head:#?}"
        );
    }
}

#[actix_web::test]
async fn an_invalid_or_incomplete_form_json_or_query_returns_a_400_page() {
    let app = TestApp::spawn().await;
    let query = |query: &str| app.request(Method::GET, &format!("/probe-query{query}"));
    let post = |path, kind| app.post(path).header("content-type", kind);
    let form = |body: &'static str| post("/probe-form", "application/x-www-form-urlencoded").body(body);
    let json = |body: &'static str| post("/probe-json", "application/json").body(body);
    // printf n=7 | gzip -n
    let gzipped = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcb\xb35\x07\0\x89\xd2\x5d\x6f\x03\0\0\0";
    let gzipped = form("").header("content-encoding", "gzip").body(gzipped.to_vec());

    for valid in [query("?n=7"), form("n=7"), json(r#"{"n":7}"#), gzipped] {
        assert_eq!(Page::of(valid).await.body, "7");
    }
    let queries = ["", "?", "?m=7", "?n=", "?n=canary", "?n=-1", "?n=1&n=2"].map(query);
    let forms =
        ["", "m=7", "n=", "n=canary", "n=-1", "n=1&n=2", "n=4294967296", "n=%ff", "{\"n\":7}"].map(form);
    let invalid = ["", "{}", "{", "[]", "null", r#"{"n":"canary"}"#, r#"{"n":-1}"#, r#"{"m":7}"#, "n=7"];
    for request in queries.into_iter().chain(forms).chain(invalid.map(json)) {
        let what = format!("{request:?}");
        let page = Page::of(request).await;

        assert_error_page(&page, 400, &what);
        for hidden in ["canary", "field", "line 1"] {
            assert!(!page.body.contains(hidden), "{what} {page:#?}");
        }
    }
}

#[actix_web::test]
async fn an_unknown_or_invalid_path_returns_a_404_page() {
    let app = TestApp::spawn().await;

    assert_eq!(app.get("/probe-path/7").await.body, "7");
    for path in ["/nothing/here", "/probe-path/", "/probe-path/canary", "/probe-path/-1", "/probe-path/1/2"] {
        let page = app.get(path).await;

        assert_error_page(&page, 404, path);
        assert!(!page.body.contains("canary"), "{path} {page:#?}");
    }
    assert_error_page(&app.get("/probe-path/%ff").await, 404, "%ff");
}

/// Asserts that the request for this page logged one error, which contains `cause`.
fn assert_logged_once(page: &Page, cause: &str) {
    let lines: Vec<Value> =
        log::lines_of(page.request_id()).into_iter().filter(|line| line["level"] == "ERROR").collect();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.to_string().contains(cause), "{line}");
}

#[actix_web::test]
async fn a_failed_handler_and_a_panic_return_a_500_page_and_a_guard_keeps_its_own_status() {
    let app = TestApp::spawn().await;

    for (path, status, hidden) in [
        ("/probe-error", 500, "canary"),
        ("/probe-panic", 500, "handler panics"),
        ("/probe-forbidden", 403, "for members only"),
    ] {
        let page = app.get(path).await;

        assert_error_page(&page, status, path);
        assert!(!page.body.contains(hidden), "{page:#?}");
        if path == "/probe-error" {
            assert_logged_once(&page, "a canary");
        }
    }
}

#[actix_web::test]
async fn each_page_returns_a_503_page_at_its_own_deadline() {
    let app = TestApp::spawn().await;
    let (user, cookie) = app.start().await;

    let longest = app.hold("nothing", "slow", &cookie).await;
    let usual = rt::spawn(Page::of(app.request(Method::GET, "/probe-stuck")));
    let shortest = app.get("/probe-slow").await;
    let usual_is_over = usual.is_finished();
    let usual = usual.await.expect("a response");
    app.release("slow");
    let longest = longest.await.expect("a response");

    assert!(!usual_is_over, "the shortest deadline is the first");
    assert_eq!((longest.status.as_u16(), longest.visitor()), (200, &*user), "{longest:#?}");
    for page in [shortest, usual] {
        assert_error_page(&page, 503, "too slow");
        assert_eq!(page.header("retry-after"), "5", "{page:#?}");
        let (_, main) = page.body.split_once("<main").expect("a page");
        let (main, _) = main.split_once("</main>").expect("a page");
        assert!(!main.contains("database"), "it may not be the cause: {main}");
    }
}

#[actix_web::test]
async fn a_page_whose_session_cannot_be_read_in_time_returns_a_503_page() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    app.get_with("/", &cookie).await; // demo
    let mut lock = app.database.pool.begin().await.expect("a transaction");
    sqlx::query("lock table sessions").execute(&mut *lock).await.expect("a lock");

    let page = app.get_with("/", &cookie).await;

    assert_error_page(&page, 503, "/");
    assert_eq!(page.header("retry-after"), "5", "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert_secure(&page, "without a session");
    assert_eq!(app.database.number("select count(*) from visitors").await, 0, "no visit is counted"); // demo
}

#[actix_web::test]
async fn a_missing_table_returns_a_500_page_that_does_not_name_it_and_logs_one_error() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    app.database.execute("alter table sessions rename to elsewhere").await;

    for (path, cookie) in [
        ("/", ""), // demo
        ("/", &*cookie),
        ("/probe", &cookie),
        ("/probe/start", ""),
    ] {
        let page = app.get_with(path, cookie).await;

        assert_error_page(&page, 500, path);
        assert!(!page.body.contains("elsewhere") && !page.body.contains("relation"), "{page:#?}");
        assert_secure(&page, path);
        assert_eq!(page.header("cache-control"), "no-store", "{page:#?}");
        assert_logged_once(&page, "does not exist");
        assert!(log::lines_with(page.request_id()).iter().all(|line| !line.contains("has visited"))); // demo
    }
}

/// Writes to the session fail, either because the database is shutting down or for a different reason.
#[actix_web::test]
async fn a_failed_write_of_the_session_returns_an_error_page_without_a_cookie() {
    let app = TestApp::spawn().await;
    let (user, cookie) = app.start().await;
    let refuse = "create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'a canary' using errcode = '57P01'; end $$;
        create trigger refuse before insert or update or delete on sessions for each row execute function refuse()";
    let for_another_reason = "create or replace function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'a canary'; end $$";

    for (sql, status, retry_after) in [(refuse, 503, "5"), (for_another_reason, 500, "")] {
        app.database.execute(sql).await;
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
            assert_eq!(page.header("retry-after"), retry_after, "{action} {page:#?}");
            assert!(page.set_cookies().is_empty() && !page.body.contains("canary"), "{action} {page:#?}");
        }
    }
    assert_eq!(app.get_with("/probe", &cookie).await.visitor(), user, "the session is as it was");
}
