//! A member's whole journey in a real browser. axe checks every page in light and dark mode, and at the width
//! of a phone.

use std::{fs, path::Path};

use serde_json::Value;
use thirtyfour::Key;

use crate::{Browser, accessibility::violations, open};

const PASSWORD: &str = "three notches on a stick";

/// Checks the page in this state. If a field is given, it must have the focus and the error color.
async fn check(browser: &Browser, state: &str, focus: Option<&str>) {
    if let Some(id) = focus {
        assert_eq!(browser.run::<String>("return document.activeElement.id").await, id, "{state}");
        let has_color = "const color = getComputedStyle(document.querySelector('.error')).color;
            return getComputedStyle(document.activeElement).borderTopColor === color";
        assert!(browser.run::<bool>(has_color).await, "{state}");
    }
    for scheme in ["light", "dark"] {
        // Turns off motion, because colors would otherwise change gradually.
        browser.prefer(&[("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]).await;
        for width in [1200, 360] {
            browser.resize(width, 900).await;
            let is_too_wide = "return document.documentElement.scrollWidth > innerWidth";
            assert!(!browser.run::<bool>(is_too_wide).await, "{state}, {width}");
            assert_eq!(violations(browser).await, Vec::<Value>::new(), "{state}, {scheme}, {width}");
        }
    }
    browser.resize(1200, 900).await;
    let blocked: Vec<String> = browser.run("return window.violations").await;
    assert!(blocked.is_empty(), "{state}: {blocked:?}");
}

/// Fills in fields, and submits the form that contains the last one.
async fn submit(browser: &Browser, fields: &[(&str, &str)]) {
    for (id, text) in fields {
        let field = browser.find(&format!("#{id}")).await;
        field.clear().await.expect("a field");
        field.send_keys(*text).await.expect("a field");
    }
    browser.leave(browser.press(Key::Enter)).await;
}

#[actix_web::test]
async fn a_member_can_register_log_in_and_out_change_the_password_and_delete_the_account() {
    let (app, browser) = open().await;
    browser.go("/account").await;
    check(&browser, "login", None).await;
    browser.follow("main a[href='/register']").await;
    check(&browser, "register", None).await;
    submit(&browser, &[("email", "ada@example.org"), ("password", "password")]).await;
    check(&browser, "register, common password", Some("password")).await;
    submit(&browser, &[("password", PASSWORD)]).await;
    assert_eq!(browser.path().await, "/account");
    check(&browser, "account", None).await;

    browser.go("/").await;
    check(&browser, "welcome", None).await;
    browser.go("/visits").await; // demo
    check(&browser, "visits", None).await; // demo
    browser.go("/logout?confirm").await;
    check(&browser, "logout", None).await;
    browser.follow("main button").await;
    browser.go("/login").await;
    submit(&browser, &[("email", "ada@example.org"), ("password", "a guess")]).await;
    check(&browser, "login, wrong password", Some("password")).await;
    browser.click("#remember").await;
    submit(&browser, &[("password", PASSWORD)]).await;

    let other = Browser::open(&app.url).await;
    other.go("/login").await;
    submit(&other, &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    browser.go("/account").await;
    assert!(browser.text(".lines").await.contains("Chrome on Linux · 127.0.0.1 · last used today"));
    check(&browser, "account, two sessions", None).await;
    browser.follow(".lines button").await;
    check(&browser, "account, session ended", None).await;
    other.go("/account").await;
    assert_eq!(other.path().await, "/login");

    submit(&browser, &[("current", "a guess"), ("new", "an even better one")]).await;
    check(&browser, "account, wrong password", Some("current")).await;
    submit(&browser, &[("current", PASSWORD), ("new", "an even better one")]).await;
    assert_eq!(browser.text("#flash").await, "Your password has been changed.");

    let earlier = "update sessions set state = jsonb_set(state::jsonb, '{login,confirmed_at}', '0')::json";
    app.database.execute(earlier).await;
    submit(&browser, &[("delete-password", "an even better one")]).await;
    assert_eq!(browser.path().await, "/confirm");
    submit(&browser, &[("password", "a guess")]).await;
    check(&browser, "confirm, wrong password", Some("password")).await;
    submit(&browser, &[("password", "an even better one")]).await;
    submit(&browser, &[("delete-password", "an even better one")]).await;
    assert_eq!(app.database.number("select count(*) from accounts").await, 0);
}

#[actix_web::test]
async fn a_typed_password_can_be_shown() {
    let (_app, browser) = open().await;
    browser.go("/login").await;
    let kind = "return document.getElementById('password').type";

    let before: String = browser.run(kind).await;
    browser.click("#show-password").await;

    assert_eq!((&*before, &*browser.run::<String>(kind).await), ("password", "text"));
}

#[actix_web::test]
async fn only_a_remembered_login_survives_closing_the_browser() {
    let (app, browser) = open().await;
    browser.go("/register").await;
    submit(&browser, &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile");
    let _ = fs::remove_dir_all(&profile);

    for (remember, page) in [(false, "/login"), (true, "/account")] {
        let browser = Browser::with_profile(&app.url, &profile).await;
        browser.go("/login").await;
        if remember {
            browser.click("#remember").await;
        }
        submit(&browser, &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        assert_eq!(browser.path().await, "/account");
        drop(browser);

        let reopened = Browser::with_profile(&app.url, &profile).await;
        reopened.go("/account").await;

        assert_eq!(reopened.path().await, page, "remember: {remember}");
        assert!(reopened.has(&format!("nav a[href='{page}']")).await, "remember: {remember}");
    }
}
