use std::sync::Arc;

use reqwest::Method;

use crate::support::{Page, TestApp, log};

#[actix_web::test]
async fn a_first_visit_greets_a_new_user_and_starts_one_session() {
    let app = TestApp::spawn().await;

    let page = app.browser().get("/").await;

    assert_eq!(page.status, 200, "{page:#?}");
    assert_eq!(page.visits(), 1);
    assert_eq!(page.user().len(), 36, "{page:#?}");
    assert_eq!(page.set_cookies().len(), 1, "{page:#?}");
    assert!(page.body.contains("new session"), "{page:#?}");
    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
    assert_eq!(app.database.number("select count(*) from users").await, 1);
}

#[actix_web::test]
async fn the_session_names_the_user_in_json_that_can_be_queried() {
    let app = TestApp::spawn().await;

    app.browser().get("/").await;

    let same = "select count(*) from sessions join users on state->>'user_id' = users.id::text";
    assert_eq!(app.database.number(same).await, 1);
}

#[actix_web::test]
async fn the_tenth_visit_shows_ten_and_logs_it() {
    let app = TestApp::spawn().await;
    let browser = app.browser();

    let first = browser.get("/").await;
    for visit in 2..10 {
        assert_eq!(browser.get("/").await.visits(), visit);
    }
    let tenth = browser.get("/").await;

    assert_eq!(tenth.visits(), 10);
    assert_eq!(tenth.user(), first.user());
    assert!(tenth.set_cookies().is_empty(), "the cookie stays as it is: {tenth:#?}");
    let line = format!("User {} has visited the page 10 times", first.user());
    assert_eq!(log::lines_with(&line).len(), 1);
}

#[actix_web::test]
async fn two_visitors_have_two_counts() {
    let app = TestApp::spawn().await;
    let (one, other) = (app.browser(), app.browser());

    one.get("/").await;
    one.get("/").await;
    let others = other.get("/").await;
    let ones = one.get("/").await;

    assert_eq!((ones.visits(), others.visits()), (3, 1));
    assert_ne!(ones.user(), others.user());
}

#[actix_web::test]
async fn two_hundred_visits_at_once_raise_the_count_by_two_hundred() {
    let app = Arc::new(TestApp::spawn().await);
    let (_, cookie) = app.new_session().await;

    let visits = (0..200).map(|_| {
        let request = app.request(Method::GET, "/").header("cookie", &cookie);
        actix_web::rt::spawn(async { Page::of(request).await })
    });
    let mut seen = Vec::new();
    for visit in visits.collect::<Vec<_>>() {
        let page = visit.await.expect("a page");
        assert_eq!(page.status, 200, "{page:#?}");
        seen.push(page.visits());
    }
    seen.sort_unstable();

    assert_eq!(seen, (2..=201).collect::<Vec<_>>(), "every visitor sees a number of their own");
    assert_eq!(app.database.number("select visits from users").await, 201);
}

#[actix_web::test]
async fn head_counts_nothing_and_starts_nothing() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::HEAD, "/")).await;

    assert_eq!(page.status, 200, "{page:#?}");
    assert!(page.body.is_empty() && page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(
        app.database.number("select (select count(*) from users) + (select count(*) from sessions)").await,
        0
    );
}

#[actix_web::test]
async fn a_prefetch_counts_nothing_and_starts_nothing() {
    let app = TestApp::spawn().await;

    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        let page = Page::of(app.request(Method::GET, "/").header(name, value)).await;

        assert_eq!(page.status, 200, "{page:#?}");
        assert!(page.set_cookies().is_empty(), "{page:#?}");
    }
    assert_eq!(
        app.database.number("select (select count(*) from users) + (select count(*) from sessions)").await,
        0
    );
}

#[actix_web::test]
async fn a_prefetch_of_a_known_visitor_shows_the_count_as_it_is() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    let ahead = Page::of(browser.request(Method::GET, "/").header("sec-purpose", "prefetch")).await;

    assert_eq!(ahead.visits(), 1);
    assert_eq!(browser.get("/").await.visits(), 2);
}

#[actix_web::test]
async fn the_cookie_is_secure_and_host_bound_unless_told_otherwise() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;

    let page = Page::of(app.request(Method::GET, "/")).await;

    let [cookie] = page.set_cookies()[..] else { panic!("{page:#?}") };
    let mut parts: Vec<&str> = cookie.split("; ").skip(1).collect();
    parts.sort_unstable();
    assert!(cookie.starts_with("__Host-id="), "{cookie}");
    assert_eq!(parts, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
}

#[actix_web::test]
async fn the_cookie_shows_nothing_of_the_key_or_the_user() {
    let app = TestApp::spawn().await;

    let (page, cookie) = app.new_session().await;

    assert!(!cookie.contains(page.user()) && cookie.len() > 100, "{cookie}");
}
