//! Every page in every state.

use actix_web::http::StatusCode;
use app::view::error_page::error_page;
use serde_json::json;

use crate::Browser;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    LoggedOut,
    Logout,
    LogoutWithoutSession,
    NotFound,
    MethodNotAllowed,
    Forbidden,
    Unavailable,
    TooManyRequests,
    InternalError,
    /// A different page, reached by these steps. A path is opened, and any other step is clicked.
    Other {
        steps: &'static [&'static str],
        has_session: bool,
    },
}

impl State {
    /// Returns all states. Add the states of new pages here.
    pub fn all() -> Vec<Self> {
        [
            &Self::CORE[..],
            &crate::welcome::STATES,     // demo
            &crate::visits::STATES,      // demo
            &crate::experiments::STATES, // demo
        ]
        .concat()
    }

    const CORE: [Self; 10] = [
        Self::LoggedOut,
        Self::Logout,
        Self::LogoutWithoutSession,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Forbidden,
        Self::Unavailable,
        Self::TooManyRequests,
        Self::InternalError,
        Self::Other { steps: &["/probe/start", "/"], has_session: true },
    ];

    /// Shows the page to a visitor without cookies.
    pub async fn show(self, browser: &Browser) {
        browser.devtools("Network.clearBrowserCookies", json!({})).await;
        match self {
            Self::LoggedOut => {
                browser.go("/probe/start").await;
                browser.go("/logout").await;
            }
            Self::Logout => {
                browser.go("/probe/start").await;
                follow_link_to_logout(browser).await;
            }
            Self::LogoutWithoutSession => follow_link_to_logout(browser).await,
            Self::NotFound => browser.go("/nothing/here").await,
            Self::MethodNotAllowed => {
                browser.go("/nothing/here").await;
                let submit =
                    "const form = document.createElement('form'); form.method = 'post'; form.action = '/';
                    document.body.append(form); form.submit()";
                browser
                    .leave(async {
                        browser.run::<serde_json::Value>(submit).await;
                    })
                    .await;
            }
            Self::Forbidden => post(browser, "/logout").await,
            Self::Unavailable => browser.go("/probe-slow").await,
            Self::TooManyRequests => write_error(browser, StatusCode::TOO_MANY_REQUESTS).await,
            Self::InternalError => write_error(browser, StatusCode::INTERNAL_SERVER_ERROR).await,
            Self::Other { steps, .. } => {
                for step in steps {
                    if step.starts_with('/') { browser.go(step).await } else { browser.click(step).await }
                }
            }
        }
        self.assert_shown(browser).await;
    }

    /// Checks that this is the right page, because the wrong one might pass the tests.
    async fn assert_shown(self, browser: &Browser) {
        let is_shown = match self {
            Self::LoggedOut => browser.path().await == "/",
            Self::Logout => browser.has("form[action='/logout']").await,
            Self::LogoutWithoutSession => {
                browser.path().await == "/logout" && !browser.has("form[action='/logout']").await
            }
            Self::NotFound => is_error_page(browser, 404).await,
            Self::MethodNotAllowed => is_error_page(browser, 405).await,
            Self::Forbidden => is_error_page(browser, 403).await,
            Self::Unavailable => is_error_page(browser, 503).await,
            Self::TooManyRequests => is_error_page(browser, 429).await,
            Self::InternalError => is_error_page(browser, 500).await,
            Self::Other { steps, has_session } => {
                let path = browser.path().await;
                steps.iter().rfind(|step| step.starts_with('/')) == Some(&&*path)
                    && !browser.has("h1 small").await
                    && browser.has("nav a[href='/logout?confirm']").await == has_session
            }
        };
        assert!(is_shown, "{self:?} {}", browser.source().await);
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

async fn is_error_page(browser: &Browser, status: u16) -> bool {
    browser.text("h1 small").await == status.to_string()
}

/// Follows a link on another site, so that the logout page shows its button.
pub async fn follow_link_to_logout(browser: &Browser) {
    browser.go_elsewhere("<a href={site}/logout>Log out there</a>").await;
    browser.follow("a").await;
}

/// Posts a form from another site.
async fn post(browser: &Browser, path: &str) {
    browser
        .go_elsewhere(&format!("<form method=post action={{site}}{path}><button>Go</button></form>"))
        .await;
    browser.follow("button").await;
}

/// Overwrites a page of the site with an error page that no visitor can cause. The site's security policy
/// still applies.
async fn write_error(browser: &Browser, status: StatusCode) {
    browser.go("/nothing/here").await;
    let html = error_page(status, None);
    let html = serde_json::to_string(&html).expect("a string");
    // Waits for the style sheet.
    let script = format!(
        "const done = arguments[0]; document.open(); addEventListener('load', () => done());
         document.write({html}); document.close();"
    );
    browser.driver.execute_async(script, Vec::new()).await.expect("a page");
}
