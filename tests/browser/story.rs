use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Browser, TestApp, is_skipped, open};

/// How often the visitor has been here, in the page's words.
async fn times(browser: &Browser) -> String {
    browser.run("return document.getElementById('visits').parentElement.textContent").await
}

#[actix_web::test]
async fn a_first_visit_greets_a_new_user() {
    let Some((_app, browser)) = open().await else { return };

    browser.go("/").await;

    assert_eq!(browser.driver.title().await.unwrap(), "Welcome · actix-postgres-sessions");
    assert_eq!(browser.text("h1").await, "This is a new session.");
    assert_eq!(times(&browser).await, "1 time");
    assert_eq!(browser.user().await.len(), 36);
}

#[actix_web::test]
async fn three_more_visits_make_four_by_the_same_user() {
    let Some((_app, browser)) = open().await else { return };
    browser.go("/").await;
    let user = browser.user().await;

    browser.driver.refresh().await.unwrap();
    browser.follow(".steps a").await;
    browser.follow(".wordmark").await;

    assert_eq!((browser.visits().await, browser.user().await), (4, user));
    assert_eq!(times(&browser).await, "4 times");
    assert_eq!(browser.text("h1").await, "Welcome back.");
}

#[actix_web::test]
async fn the_whole_id_is_shown_on_demand() {
    let Some((_app, browser)) = open().await else { return };
    browser.go("/").await;
    let user = browser.user().await;
    let before = browser.text("summary").await;

    browser.click("summary").await;

    assert!(user.ends_with(&before[..8]) && browser.text("summary").await == user, "{before} {user}");
}

#[actix_web::test]
async fn the_visits_page_shows_the_cookie_that_the_browser_has_and_the_rows_that_the_database_has() {
    let Some((app, browser)) = open().await else { return };
    browser.go("/").await;
    browser.go("/").await;
    let user = browser.user().await;
    let cookie = browser.driver.get_named_cookie("id").await.unwrap();

    browser.follow("nav a[href='/visits']").await;

    let page = browser.text("main").await;
    let row: String = sqlx::query_scalar("select left(encode(id, 'hex'), 12) from sessions")
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    assert_eq!((browser.visits().await, browser.user().await), (2, user.clone()));
    assert!(page.contains(&row), "{row} {page}");
    assert!(page.contains(&format!(r#"{{"user_id":"{user}"}}"#)), "{page}");
    assert!(page.contains(&cookie.value[..12]), "{cookie:?} {page}");
    assert!(page.contains(&format!("{} bytes", cookie.value.len())), "{cookie:?} {page}");
    assert_eq!(app.database.number("select visits from users").await, 2);
}

#[actix_web::test]
async fn the_time_left_counts_down() {
    if is_skipped() {
        return;
    }
    let app = TestApp::spawn_with(&[("SESSION_IDLE_TIMEOUT", "1m")]).await;
    let browser = Browser::open(&app.url).await;
    browser.go("/").await;
    browser.go("/visits").await;

    let begin = Instant::now();
    let words = "return document.getElementById('in').textContent";
    let first: String = browser.run(words).await;
    while browser.run::<String>(words).await == first {
        assert!(begin.elapsed() < Duration::from_secs(10), "still {first}");
    }

    // In one script, between two beats of the page's own clock.
    let both =
        "return ['left', 'in'].map(id => document.getElementById(id)).map(e => e.value ?? e.textContent)";
    let (left, words): (u32, String) = browser.run(both).await;
    assert_eq!(words, format!("{left} seconds"));
    assert!((45..60).contains(&left), "{left}");
}

#[actix_web::test]
async fn two_browsers_are_two_users() {
    let Some((app, one)) = open().await else { return };
    let other = Browser::open(&app.url).await;

    one.go("/").await;
    one.go("/").await;
    other.go("/").await;

    assert_ne!(one.user().await, other.user().await);
    assert_eq!((one.visits().await, other.visits().await), (2, 1));
}

#[actix_web::test]
async fn no_script_can_read_a_cookie() {
    let Some((_app, browser)) = open().await else { return };
    browser.go("/").await;
    browser.go("/logout").await;

    let seen: String = browser.run("return document.cookie").await;

    let cookies = browser.driver.get_all_cookies().await.unwrap();
    assert_eq!((cookies.len(), seen.as_str()), (1, ""), "{cookies:?}");
    let cookies = browser.devtools("Network.getAllCookies", json!({})).await;
    let cookie = &cookies["cookies"][0];
    assert_eq!((&cookie["name"], &cookie["httpOnly"]), (&json!("id"), &json!(true)), "{cookie}");
    assert_eq!((&cookie["sameSite"], &cookie["session"]), (&json!("Lax"), &json!(true)), "{cookie}");
}

#[actix_web::test]
async fn the_secure_cookie_works_on_localhost_in_chromium() {
    if is_skipped() {
        return;
    }
    let app = TestApp::spawn_with(&[("COOKIE_SECURE", "true")]).await;
    let browser = Browser::open(&app.url.replace("127.0.0.1", "localhost")).await;

    browser.go("/").await;
    browser.go("/").await;

    assert_eq!(browser.visits().await, 2);
    assert!(browser.driver.get_named_cookie("__Host-id").await.unwrap().secure.unwrap());
}
