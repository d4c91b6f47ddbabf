//! A Chromium browser with its own profile. Each browser is one visitor.

use std::io::{Read, Write};
use std::time::{Duration, Instant};
use std::{net::TcpStream, path::Path};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thirtyfour::{
    BrowserLogEntry, By, ChromeCapabilities, ChromiumLikeCapabilities, Key, LoggingPrefsLogLevel, WebDriver,
    WebElement,
};

use crate::driver::{Driver, HOW_TO_GET};

/// A browser. Dropping this closes it.
pub struct Browser {
    pub driver: WebDriver,
    url: String,
}

/// These arguments keep Chromium from opening connections by itself, and make it exit together with its driver.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Collects violations of the page's security policy.
const WATCH: &str = "window.violations = [];
    addEventListener('securitypolicyviolation', v => violations.push(`${v.violatedDirective} ${v.blockedURI}`));";

impl Browser {
    /// Opens a browser for the site at `url`.
    pub async fn open(url: &str) -> Self {
        Self::start(url, &[], json!({})).await
    }

    /// Opens a browser that keeps its profile in this directory.
    pub async fn with_profile(url: &str, directory: &Path) -> Self {
        Self::start(url, &[&format!("--user-data-dir={}", directory.display())], json!({})).await
    }

    /// Opens a browser without JavaScript.
    pub async fn without_javascript(url: &str) -> Self {
        Self::start(url, &[], json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    async fn start(url: &str, arguments: &[&str], preferences: Value) -> Self {
        let service = Driver::get();
        let mut wanted = ChromeCapabilities::new();
        for argument in ARGUMENTS.iter().chain(arguments).chain(service.is_root.then_some(&"--no-sandbox")) {
            wanted.add_arg(argument).expect("an argument");
        }
        wanted.add_experimental_option("prefs", preferences).expect("preferences");
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
        let driver = WebDriver::new(&service.url, wanted).await;
        let driver = driver.unwrap_or_else(|error| panic!("Chromium didn't start: {error}\n{HOW_TO_GET}"));
        let browser = Self { driver, url: url.to_owned() };
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
        browser
    }

    /// Opens a page of the site, as if the address were typed.
    pub async fn go(&self, path: &str) {
        self.open_page(format!("{}{path}", self.url)).await;
    }

    /// Opens a page on a different site. `{site}` in its HTML is replaced by the app's address.
    pub async fn go_elsewhere(&self, html: &str) {
        self.open_page(format!("data:text/html,{}", html.replace("{site}", &self.url))).await;
    }

    /// Opens a page and waits for it, because chromedriver may return while the previous page is still there.
    async fn open_page(&self, url: String) {
        self.leave(async { self.driver.goto(&url).await.expect(&url) }).await;
    }

    pub async fn back(&self) {
        self.leave(async { self.driver.back().await.expect("back") }).await;
    }

    /// Returns the path of the current page.
    pub async fn path(&self) -> String {
        self.driver.current_url().await.expect("an address").path().to_owned()
    }

    /// Returns the current HTML.
    pub async fn source(&self) -> String {
        self.driver.source().await.expect("a page")
    }

    pub async fn find(&self, css: &str) -> WebElement {
        match self.driver.find(By::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("no {css}: {error}\n{}", self.source().await),
        }
    }

    pub async fn has(&self, css: &str) -> bool {
        !self.driver.find_all(By::Css(css)).await.expect(css).is_empty()
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.expect(css);
    }

    /// Clicks an element that leads to a different page.
    pub async fn follow(&self, css: &str) {
        self.leave(self.click(css)).await;
    }

    /// Does something that leads to a different page, and waits for that page.
    pub async fn leave(&self, act: impl Future<Output = ()>) {
        let page = self.find("html").await;
        act.await;
        let begin = Instant::now();
        while page.is_present().await.unwrap_or(false) || !self.is_complete().await {
            assert!(begin.elapsed() < Duration::from_secs(20), "still on {}", self.source().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_complete(&self) -> bool {
        self.run::<bool>("return document.readyState === 'complete'").await
    }

    /// Returns the visible text of an element.
    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect(css)
    }

    /// Returns the visitor's ID, whether it is visible or not.
    pub async fn visitor(&self) -> String {
        self.find("#visitor").await.prop("textContent").await.expect("text").expect("an id")
    }

    // demo: begin
    pub async fn visits(&self) -> i64 {
        self.text("#visits").await.parse().expect("a number")
    }
    // demo: end

    pub async fn press(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.expect("a key");
    }

    /// Returns the result of a script in the page.
    pub async fn run<T: DeserializeOwned>(&self, script: &str) -> T {
        let outcome = self.driver.execute(script.to_owned(), Vec::new()).await;
        outcome.expect(script).convert().expect(script)
    }

    /// Sends a command of the [DevTools protocol](https://chromedevtools.github.io/devtools-protocol/).
    pub async fn devtools(&self, method: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(method, parameters).await.expect(method)
    }

    /// Sets media preferences, such as `("prefers-color-scheme", "dark")`, and resets all others.
    pub async fn prefer(&self, wishes: &[(&str, &str)]) {
        let wish = |(name, value): &(&str, &str)| json!({ "name": name, "value": value });
        let features: Vec<Value> = wishes.iter().map(wish).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Sets the size of the screen. Below a width of 600 pixels, the browser emulates a phone.
    pub async fn resize(&self, width: u32, height: u32) {
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Returns the console messages since the last call.
    pub async fn console(&self) -> Vec<BrowserLogEntry> {
        self.driver.browser_log().await.expect("a log")
    }
}

impl Drop for Browser {
    /// Closes the browser without thirtyfour, because that would need the test's runtime, which is waiting.
    fn drop(&mut self) {
        let driver = &Driver::get().url["http://".len()..];
        let session = self.driver.session_id();
        let request =
            format!("DELETE /session/{session} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\r\n");
        // If this fails, the browser exits with the driver.
        if let Ok(mut stream) = TcpStream::connect(driver) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.write_all(request.as_bytes());
            // The response arrives when the browser is closed.
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.clone().leak();
    }
}
