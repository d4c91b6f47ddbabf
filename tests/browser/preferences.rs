//! Tests visitors' preferences: no JavaScript, a small screen, dark mode, and reduced motion.

use crate::{Browser, TestApp, open, state::State};

#[actix_web::test]
async fn everything_works_without_javascript() {
    let app = TestApp::spawn().await;
    let browser = Browser::without_javascript(&app.url).await;
    browser.go_elsewhere("<p>on</p><script>document.querySelector('p').textContent = 'off'</script>").await;
    assert_eq!(browser.text("p").await, "on", "JavaScript is off");

    browser.go("/probe/start").await;
    browser.go("/").await;
    browser.follow("nav a[href='/logout?confirm']").await;
    browser.follow("main button").await;
    let notice = browser.find("dialog").await;
    browser.click("dialog button").await;

    assert!(!notice.is_displayed().await.unwrap(), "the notice can be dismissed");
}

#[actix_web::test]
async fn no_page_scrolls_sideways_on_a_phone() {
    let (_app, browser) = open().await;

    for width in [360, 320] {
        browser.resize(width, 740).await;
        for state in State::all() {
            state.show(&browser).await;
            let size: [u32; 2] =
                browser.run("return [document.documentElement.scrollWidth, innerWidth]").await;
            assert_eq!(size, [width, width], "{state:?}");
        }
    }
}

type Color = [u32; 3];

/// Returns the page's background and text colors, as red, green and blue.
async fn colors(browser: &Browser) -> (Color, Color) {
    let script = "const style = getComputedStyle(document.body), parts = c => c.match(/\\d+/g).map(Number);
        return [parts(style.backgroundColor), parts(style.color)]";
    browser.run(script).await
}

#[actix_web::test]
async fn dark_mode_has_light_text_on_a_dark_background() {
    let (_app, browser) = open().await;
    let is_dark = |color: Color| color.iter().sum::<u32>() < 3 * 64;

    browser.prefer(&[("prefers-color-scheme", "light")]).await;
    browser.go("/").await;
    let light = colors(&browser).await;
    browser.prefer(&[("prefers-color-scheme", "dark")]).await;
    let dark = colors(&browser).await;

    assert!(!is_dark(light.0) && is_dark(light.1), "{light:?}");
    assert!(is_dark(dark.0) && !is_dark(dark.1), "{dark:?}");
}

#[actix_web::test]
async fn nothing_moves_if_the_visitor_prefers_reduced_motion() {
    let (_app, browser) = open().await;
    let moving = "return [...document.querySelectorAll('*')].filter(it => {
        const style = getComputedStyle(it);
        return style.transitionDuration !== '0s' || style.animationName !== 'none'
            || style.scrollBehavior === 'smooth';
    }).length";

    browser.go("/").await;
    let usually: u32 = browser.run(moving).await;
    browser.prefer(&[("prefers-reduced-motion", "reduce")]).await;

    assert!(usually > 0);
    for state in State::all() {
        state.show(&browser).await;
        assert_eq!(browser.run::<u32>(moving).await, 0, "{state:?}");
    }
}
