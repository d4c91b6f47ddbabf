//! The session cookie, and the logout.

use serde_json::json;

use crate::{Browser, TestApp, open, state::follow_link_to_logout};

#[actix_web::test]
async fn no_script_can_read_a_cookie() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;

    let seen: String = browser.run("return document.cookie").await;

    assert_eq!(seen, "");
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let cookies = cookies["cookies"].as_array().unwrap();
    let cookie = cookies.iter().find(|cookie| cookie["name"] == "id").unwrap();
    assert_eq!(cookie["httpOnly"], json!(true), "{cookie}");
    assert_eq!((&cookie["sameSite"], &cookie["session"]), (&json!("Lax"), &json!(true)), "{cookie}");
    browser.go("/logout").await;
    assert_eq!(
        browser.run::<String>("return document.cookie").await,
        "",
        "scripts can't read the logout message's cookie"
    );
}

#[actix_web::test]
async fn the_secure_cookie_works_on_localhost_in_chromium() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let browser = Browser::open(&app.url.replace("127.0.0.1", "localhost")).await;

    browser.go("/probe/start").await;
    let user = browser.visitor().await;
    browser.go("/probe").await;

    assert_eq!(browser.visitor().await, user);
    assert!(browser.driver.get_named_cookie("__Host-id").await.unwrap().secure.unwrap());
}

/// Counts the sessions that the test has started, without the one that the page after the logout may start.
const OLD: &str = "select count(*) from sessions where state->>'probe' is not null";

#[actix_web::test]
async fn the_logout_link_explains_what_a_logout_does_and_the_button_logs_out() {
    let (app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/").await;

    browser.follow("nav a[href='/logout?confirm']").await;
    let explained = browser.text("main").await;
    let before = app.database.number("select count(*) from sessions").await;
    browser.follow("main button").await;

    assert!(explained.contains("What happens when you log out"), "{explained}");
    assert_eq!(before, 1);
    assert_eq!(browser.path().await, "/");
    assert!(browser.text("dialog").await.contains("You are logged out."));
    assert_eq!(app.database.number(OLD).await, 0);
}

#[actix_web::test]
async fn a_logout_link_on_another_site_shows_a_button_and_the_button_logs_out() {
    let (app, browser) = open().await;
    browser.go("/probe/start").await;

    follow_link_to_logout(&browser).await;
    let asked = (
        browser.has("form[action='/logout']").await,
        app.database.number("select count(*) from sessions").await,
    );
    browser.follow("main button").await;

    assert_eq!(asked, (true, 1));
    assert_eq!(browser.path().await, "/");
    assert!(browser.text("dialog").await.contains("You are logged out."));
    assert_eq!(app.database.number(OLD).await, 0);
}

#[actix_web::test]
async fn the_logout_message_can_be_dismissed_and_is_shown_only_once() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/logout").await;
    let notice = browser.find("dialog").await;

    browser.click("dialog button").await;
    let dismissed = !notice.is_displayed().await.unwrap();
    browser.go("/").await;

    assert!(dismissed);
    assert!(!browser.has("dialog").await);
}

#[actix_web::test]
async fn the_back_button_shows_nothing_from_an_ended_session() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/probe").await;
    let user = browser.visitor().await;
    browser.go("/logout?confirm").await;
    browser.follow("main button").await;

    browser.back().await;
    browser.back().await;

    assert_eq!(browser.path().await, "/probe");
    let page = browser.source().await;
    assert!(!page.contains(&user), "{page}");
}
