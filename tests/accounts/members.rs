//! When a visitor is a member, and for how long.

use reqwest::Method;

use crate::{ADA, Accounts, PASSWORD, account, ada, goes_to, other, spawn_with, support::Page};

const OWNED: &str = "select count(*) from sessions where owner is not null";

#[actix_web::test]
async fn a_login_with_the_old_password_that_ends_after_the_change_is_no_login() {
    let (app, before, browser) = ada().await;
    browser.post("/account/password", &[("current", PASSWORD), ("new", "an even better one")]).await;

    // The login read the account before the change, and its session is saved now.
    let late = other(&app, &before).await;

    assert_eq!(goes_to(&late.get("/account").await), (303, "/login?next=/account"));
    assert!(browser.is_member().await);
    assert_eq!(app.database.number(OWNED).await, 1, "the invalid session is deleted");
}

#[actix_web::test]
async fn a_deleted_or_blocked_account_is_logged_out_with_its_next_request() {
    for sql in ["delete from accounts", "update accounts set disabled_at = now()"] {
        let (app, _, browser) = ada().await;
        app.database.execute(sql).await;

        let page = browser.get("/account").await;

        assert_eq!(goes_to(&page), (303, "/login?next=/account"), "{sql}: {page:#?}");
        assert_eq!(page.cookie("id").as_deref(), Some("id="), "{sql}: {page:#?}");
        assert_eq!(browser.get("/login").await.status, 200, "{sql}");
        assert_eq!(app.database.number(OWNED).await, 0, "{sql}");
    }
}

#[actix_web::test]
async fn a_login_that_is_remembered_outlives_the_browser_and_lasts_as_set() {
    let app = spawn_with(&[("REMEMBER_IDLE_TIMEOUT", "10d"), ("REMEMBER_MAX_AGE", "20d")]).await;
    account(&app, ADA).await;
    let fields = [("email", ADA), ("password", PASSWORD), ("remember", "on")];

    let remembered = app.browser().post("/login", &fields).await;
    let usual = app.browser().log_in(ADA, PASSWORD).await;

    let set =
        |page: &Page| page.set_cookies().into_iter().find(|set| set.starts_with("id=")).map(str::to_owned);
    assert!(set(&remembered).expect("a cookie").contains("Max-Age=1728000"), "{remembered:#?}");
    assert!(!set(&usual).expect("a cookie").contains("Max-Age"), "{usual:#?}");
    let lifetimes = "select count(*) from sessions where remembered
        and expires_at - created_at = interval '10 days' and ends_at - created_at = interval '20 days'";
    assert_eq!(app.database.number(lifetimes).await, 1);
}

#[actix_web::test]
async fn the_welcome_page_knows_a_member_and_puts_nothing_into_the_session() {
    let (app, _, browser) = ada().await;

    for page in [browser.get("/").await, browser.get("/").await] {
        assert!(
            page.body.contains("Welcome back.") && !page.body.contains("This is a new session"),
            "{page:#?}"
        );
        assert!(page.body.contains("/logout?confirm"), "{page:#?}");
        assert!(page.try_element("visits").is_none() && page.set_cookies().is_empty(), "{page:#?}");
    }
    let grown = "select count(*) from sessions where state::jsonb - 'login' <> '{}'";
    assert_eq!(app.database.number(grown).await, 0);
    assert!(browser.is_member().await);
}

#[actix_web::test]
async fn a_member_logs_out_with_the_button_and_the_row_is_gone() {
    let (app, _, browser) = ada().await;

    let form = browser.get("/logout?confirm").await;
    browser.post("/logout", &[]).await;

    assert!(form.body.contains("<button>Log out</button>"), "{form:#?}");
    assert!(!browser.is_member().await);
    assert_eq!(app.database.number(OWNED).await, 0);
}

#[actix_web::test]
async fn an_unreadable_value_in_the_session_does_not_log_out_and_an_unreadable_login_does() {
    let (app, _, browser) = ada().await;
    let set = async |name: &str, value: &str| {
        let sql =
            format!("update sessions set state = jsonb_set(state::jsonb, '{{{name}}}', '{value}')::json");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&app.database.pool).await.expect("a change");
    };

    set("visitor_id", "\"no id\"").await;
    let other_value = browser.is_member().await;
    set("login", "7").await;

    assert!(other_value);
    assert!(!browser.is_member().await);
}

#[actix_web::test]
async fn another_sites_page_can_neither_log_a_visitor_in_nor_change_anything() {
    let (app, account, _) = ada().await;
    let (browser, here) = (other(&app, &account).await, other(&app, &account).await);

    for path in
        ["/login", "/register", "/confirm", "/account/sessions", "/account/password", "/account/delete"]
    {
        let request = browser.request(Method::POST, path).header("sec-fetch-site", "cross-site");
        let fields =
            [("email", ADA), ("password", PASSWORD), ("current", PASSWORD), ("new", "an even better one")];
        let page = Page::of(request.form(&fields)).await;

        assert_eq!(page.status, 403, "{path}: {page:#?}");
        assert!(page.set_cookies().is_empty(), "{path}: {page:#?}");
    }
    assert!(here.is_member().await);
}

#[actix_web::test]
async fn every_page_links_to_the_account_and_a_members_pages_also_to_the_logout() {
    let (app, _, browser) = ada().await;

    assert!(app.browser().get("/").await.body.contains(r#"href="/account""#));
    assert!(browser.get("/account").await.body.contains("/logout?confirm"));
    assert!(!app.browser().get("/login").await.body.contains("/logout?confirm"));
}

#[test]
fn the_idle_limit_of_a_remembered_login_is_not_above_its_maximum_age() {
    let config = app::Config::from_lookup(|name| match name {
        "DATABASE_URL" => Some("postgres://localhost/app".into()),
        "SESSION_SECRET" => Some("a secret of the tests and of nothing else".into()),
        "REMEMBER_MAX_AGE" => Some("10d".into()),
        _ => None,
    });

    let message = config.expect_err("the idle limit is 30 days").to_string();
    assert!(message.contains("REMEMBER_IDLE_TIMEOUT: must not be longer than REMEMBER_MAX_AGE"), "{message}");
}
