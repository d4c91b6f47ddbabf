use thirtyfour::Key;

use crate::{Browser, open};

/// What has the focus: its text, and whether it can be seen where it is.
const FOCUSED: &str = "const it = document.activeElement, box = it.getBoundingClientRect();
    const outlined = getComputedStyle(it).outlineStyle !== 'none';
    const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    return [it.innerText.replace(/\\s+/g, ' ').trim(), outlined && inside]";

async fn tab(browser: &Browser) -> (String, bool) {
    browser.press(Key::Tab).await;
    browser.run(FOCUSED).await
}

#[actix_web::test]
async fn tab_goes_through_the_page_in_the_order_of_reading_and_shows_where_it_is() {
    let Some((_app, browser)) = open().await else { return };
    browser.resize(1280, 1600).await;
    browser.go("/").await;
    browser.go("/logout").await;
    let short_id = browser.text("summary span").await;

    for expected in [
        "Skip to the content",
        "actix-postgres-sessions",
        "Welcome",
        "Visits",
        "Log out",
        "Dismiss this notice",
        &short_id,
        "Come again",
        "Look into your session",
        "Log out",
    ] {
        let (text, is_visible) = tab(&browser).await;
        // A visitor reads the short id; the whole one is there for a screen reader.
        assert!(text == expected || expected == short_id && text.starts_with(&short_id), "{text} {expected}");
        assert!(is_visible, "{text}");
    }
}

#[actix_web::test]
async fn the_skip_link_goes_to_the_content() {
    let Some((_app, browser)) = open().await else { return };
    browser.go("/").await;

    browser.press(Key::Tab).await;
    browser.press(Key::Enter).await;

    assert_eq!(browser.run::<String>("return document.activeElement.id").await, "main");
    browser.press(Key::Tab).await;
    assert_eq!(browser.run::<String>("return document.activeElement.tagName").await, "SUMMARY");
}

#[actix_web::test]
async fn the_keyboard_alone_opens_the_id_and_logs_out() {
    let Some((_app, browser)) = open().await else { return };
    browser.go("/").await;
    let user = browser.user().await;

    for _ in 0..6 {
        browser.press(Key::Tab).await;
    }
    browser.press(Key::Enter).await;
    let opened = browser.text("summary").await;
    for _ in 0..3 {
        browser.press(Key::Tab).await;
    }
    browser.leave(browser.press(Key::Enter)).await;

    assert_eq!(opened, user);
    assert!(browser.text("dialog").await.contains("You are logged out."));
}
