//! Tests the welcome page, `/`.

use reqwest::Method;

use crate::support::{Page, TestApp};
use crate::headers::assert_nothing_inline;

#[actix_web::test]
async fn the_welcome_page_starts_no_session() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/")).await;

    assert_eq!(page.status, 200, "{page:#?}");
    assert!(page.body.contains("<h1>Welcome.</h1>") && page.set_cookies().is_empty(), "{page:#?}");
    assert_nothing_inline(&page);
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn the_welcome_page_recognizes_a_session_and_leaves_it_unchanged() {
    let app = TestApp::spawn().await;
    let (id, cookie) = app.start().await;

    let page = app.get_with("/", &cookie).await;

    assert!(page.body.contains("Welcome back.") && page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(app.get_with("/probe", &cookie).await.visitor(), id);
}

#[actix_web::test]
async fn a_session_gets_the_configured_lifetime() {
    let settings = [("SESSION_IDLE_TIMEOUT", "20m"), ("SESSION_MAX_AGE", "5h")];
    let app = TestApp::spawn_with(&settings).await;

    app.start().await;

    let lifetime = "select count(*) from sessions where idle_seconds = 1200
        and ends_at = created_at + interval '5 hours' and expires_at = created_at + interval '20 minutes'";
    assert_eq!(app.database.number(lifetime).await, 1);
}
