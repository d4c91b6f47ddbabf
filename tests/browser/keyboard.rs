use thirtyfour::Key;

use crate::{Browser, open};

/// The text of the focused element, and whether the element and its outline are visible.
const FOCUSED: &str = "const it = document.activeElement, box = it.getBoundingClientRect();
    const outlined = getComputedStyle(it).outlineStyle !== 'none';
    const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    return [it.innerText.replace(/\\s+/g, ' ').trim(), outlined && inside]";

async fn tab(browser: &Browser) -> (String, bool) {
    browser.press(Key::Tab).await;
    browser.run(FOCUSED).await
}

/// Presses Tab until an element that matches `selector` has the focus.
pub async fn tab_to(browser: &Browser, selector: &str) {
    let is_there = format!("return document.activeElement.matches(\"{selector}\")");
    for _ in 0..30 {
        browser.press(Key::Tab).await;
        if browser.run::<bool>(&is_there).await {
            return;
        }
    }
    panic!("{selector} can't be reached with Tab");
}

#[actix_web::test]
async fn tab_moves_in_reading_order_and_the_focus_is_visible() {
    let (_app, browser) = open().await;
    browser.resize(1280, 1600).await;
    browser.go("/probe/start").await;
    browser.go("/logout").await;
    let in_order: Vec<String> = browser
        .run("return [...document.querySelectorAll('a, button, summary')].map(it => it.textContent)")
        .await;

    assert!(in_order.len() > 3, "{in_order:?}");
    for expected in in_order {
        let (text, is_visible) = tab(&browser).await;
        assert_eq!(text, expected);
        assert!(is_visible, "{text}");
    }
}

#[actix_web::test]
async fn the_skip_link_goes_to_the_content() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/logout?confirm").await;

    browser.press(Key::Tab).await;
    browser.press(Key::Enter).await;

    assert_eq!(browser.run::<String>("return document.activeElement.id").await, "main");
    browser.press(Key::Tab).await;
    assert_eq!(browser.run::<String>("return document.activeElement.tagName").await, "BUTTON");
}

#[actix_web::test]
async fn a_visitor_can_log_out_with_the_keyboard_alone() {
    let (_app, browser) = open().await;
    browser.go("/probe/start").await;
    browser.go("/").await;

    tab_to(&browser, "nav a[href='/logout?confirm']").await;
    browser.leave(browser.press(Key::Enter)).await;
    tab_to(&browser, "main button").await;
    browser.leave(browser.press(Key::Enter)).await;

    assert!(browser.text("dialog").await.contains("You are logged out."));
}
