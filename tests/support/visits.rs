//! Helpers for tests of the visit count.

use reqwest::Method;
use serde_json::Value;

use super::{Page, TestApp, log};

impl TestApp {
    /// Makes a new visitor's first visit. Returns the page and the cookie (`id=…`).
    pub async fn new_session(&self) -> (Page, String) {
        let page = Page::of(self.request(Method::GET, "/")).await;
        let cookie = page.cookie("id").expect("a session cookie");
        (page, cookie)
    }
}

impl Page {
    pub fn visits(&self) -> i64 {
        self.element("visits").parse().expect("a number")
    }
}

/// Returns all log lines of this visitor's first visit.
pub fn lines_of_visit(user: &str) -> Vec<Value> {
    log::lines_of_request_with(&format!("User {user} has visited the page 1 times"))
}
