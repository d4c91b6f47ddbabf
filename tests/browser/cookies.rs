use serde_json::json;

use crate::{Browser, TestApp, open};

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
