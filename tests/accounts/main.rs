//! Tests accounts from the outside, over HTTP and on the command line. A test's name is the rule that it checks.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod addresses_and_passwords;
mod attempts;
mod audit;
mod login;
mod members;

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse, web};
use app::accounts::table::{self, Account};
use app::accounts::{self, passwords::Passwords};
use app::{Pages, get};
use reqwest::Method;
use support::{Browser, Page, TestApp, TestDatabase, log};
use uuid::Uuid;

pub const ADA: &str = "ada@example.org";
pub const PASSWORD: &str = "correct horse & battery";
/// Counts the sessions of members.
pub const OWNED: &str = "select count(*) from sessions where owner is not null";
pub const NEW_PASSWORD: &str = "an even better one";

/// Starts the app. Tests choose their clients' addresses.
pub async fn spawn() -> TestApp {
    spawn_with(&[]).await
}

pub async fn spawn_with(settings: &[(&str, &str)]) -> TestApp {
    // Captures everything that the app and its libraries log, but not the log of the test's own client.
    log::capture_at("trace,hyper=off,hyper_util=off,reqwest=off,cookie_store=off");
    let settings = [settings, &[("TRUSTED_PROXIES", "127.0.0.1")]].concat();
    let route = |config: &mut web::ServiceConfig, pages: &Pages| {
        config.service(pages.page(get("/probe-log-in/{id}/{epoch}/{remember}", probe_log_in)));
    };
    TestApp::with_routes(TestDatabase::new().await, &settings, route).await
}

async fn probe_log_in(
    request: HttpRequest,
    pool: web::Data<sqlx::PgPool>,
    path: web::Path<(Uuid, i32, bool)>,
) -> HttpResponse {
    let (id, epoch, remember) = path.into_inner();
    let account = table::find(&pool, Some(id), None).await.expect("no error").expect("an account");
    accounts::log_in(&request, &Account { epoch, ..account }, remember);
    HttpResponse::Ok().finish()
}

/// Creates an account with [`PASSWORD`], whose hash is computed once for all tests.
pub async fn account(app: &TestApp, email: &str) -> Account {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let hash = std::thread::spawn(|| {
            let passwords = Passwords::default();
            actix_web::rt::System::new()
                .block_on(async { passwords.hash(0, PASSWORD).await.expect("a hash") })
        });
        hash.join().expect("a hash")
    });
    table::create(&app.database.pool, email, &HASH).await.expect("an account")
}

impl Browser {
    /// Logs in without computing a hash. The session has the epoch of `account`, which may be an old one.
    async fn log_in_as(&self, account: &Account) -> Page {
        let page = self.get(&format!("/probe-log-in/{}/{}/false", account.id, account.epoch)).await;
        assert_eq!(page.status, 200, "{page:#?}");
        page
    }

    /// Submits the form on `/login` from this client address.
    async fn log_in_from(&self, client: &str, email: &str, password: &str) -> Page {
        let request = self.request(Method::POST, "/login").header("x-forwarded-for", client);
        let request = request.header("sec-fetch-site", "same-origin");
        Page::of(request.form(&[("email", email), ("password", password)])).await
    }

    async fn log_in(&self, email: &str, password: &str) -> Page {
        self.log_in_from("192.0.2.1", email, password).await
    }

    async fn is_member(&self) -> bool {
        self.get("/account").await.status == 200
    }
}

/// Returns the app, Ada's account, and a browser in which she is logged in.
pub async fn ada() -> (TestApp, Account, Browser) {
    let app = spawn().await;
    let account = account(&app, ADA).await;
    let browser = app.browser();
    browser.log_in_as(&account).await;
    (app, account, browser)
}

/// Returns a second browser in which this account is logged in.
pub async fn other(app: &TestApp, account: &Account) -> Browser {
    let browser = app.browser();
    browser.log_in_as(account).await;
    browser
}

/// Makes all sessions' last password checks this many minutes older.
pub async fn minutes_pass(app: &TestApp, minutes: i64) {
    let sql = "update sessions set state = jsonb_set(state::jsonb, '{login,confirmed_at}',
        to_jsonb((state->'login'->>'confirmed_at')::bigint - 60 * $1))::json";
    sqlx::query(sql).bind(minutes).execute(&app.database.pool).await.expect("moved");
}

/// Where a response redirects to.
pub fn goes_to(page: &Page) -> (u16, &str) {
    (page.status.as_u16(), page.header("location"))
}
