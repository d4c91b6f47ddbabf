use reqwest::Method;

use crate::support::{Page, TestApp};

#[actix_web::test]
async fn the_page_shows_the_count_the_visits_and_the_end() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    let user = browser.get("/").await.user().to_owned();
    browser.get("/").await;
    app.database.execute("update users set first_visit_at = '2026-01-02 03:04:05+00'").await;
    app.database.execute("update sessions set expires_at = now() + interval '12 minutes 30 seconds'").await;

    let page = browser.get("/visits").await;

    assert_eq!((page.user(), page.visits()), (user.as_str(), 2));
    assert!(page.body.contains("2026-01-02T03:04:05Z"), "{page:#?}");
    assert!(page.body.contains("2 January 2026, 03:04:05 UTC"), "{page:#?}");
    // Looking is coming, too: the clock was more than a minute behind, and the session lives on for its half hour.
    assert!(page.body.contains("29 minutes") || page.body.contains("30 minutes"), "{page:#?}");
}

#[actix_web::test]
async fn the_page_counts_nothing() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;

    browser.get("/visits").await;

    assert_eq!(browser.get("/visits").await.visits(), 1);
}

#[actix_web::test]
async fn the_page_shows_what_the_cookie_and_the_row_hold() {
    let app = TestApp::spawn().await;
    let (first, cookie) = app.new_session().await;
    let row: String = sqlx::query_scalar("select encode(substr(id, 1, 6), 'hex') from sessions")
        .fetch_one(&app.database.pool)
        .await
        .expect("the row");

    let page = app.get_with("/visits", &cookie).await;

    assert!(page.body.contains(&row), "{row} {page:#?}");
    assert!(page.body.contains("HttpOnly") && page.body.contains("SameSite=Lax"), "{page:#?}");
    assert!(page.body.contains("&#34;user_id&#34;:") && page.body.contains(first.user()), "{page:#?}");
    assert!(
        !page.body.contains(cookie.trim_start_matches("id=")),
        "the whole value is nobody's business: {page:#?}"
    );
}

#[actix_web::test]
async fn without_a_session_the_page_invites_and_starts_none() {
    let app = TestApp::spawn().await;

    let page = Page::of(app.request(Method::GET, "/visits")).await;

    assert_eq!(page.status, 200, "{page:#?}");
    assert!(page.body.contains(r#"href="/""#) && page.try_element("user").is_none(), "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn after_the_idle_timeout_the_visitor_is_a_stranger() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    let user = browser.get("/").await.user().to_owned();
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;

    let invited = browser.get("/visits").await;
    let back = browser.get("/").await;

    assert!(invited.try_element("user").is_none(), "{invited:#?}");
    assert_eq!(back.visits(), 1);
    assert_ne!(back.user(), user);
}
