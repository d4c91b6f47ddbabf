//! The README's screenshots. `cargo dev screenshots` saves them where the README expects them. Ordinary test runs take
//! them, too, so that a failure is noticed.

use std::{env, fs, path::PathBuf, process::Command};

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

/// A visit, another one, the session taken apart, an old cookie replayed, and a logout.
#[actix_web::test]
#[ignore = "needs img2webp; `cargo dev screenshots` runs it"]
async fn the_recording_for_the_readme_is_small() {
    let (_app, browser) = open().await;
    browser.resize(960, 720).await;
    browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("recording");
    fs::create_dir_all(&folder).unwrap();
    let mut frames = Vec::new();
    for step in [
        "go /",
        "go /",
        "nav a[href='/visits']",
        "scroll .journey > li:nth-child(4)",
        "scroll #lasts",
        "main a[href='/experiments']",
        "form[action='/experiments/rotate'] button",
        "form[action='/experiments/replay'] button",
        "nav a[href='/logout?confirm']",
        "main form[action='/logout'] button",
    ] {
        match step.split_once(' ') {
            Some(("go", path)) => browser.go(path).await,
            Some(("scroll", css)) => {
                browser.run::<()>(&format!("document.querySelector('{css}').scrollIntoView()")).await
            }
            _ => browser.follow(step).await,
        }
        let picture = browser.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        let frame = folder.join(format!("{:02}.png", frames.len()));
        fs::write(&frame, base64_decode(picture["data"].as_str().unwrap()).unwrap()).unwrap();
        frames.push(frame);
    }

    let recording = place().join("recording.webp");
    let mut program = Command::new("img2webp");
    program.args(["-loop", "0", "-lossy", "-q", "60", "-d", "2200"]).args(&frames).arg("-o").arg(&recording);
    assert!(program.status().expect("img2webp is installed").success());
    let size = fs::metadata(&recording).unwrap().len();
    assert!(size < 400_000, "{size} bytes");
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
