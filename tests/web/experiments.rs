//! `/experiments`. All tests of their requests are in this file.

use std::net::Ipv4Addr;

use actix_web::{HttpMessage, test::TestRequest};
use app::{http::client::ClientAddress, session_limit::SessionLimit};
use futures_util::FutureExt;
use reqwest::Method;

use crate::headers::assert_nothing_inline;
use crate::support::{Browser, Page, TestApp};

async fn app() -> TestApp {
    TestApp::spawn_with(&[("EXPERIMENTS", "true")]).await
}

/// Returns the value of the hidden field with the old cookie.
fn old_cookie(page: &Page) -> String {
    let (_, rest) = page.body.split_once(r#"name="cookie" value=""#).unwrap_or_else(|| panic!("{page:#?}"));
    rest.split('"').next().expect("a value").to_owned()
}

async fn result(browser: &Browser, experiment: &str) -> (Page, String) {
    let page = browser.post(&format!("/experiments/{experiment}"), &[]).await;
    assert_eq!(page.status, 200, "{page:#?}");
    let (_, rest) = page.body.split_once(r#"id="result">"#).unwrap_or_else(|| panic!("{page:#?}"));
    let text = rest.split("</p>").next().expect("text").replace("<b>", "").replace("</b>", "");
    (page, text)
}

#[actix_web::test]
async fn twenty_concurrent_visits_are_counted_in_sql_but_lost_in_a_session() {
    let app = app().await;
    let browser = app.browser();
    browser.get("/").await;

    let (page, text) = result(&browser, "count").await;

    assert!(text.contains("counted 20."), "{text}");
    let naive = text.rsplit("counted ").next().and_then(|number| number.trim_end_matches('.').parse().ok());
    assert!((1..20).contains(&naive.expect("a number")), "{text}");
    assert_nothing_inline(&page);
    assert_eq!(browser.get("/visits").await.visits(), 1, "the visitor's own count stays");
    assert_eq!(app.sessions().await, 1, "the other session is deleted");
    assert_eq!(
        app.database.number("select count(*) from visitors").await,
        0,
        "the made-up visitor is deleted"
    );
}

#[actix_web::test]
async fn after_a_rotation_the_old_cookie_finds_no_session_and_the_new_one_does() {
    let app = app().await;
    let browser = app.browser();
    let user = browser.get("/").await.visitor().to_owned();

    let (page, _) = result(&browser, "rotate").await;
    let old = old_cookie(&page);
    let new = page.cookie("id").expect("a new cookie");
    let replayed = browser.post("/experiments/replay", &[("cookie", &old)]).await;
    let valid = browser.post("/experiments/replay", &[("cookie", new.trim_start_matches("id="))]).await;

    assert!(page.body.contains("curl -H 'Cookie: id="), "{page:#?}");
    assert!(replayed.body.contains("The old cookie doesn't have a session anymore."), "{replayed:#?}");
    assert!(valid.body.contains("The cookie is still valid."), "{valid:#?}");
    let by_hand = app.get_with("/visits", &format!("id={old}")).await;
    assert!(by_hand.try_element("visitor").is_none(), "{by_hand:#?}");
    assert_eq!(browser.get("/visits").await.visitor(), user);
}

#[actix_web::test]
async fn an_expired_session_is_not_found_but_its_row_remains_until_the_sweep() {
    let app = app().await;
    let (browser, other) = (app.browser(), app.browser());
    let user = browser.get("/").await.visitor().to_owned();
    other.get("/").await;

    let (_, text) = result(&browser, "expire").await;

    assert!(text.contains("expired"), "{text}");
    assert_eq!(app.database.number("select count(*) from sessions where expires_at < now()").await, 1);
    assert_ne!(browser.get("/").await.visitor(), user);
    assert_eq!(other.get("/").await.visits(), 2, "other sessions stay");
}

#[actix_web::test]
async fn the_experiments_are_off_by_default() {
    let (_app, browser) = TestApp::spawn_with_browser().await;
    browser.get("/").await;

    assert_eq!(browser.get("/experiments").await.status, 404);
    assert_eq!(browser.post("/experiments/expire", &[]).await.status, 404);
    assert!(!browser.get("/visits").await.body.contains("/experiments"));
}

#[actix_web::test]
async fn without_a_session_there_is_nothing_to_experiment_with() {
    let app = app().await;

    let page = app.browser().post("/experiments/count", &[]).await;

    assert_eq!(page.status, 200, "{page:#?}");
    assert!(page.body.contains("You have no session yet") && page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(app.sessions().await, 0);
}

#[actix_web::test]
async fn experiments_require_a_form_on_this_site_and_each_client_can_run_ten_per_minute() {
    let app = app().await;
    let browser = app.browser();
    browser.get("/").await;

    let foreign = [("sec-fetch-site", "cross-site")];
    assert_eq!(browser.send(Method::POST, "/experiments/count", &foreign).await.status, 403);
    assert_eq!(browser.post("/experiments/nothing", &[]).await.status, 404);
    for _ in 0..9 {
        assert_eq!(browser.post("/experiments/replay", &[]).await.status, 200);
    }
    let refused = browser.post("/experiments/count", &[]).await;
    assert_eq!(refused.status, 429, "{refused:#?}");
    assert!((1..=7).contains(&refused.header("retry-after").parse().expect("seconds")), "{refused:#?}");
    assert_eq!(browser.get("/").await.visits(), 2, "other pages are not refused");
}

#[test]
fn an_experiment_waits_until_the_previous_one_has_ended() {
    let (limit, request) = (SessionLimit::new(0), TestRequest::default().to_http_request());
    request.extensions_mut().insert(ClientAddress(Ipv4Addr::LOCALHOST.into()));

    let first = limit.experiment(&request).now_or_never().expect("nobody to wait for");
    let waits = limit.experiment(&request).now_or_never().is_none();
    drop(first);

    assert!(waits && limit.experiment(&request).now_or_never().is_some_and(|next| next.is_ok()));
}
