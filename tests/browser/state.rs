//! Every page, in every state that a visitor can meet.

use actix_postgres_sessions::pages::error::ErrorPage;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::{Browser, TestApp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    NewVisitor,
    ReturningVisitor,
    WholeId,
    LoggedOut,
    Visits,
    VisitsWithoutSession,
    Logout,
    LogoutWithoutSession,
    NotFound,
    MethodNotAllowed,
    Forbidden,
    Unavailable,
    TooManyRequests,
    InternalError,
}

impl State {
    pub const ALL: [Self; 14] = [
        Self::NewVisitor,
        Self::ReturningVisitor,
        Self::WholeId,
        Self::LoggedOut,
        Self::Visits,
        Self::VisitsWithoutSession,
        Self::Logout,
        Self::LogoutWithoutSession,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Forbidden,
        Self::Unavailable,
        Self::TooManyRequests,
        Self::InternalError,
    ];

    /// The page as somebody who has never been here comes to see it.
    pub async fn show(self, app: &TestApp, browser: &Browser) {
        browser.devtools("Network.clearBrowserCookies", json!({})).await;
        match self {
            Self::NewVisitor => browser.go("/").await,
            Self::ReturningVisitor => visit_twice(browser).await,
            Self::WholeId => {
                visit_twice(browser).await;
                browser.click("summary").await;
            }
            Self::LoggedOut => {
                visit_twice(browser).await;
                browser.go("/logout").await;
            }
            Self::Visits => {
                visit_twice(browser).await;
                browser.go("/visits").await;
            }
            Self::VisitsWithoutSession => browser.go("/visits").await,
            Self::Logout => {
                visit_twice(browser).await;
                follow_link_to_logout(browser).await;
            }
            Self::LogoutWithoutSession => follow_link_to_logout(browser).await,
            Self::NotFound => browser.go("/nothing/here").await,
            Self::MethodNotAllowed => post(browser, "/visits").await,
            Self::Forbidden => post(browser, "/logout").await,
            Self::Unavailable => {
                app.database.execute("alter table users rename to elsewhere").await;
                browser.go("/").await;
                app.database.execute("alter table elsewhere rename to users").await;
            }
            Self::TooManyRequests => {
                let strict = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;
                strict.new_session().await;
                browser.driver.goto(&strict.url).await.expect("a page");
            }
            Self::InternalError => write_error(browser, StatusCode::INTERNAL_SERVER_ERROR).await,
        }
        self.assert_shown(browser).await;
    }

    /// A look at the wrong page would find nothing wrong.
    async fn assert_shown(self, browser: &Browser) {
        let heading = match self {
            Self::NewVisitor | Self::LoggedOut => "This is a new session.",
            Self::ReturningVisitor | Self::WholeId => "Welcome back.",
            Self::Visits => "Your session, taken apart",
            Self::VisitsWithoutSession => "You have no session yet",
            Self::Logout => "Log out?",
            Self::LogoutWithoutSession => "You have no session",
            Self::NotFound => "404\nNot Found",
            Self::MethodNotAllowed => "405\nMethod Not Allowed",
            Self::Forbidden => "403\nForbidden",
            Self::Unavailable => "503\nService Unavailable",
            Self::TooManyRequests => "429\nToo Many Requests",
            Self::InternalError => "500\nInternal Server Error",
        };
        assert_eq!(browser.text("h1").await, heading, "{self:?}");
        assert_eq!(browser.has("dialog").await, self == Self::LoggedOut, "{self:?}");
    }

    pub fn is_error(self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::MethodNotAllowed
                | Self::Forbidden
                | Self::Unavailable
                | Self::TooManyRequests
                | Self::InternalError
        )
    }
}

async fn visit_twice(browser: &Browser) {
    browser.go("/").await;
    browser.go("/").await;
}

/// From another site, so that the page asks first.
pub async fn follow_link_to_logout(browser: &Browser) {
    browser.go_elsewhere("<a href={site}/logout>Log out there</a>").await;
    browser.follow("a").await;
}

/// From another site.
async fn post(browser: &Browser, path: &str) {
    browser
        .go_elsewhere(&format!("<form method=post action={{site}}{path}><button>Go</button></form>"))
        .await;
    browser.follow("button").await;
}

/// What no visitor can bring about: written over a page of the site, whose policy holds for it.
async fn write_error(browser: &Browser, status: StatusCode) {
    browser.go("/nothing/here").await;
    let html = ErrorPage::new(status, None).to_html();
    let html = serde_json::to_string(&html).expect("a string");
    // The stylesheet takes a moment.
    let script = format!(
        "const done = arguments[0]; document.open(); addEventListener('load', () => done());
         document.write({html}); document.close();"
    );
    browser.driver.execute_async(script, Vec::new()).await.expect("a page");
}
