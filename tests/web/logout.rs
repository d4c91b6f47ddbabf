//! `/logout`, and the link to it.

use reqwest::Method;

use crate::{
    headers::assert_nothing_inline,
    support::{Page, TestApp},
};

/// The links to the pages at the top of a page.
fn navigation(page: &Page) -> &str {
    let (_, rest) = page.body.split_once("<nav").unwrap_or_else(|| panic!("no navigation in {page:#?}"));
    rest.split_once("</nav>").map_or(rest, |(navigation, _)| navigation)
}

#[actix_web::test]
async fn logging_out_deletes_the_session_row_the_cookie_and_what_the_browser_has_stored() {
    let (app, browser) = TestApp::spawn_with_session().await;

    let page = browser.post("/logout", &[]).await;

    assert_eq!((page.status.as_u16(), page.header("location")), (303, "/"), "{page:#?}");
    let removal = page.set_cookies().into_iter().find(|set| set.starts_with("id=;")).expect("a removal");
    assert!(removal.contains("Max-Age=0") && removal.contains("Path=/"), "{removal}");
    assert_eq!(page.header("cache-control"), "no-store");
    // Chromium takes seconds for "cache", and pages are never cached anyway.
    assert_eq!(page.header("clear-site-data"), r#""storage""#, "{page:#?}");
    assert_eq!(app.sessions().await, 0);
}

#[actix_web::test]
async fn replaying_the_cookie_after_a_logout_finds_no_session() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;
    app.get_with("/logout", &cookie).await;

    let replayed = app.get_with("/probe", &cookie).await;

    assert_eq!((replayed.status.as_u16(), replayed.visitor()), (200, ""), "{replayed:#?}");
}

#[actix_web::test]
async fn logging_out_of_an_expired_session_still_removes_the_cookie() {
    let (app, browser) = TestApp::spawn_with_session().await;
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;

    let page = browser.post("/logout", &[]).await;

    let removals = page.set_cookies().into_iter().filter(|set| set.starts_with("id=;")).count();
    assert_eq!(removals, 1, "{page:#?}");
}

#[actix_web::test]
async fn a_link_logs_out_if_the_person_asked_for_it_and_an_older_browser_posts_by_its_origin() {
    let (app, browser) = TestApp::spawn_with_session().await;

    for (method, name, value) in [
        (Method::GET, "sec-fetch-site", "same-origin"),
        (Method::GET, "sec-fetch-site", "none"),
        (Method::GET, "x-none", ""),
        (Method::POST, "origin", &app.url),
    ] {
        browser.get("/probe/start").await;
        let page = Page::of(browser.request(method.clone(), "/logout").header(name, value)).await;

        assert_eq!(page.status, 303, "{method} {name}: {value} {page:#?}");
        assert_eq!(app.sessions().await, 0, "{method} {name}: {value}");
    }
}

#[actix_web::test]
async fn a_link_on_another_site_a_prefetch_or_the_navigation_only_shows_the_page() {
    let (app, browser) = TestApp::spawn_with_session().await;

    for (path, site, purpose) in [
        ("/logout", "cross-site", ""),
        ("/logout", "same-site", ""),
        ("/logout", "same-origin", "prefetch"),
        ("/logout", "none", "prefetch;prerender"),
        ("/logout?confirm", "same-origin", ""),
    ] {
        let request = browser.request(Method::GET, path).header("sec-fetch-site", site);
        let page = Page::of(request.header("sec-purpose", purpose)).await;

        assert_eq!(page.status, 200, "{path} {site} {purpose} {page:#?}");
        assert!(page.body.contains(r#"<form method="post" action="/logout">"#), "{page:#?}");
        assert_nothing_inline(&page);
    }
    let head = Page::of(browser.request(Method::HEAD, "/logout")).await;

    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "{head:#?}");
    assert_eq!(app.sessions().await, 1);
}

#[actix_web::test]
async fn another_site_can_not_post_a_logout() {
    let (app, browser) = TestApp::spawn_with_session().await;

    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-none", "")]
    {
        let page = Page::of(browser.request(Method::POST, "/logout").header(name, value)).await;

        assert_eq!(page.status, 403, "{name}: {value} {page:#?}");
        assert!(page.body.contains("<html"), "{page:#?}");
    }
    assert_eq!(app.sessions().await, 1);
}

#[actix_web::test]
async fn the_navigation_offers_to_log_out_only_with_a_session() {
    let app = TestApp::spawn().await;
    let browser = app.browser();

    let prefetched = Page::of(app.request(Method::GET, "/").header("sec-purpose", "prefetch")).await;
    let foreign = app.request(Method::GET, "/logout").header("sec-fetch-site", "cross-site");
    let without = [prefetched, Page::of(foreign).await, browser.get("/nothing").await];
    let foreign = browser.request(Method::GET, "/logout").header("sec-fetch-site", "cross-site");
    browser.get("/probe/start").await;
    let with = [browser.get("/").await, Page::of(foreign).await];

    for page in without {
        assert!(!navigation(&page).contains(r#"href="/logout?confirm""#), "{page:#?}");
    }
    for page in with {
        assert!(navigation(&page).contains(r#"href="/logout?confirm""#), "{page:#?}");
    }
}
