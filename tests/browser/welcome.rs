//! Visits to the welcome page, including pages that the browser prefetches.

use actix_web::{HttpResponse, web};
use app::Pages;
use thirtyfour::Key;

use crate::support::{TestDatabase, eventually, log};
use crate::{Browser, TestApp, accessibility::tab_to, open, state::State};

/// The states of the welcome page, for tests that visit all pages.
pub const STATES: [State; 3] = [
    State::Other { steps: &["/"], has_session: true },
    State::Other { steps: &["/", "/"], has_session: true },
    State::Other { steps: &["/", "/", "summary"], has_session: true },
];

/// Returns the text of the count, such as "2 times".
async fn times(browser: &Browser) -> String {
    browser.run("return document.getElementById('visits').parentElement.textContent").await
}

#[actix_web::test]
async fn a_first_visit_greets_a_new_visitor() {
    let (_app, browser) = open().await;

    browser.go("/").await;

    assert_eq!(times(&browser).await, "1 time");
    assert_eq!(browser.visitor().await.len(), 36);
}

#[actix_web::test]
async fn a_first_visit_and_three_more_are_counted_as_four() {
    let (_app, browser) = open().await;
    browser.go("/").await;
    let user = browser.visitor().await;

    browser.driver.refresh().await.unwrap();
    browser.follow(".steps a").await;
    browser.follow(".wordmark").await;

    assert_eq!((browser.visits().await, browser.visitor().await), (4, user));
    assert_eq!(times(&browser).await, "4 times");
}

#[actix_web::test]
async fn the_mouse_or_the_keyboard_can_reveal_the_whole_visitor_id() {
    let (_app, browser) = open().await;
    browser.go("/").await;
    let user = browser.visitor().await;
    let before = browser.text("summary").await;

    browser.click("summary").await;

    assert!(user.ends_with(&before[..8]) && browser.text("summary").await == user, "{before} {user}");
    browser.go("/").await;
    tab_to(&browser, "summary").await;
    browser.press(Key::Enter).await;
    assert_eq!(browser.text("summary").await, user);
}

#[actix_web::test]
async fn two_browsers_count_as_two_visitors() {
    let (app, one) = open().await;
    let other = Browser::open(&app.url).await;

    one.go("/").await;
    one.go("/").await;
    other.go("/").await;

    assert_ne!(one.visitor().await, other.visitor().await);
    assert_eq!((one.visits().await, other.visits().await), (2, 1));
}

/// Adds `/ahead/prefetch` and `/ahead/prerender`, which make the browser prefetch or prerender the welcome page.
fn routes(config: &mut web::ServiceConfig, _: &Pages) {
    config
        .route("/ahead/{kind}", web::get().to(async |kind: web::Path<String>| {
            HttpResponse::Ok()
                .insert_header(("speculation-rules", format!("\"/rules/{kind}\"")))
                .content_type("text/html; charset=utf-8")
                .body("<!doctype html><title>Ahead</title><link rel=icon href=/static/favicon.svg><a href=/>Welcome</a>")
        }))
        .route("/rules/{kind}", web::get().to(async |kind: web::Path<String>| {
            HttpResponse::Ok()
                .content_type("application/speculationrules+json")
                .body(format!(r#"{{"{kind}":[{{"urls":["/"],"eagerness":"immediate"}}]}}"#))
        }));
}

#[actix_web::test]
async fn a_click_after_a_refused_prefetch_counts_and_shows_the_visit() {
    let app = TestApp::with_routes(TestDatabase::new().await, &[], routes).await;
    let browser = Browser::open(&app.url).await;
    let mut refused = 0;

    for (kind, visits) in [("prefetch", 1), ("prerender", 2), ("prefetch", 3), ("prerender", 4)] {
        browser.go(&format!("/ahead/{kind}")).await;
        eventually("the browser prefetches the page", async || {
            log::lines_with("a prefetch of a page").len() > refused
        })
        .await;
        refused = log::lines_with("a prefetch of a page").len();
        browser.follow("a").await;

        assert_eq!(browser.visits().await, visits, "{kind}");
    }
}
