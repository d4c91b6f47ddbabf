//! The README's screenshots. Ordinary test runs take them, too, so that a failure is noticed. This command saves them
//! where the README expects them:
//!
//! ```sh
//! SCREENSHOTS_DIR=$PWD/docs/screenshots cargo dev browser pictures::
//! ```

use std::{env, fs, path::PathBuf};

use serde_json::json;
use thirtyfour::support::base64_decode;

use crate::{Browser, open};

/// Returns the directory for the pictures.
fn place() -> PathBuf {
    let place = match env::var_os("SCREENSHOTS_DIR") {
        Some(place) => PathBuf::from(place),
        None => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots"),
    };
    fs::create_dir_all(&place).unwrap();
    place
}

#[actix_web::test]
async fn the_screenshots_for_the_readme_are_small() {
    let (_app, browser) = open().await;
    let place = place();
    browser.resize(1200, 900).await;
    browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    // A few visits, so that the pages have something to show.
    for _ in 0..16 {
        browser.go("/").await;
    }

    browser.go("/visits").await;
    for scheme in ["light", "dark"] {
        browser.prefer(&[("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]).await;
        let picture = picture(&browser, ".journey > li:nth-child(4)").await;
        assert!(picture.len() < 80_000, "{scheme}: {} bytes", picture.len());
        fs::write(place.join(format!("visits-{scheme}.webp")), picture).unwrap();
    }
}

/// Takes a screenshot of the page down to the element `last`. WebP is a third of a PNG's size and just as sharp.
async fn picture(browser: &Browser, last: &str) -> Vec<u8> {
    let bottom: f64 =
        browser.run(&format!("return document.querySelector('{last}').getBoundingClientRect().bottom")).await;
    let clip = json!({ "x": 0, "y": 0, "width": 1200, "height": bottom.round() + 32.0, "scale": 1 });
    let format = json!({ "format": "webp", "quality": 75, "clip": clip, "captureBeyondViewport": true });
    let picture = browser.devtools("Page.captureScreenshot", format).await;
    base64_decode(picture["data"].as_str().unwrap()).unwrap()
}
