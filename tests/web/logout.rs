//! `/logout`, the link to it, and the message that the next page shows once.

use reqwest::Method;

use crate::headers::assert_nothing_inline;
use crate::support::{Page, TestApp};

/// The navigation links at the top of a page.
fn navigation(page: &Page) -> &str {
    let (_, rest) = page.body.split_once("<nav").unwrap_or_else(|| panic!("no navigation in {page:#?}"));
    rest.split_once("</nav>").map_or(rest, |(navigation, _)| navigation)
}

#[actix_web::test]
async fn logging_out_deletes_the_session_row_the_cookie_and_what_the_browser_has_stored() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;

    let page = Page::of(app.post("/logout").header("cookie", &cookie)).await;
    let replayed = app.get_with("/probe", &cookie).await;

    assert_eq!((page.status.as_u16(), page.header("location")), (303, "/"), "{page:#?}");
    assert_eq!((replayed.status.as_u16(), replayed.visitor()), (200, ""), "{replayed:#?}");
    let removal = page.set_cookies().into_iter().find(|set| set.starts_with("id=;")).expect("a removal");
    assert!(removal.contains("Max-Age=0") && removal.contains("Path=/"), "{removal}");
    assert_eq!(page.header("cache-control"), "no-store");
    // Chromium takes seconds for "cache", and pages are never cached anyway.
    assert_eq!(page.header("clear-site-data"), r#""storage""#, "{page:#?}");
    assert_eq!(app.sessions().await, 0);
}

#[actix_web::test]
async fn logging_out_of_an_expired_session_removes_the_cookie_and_without_a_session_sets_none() {
    let (app, browser) = TestApp::spawn_with_session().await;
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;

    let page = browser.post("/logout", &[]).await;

    let removals = page.set_cookies().into_iter().filter(|set| set.starts_with("id=;")).count();
    assert_eq!(removals, 1, "{page:#?}");
    let again = browser.post("/logout", &[]).await;
    assert_eq!((again.status.as_u16(), again.set_cookies().len()), (303, 0), "{again:#?}");
}

#[actix_web::test]
async fn a_link_on_this_site_a_typed_url_and_a_post_with_only_an_origin_log_out() {
    let (app, browser) = TestApp::spawn_with_session().await;

    for (method, name, value) in [
        (Method::GET, "sec-fetch-site", "same-origin"),
        (Method::GET, "sec-fetch-site", "none"),
        (Method::GET, "x-none", ""),
        (Method::POST, "origin", &app.url),
    ] {
        browser.get("/probe/start").await;
        let page = browser.send(method.clone(), "/logout", &[(name, value)]).await;

        assert_eq!(page.status, 303, "{method} {name}: {value} {page:#?}");
        assert_eq!(app.sessions().await, 0, "{method} {name}: {value}");
    }
}

#[actix_web::test]
async fn links_on_other_sites_prefetches_and_the_navigation_show_the_logout_page_without_logging_out() {
    let (app, browser) = TestApp::spawn_with_session().await;

    for (path, site, purpose) in [
        ("/logout", "cross-site", ""),
        ("/logout", "same-site", ""),
        ("/logout", "same-origin", "prefetch"),
        ("/logout", "none", "prefetch;prerender"),
        ("/logout?confirm", "same-origin", ""),
    ] {
        let page =
            browser.send(Method::GET, path, &[("sec-fetch-site", site), ("sec-purpose", purpose)]).await;

        assert_eq!(page.status, 200, "{path} {site} {purpose} {page:#?}");
        assert!(page.body.contains(r#"<form method="post" action="/logout">"#), "{page:#?}");
        assert_nothing_inline(&page);
    }
    let head = browser.send(Method::HEAD, "/logout", &[]).await;

    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "{head:#?}");
    assert_eq!(app.sessions().await, 1);
}

#[actix_web::test]
async fn the_navigation_offers_to_log_out_only_with_a_session() {
    let (app, browser) = TestApp::spawn_with_browser().await;

    let prefetched = app.send(Method::GET, "/", &[("sec-purpose", "prefetch")]).await;
    let foreign = [("sec-fetch-site", "cross-site")];
    let linked = app.send(Method::GET, "/logout", &foreign).await;
    let without = [prefetched, linked, browser.get("/nothing").await];
    browser.get("/probe/start").await;
    let with = [browser.get("/").await, browser.send(Method::GET, "/logout", &foreign).await];

    for page in without {
        assert!(!navigation(&page).contains(r#"href="/logout?confirm""#), "{page:#?}");
    }
    for page in with {
        assert!(navigation(&page).contains(r#"href="/logout?confirm""#), "{page:#?}");
    }
}

#[actix_web::test]
async fn the_logout_message_appears_exactly_once_on_a_page_that_a_person_sees() {
    let (_app, browser) = TestApp::spawn_with_session().await;
    browser.post("/logout", &[]).await;

    for (method, name, value) in [
        (Method::HEAD, "x-none", ""),
        (Method::GET, "sec-purpose", "prefetch"),
        (Method::GET, "sec-purpose", "prefetch;prerender"),
        (Method::GET, "purpose", "prefetch"),
    ] {
        let page = browser.send(method.clone(), "/logout?confirm", &[(name, value)]).await;

        assert_eq!(page.status, 200, "{method} {name} {page:#?}");
        assert_eq!(page.try_element("flash"), None, "{method} {name} {page:#?}");
        assert!(page.set_cookies().is_empty(), "{method} {name} {page:#?}");
    }
    let after = browser.get("/").await;
    let later = browser.get("/").await;

    assert_eq!(after.element("flash"), "You are logged out.", "{after:#?}");
    assert_eq!(later.try_element("flash"), None, "{later:#?}");
    // curl 7.88 ignores a removal if another cookie follows, and would show the message again.
    let set = after.set_cookies();
    let flash = set.iter().find(|set| set.starts_with("flash=;")).unwrap_or_else(|| panic!("{after:#?}"));
    assert!(flash.contains("Max-Age=1") && flash.contains("HttpOnly") && flash.contains("Path=/"), "{flash}");
}

#[actix_web::test]
async fn a_planted_message_cookie_cannot_put_text_on_a_page() {
    let app = TestApp::spawn().await;

    for value in ["", "Send%20me%20your%20password", "Send-me-your-password", "logged-out2", "%6Cogged"] {
        let page = app.get_with("/", &format!("flash={value}")).await;

        assert_eq!(page.try_element("flash"), None, "{value} {page:#?}");
        assert!(!page.body.contains("password"), "{value} {page:#?}");
    }
}

#[actix_web::test]
async fn over_https_the_message_cookie_is_bound_to_its_host() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let session = app.get("/probe/start").await.cookie("__Host-id").expect("a cookie");

    let page = app.get_with("/logout", &session).await;

    let cookies = page.set_cookies();
    let set =
        cookies.iter().find(|set| set.starts_with("__Host-flash=")).unwrap_or_else(|| panic!("{page:#?}"));
    assert!(set.contains("Secure") && set.contains("HttpOnly") && set.contains("Path=/"), "{set}");
    let shown = app.get_with("/", "__Host-flash=logged-out").await;
    let ignored = app.get_with("/", "flash=logged-out").await;
    assert!(shown.try_element("flash").is_some() && ignored.try_element("flash").is_none(), "{shown:#?}");
}
