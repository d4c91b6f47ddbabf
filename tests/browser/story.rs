use serde_json::json;

use crate::{Browser, TestApp, open};

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
async fn three_more_visits_make_four() {
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
async fn the_whole_id_is_shown_on_demand() {
    let (_app, browser) = open().await;
    browser.go("/").await;
    let user = browser.visitor().await;
    let before = browser.text("summary").await;

    browser.click("summary").await;

    assert!(user.ends_with(&before[..8]) && browser.text("summary").await == user, "{before} {user}");
}

#[actix_web::test]
async fn two_browsers_are_two_visitors() {
    let (app, one) = open().await;
    let other = Browser::open(&app.url).await;

    one.go("/").await;
    one.go("/").await;
    other.go("/").await;

    assert_ne!(one.visitor().await, other.visitor().await);
    assert_eq!((one.visits().await, other.visits().await), (2, 1));
}

#[actix_web::test]
async fn no_script_can_read_a_cookie() {
    let (_app, browser) = open().await;
    browser.go("/").await;
    browser.go("/logout").await;

    let seen: String = browser.run("return document.cookie").await;

    assert_eq!(seen, "");
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let cookies = cookies["cookies"].as_array().unwrap();
    let cookie = cookies.iter().find(|cookie| cookie["name"] == "id").unwrap();
    assert_eq!(cookie["httpOnly"], json!(true), "{cookie}");
    assert_eq!((&cookie["sameSite"], &cookie["session"]), (&json!("Lax"), &json!(true)), "{cookie}");
}

#[actix_web::test]
async fn the_secure_cookie_works_on_localhost_in_chromium() {
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let browser = Browser::open(&app.url.replace("127.0.0.1", "localhost")).await;

    browser.go("/").await;
    browser.go("/").await;

    assert_eq!(browser.visits().await, 2);
    assert!(browser.driver.get_named_cookie("__Host-id").await.unwrap().secure.unwrap());
}
