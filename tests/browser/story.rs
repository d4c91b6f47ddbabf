use thirtyfour::Key;

use crate::{Browser, keyboard::tab_to, open, state::State};

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
