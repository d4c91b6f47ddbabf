use reqwest::Method;

use crate::support::{Page, TestApp};

#[actix_web::test]
async fn logging_out_deletes_the_session_row_and_the_cookie() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    let page = browser.post("/logout").await;

    assert_eq!((page.status.as_u16(), page.header("location")), (303, "/"), "{page:#?}");
    let removal = page.set_cookies().into_iter().find(|set| set.starts_with("id=;")).expect("a removal");
    assert!(removal.contains("Max-Age=0") && removal.contains("Path=/"), "{removal}");
    assert_eq!(page.header("clear-site-data"), r#""cache", "storage""#);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn after_logout_a_new_user_is_told_once_that_the_old_session_is_gone() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    let user = browser.get("/").await.user().to_owned();
    browser.get("/").await;
    browser.post("/logout").await;

    let after = browser.get("/").await;
    let later = browser.get("/").await;

    assert_eq!((after.visits(), later.visits()), (1, 2));
    assert_ne!(after.user(), user);
    assert!(after.body.contains("old session is gone"), "{after:#?}");
    assert!(!later.body.contains("old session is gone"), "{later:#?}");
    let set: Vec<&str> =
        after.set_cookies().iter().map(|set| set.split('=').next().expect("a name")).collect();
    assert_eq!(set, ["id", "notice"], "curl 7.88 takes a removal back when another cookie follows it");
}

#[actix_web::test]
async fn the_old_cookie_replayed_is_a_stranger() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;
    Page::of(app.request(Method::GET, "/logout").header("cookie", &cookie)).await;

    let replayed = app.get_with("/", &cookie).await;

    assert_eq!((replayed.status.as_u16(), replayed.visits()), (200, 1));
    assert_ne!(replayed.user(), first.user());
}

#[actix_web::test]
async fn a_visitor_without_a_session_can_log_out_and_is_told_nothing() {
    let app = TestApp::spawn().await;
    let browser = app.browser();

    let page = browser.post("/logout").await;
    let after = browser.get("/").await;

    assert_eq!(page.status, 303, "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert!(!after.body.contains("old session is gone"), "{after:#?}");
}

#[actix_web::test]
async fn logging_out_of_a_session_that_has_ended_still_removes_the_cookie() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;

    let page = browser.post("/logout").await;

    let removals = page.set_cookies().into_iter().filter(|set| set.starts_with("id=;")).count();
    assert_eq!(removals, 1, "{page:#?}");
}

#[actix_web::test]
async fn a_link_logs_out_where_the_person_asked_for_it() {
    for site in [Some("same-origin"), Some("none"), None] {
        let app = TestApp::spawn().await;
        let browser = app.browser();
        browser.get("/").await;

        let mut request = browser.request(Method::GET, "/logout");
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let page = Page::of(request).await;

        assert_eq!(page.status, 303, "{site:?} {page:#?}");
        assert_eq!(app.database.number("select count(*) from sessions").await, 0);
    }
}

#[actix_web::test]
async fn a_link_on_another_site_or_a_prefetch_only_shows_the_page() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    for (site, purpose) in
        [("cross-site", ""), ("same-site", ""), ("same-origin", "prefetch"), ("none", "prefetch;prerender")]
    {
        let request = browser.request(Method::GET, "/logout").header("sec-fetch-site", site);
        let page = Page::of(request.header("sec-purpose", purpose)).await;

        assert_eq!(page.status, 200, "{site} {purpose} {page:#?}");
        assert!(page.body.contains(r#"<form method="post" action="/logout""#), "{page:#?}");
    }
    let head = Page::of(browser.request(Method::HEAD, "/logout")).await;

    assert_eq!(head.status, 200, "{head:#?}");
    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn another_site_can_not_post_a_logout() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("x-none", ""),
    ] {
        let page = Page::of(browser.request(Method::POST, "/logout").header(name, value)).await;

        assert_eq!(page.status, 403, "{name}: {value} {page:#?}");
        assert!(page.body.contains("<html"), "{page:#?}");
    }
    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn an_older_browser_logs_out_by_its_origin() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    let page = Page::of(browser.request(Method::POST, "/logout").header("origin", &app.url)).await;

    assert_eq!(page.status, 303, "{page:#?}");
}
