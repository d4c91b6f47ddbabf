//! When and for how long a visitor is a member, and what an operator can change.

use reqwest::Method;

use crate::{ADA, NEW_PASSWORD, OWNED, PASSWORD, account, ada, goes_to, other, spawn_with, support::Page};

#[actix_web::test]
async fn a_deleted_or_blocked_account_is_logged_out_on_its_next_request_and_cannot_log_in() {
    for sql in ["delete from accounts", "update accounts set disabled_at = now()"] {
        let (app, _, browser) = ada().await;
        app.database.execute(sql).await;

        let page = browser.get("/account").await;

        assert_eq!(goes_to(&page), (303, "/login?next=/account"), "{sql}: {page:#?}");
        assert_eq!(page.cookie("id").as_deref(), Some("id="), "{sql}: {page:#?}");
        assert_eq!(browser.get("/login").await.status, 200, "{sql}");
        assert_eq!(app.database.number(OWNED).await, 0, "{sql}");
        let [right, wrong] = [PASSWORD, "a guess"].map(async |word| app.browser().log_in(ADA, word).await);
        let (right, wrong) = (right.await, wrong.await);
        assert_eq!((right.status.as_u16(), wrong.status.as_u16()), (422, 422), "{sql}: {right:#?}");
        assert_eq!(right.element("error") == "This account is blocked.", sql.starts_with("update"), "{sql}");
        assert!(!wrong.element("error").contains("blocked"), "{sql}");
    }
}

#[actix_web::test]
async fn a_remembered_login_outlives_the_browser_and_lasts_as_configured() {
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
async fn the_welcome_page_greets_members_leaves_their_sessions_unchanged_and_offers_to_log_out() {
    let (app, _, browser) = ada().await;

    for page in [browser.get("/").await, browser.get("/").await] {
        let is_known = page.body.contains("Welcome back.") && !page.body.contains("This is a new session");
        assert!(is_known && page.body.contains("/logout?confirm"), "{page:#?}");
        assert!(
            page.body.contains(r#"href="/account""#) && !page.body.contains(r#"href="/login""#),
            "{page:#?}"
        );
        assert!(page.try_element("visits").is_none() && page.set_cookies().is_empty(), "{page:#?}");
    }
    let grown = "select count(*) from sessions where owner is not null and state::jsonb - 'login' <> '{}'";
    assert_eq!(app.database.number(grown).await, 0);
    assert!(browser.is_member().await);

    let form = browser.get("/logout?confirm").await;
    browser.post("/logout", &[]).await;
    let visitor = browser.get("/").await.body;
    assert!(visitor.contains(r#"href="/login""#) && !visitor.contains(r#"href="/account""#), "{visitor}");
    assert!(form.body.contains("<button>Log out</button>"), "{form:#?}");
    assert!(!browser.is_member().await);
    assert_eq!(app.database.number(OWNED).await, 0);
}

#[actix_web::test]
async fn an_unreadable_login_logs_the_member_out_but_other_unreadable_values_do_not() {
    let (app, _, browser) = ada().await;
    let set = async |name: &str, value: &str| {
        let sql =
            format!("update sessions set state = jsonb_set(state::jsonb, '{{{name}}}', '{value}')::json");
        app.database.execute(&sql).await;
    };

    set("visitor_id", "\"no id\"").await;
    let other_value = browser.is_member().await;
    set("login", "7").await;

    assert!(other_value);
    assert!(!browser.is_member().await);
    assert_eq!(browser.get("/login").await.status, 200, "not redirected back and forth");
}

#[actix_web::test]
async fn another_site_can_neither_log_a_visitor_in_nor_change_an_account() {
    let (app, account, _) = ada().await;
    let (browser, here) = (other(&app, &account).await, other(&app, &account).await);

    let fields = [("email", ADA), ("password", PASSWORD), ("current", PASSWORD), ("new", NEW_PASSWORD)];
    for path in ["login", "register", "confirm", "account/sessions", "account/password", "account/delete"] {
        let request = browser.request(Method::POST, &format!("/{path}"));
        let page = Page::of(request.header("sec-fetch-site", "cross-site").form(&fields)).await;

        assert_eq!(page.status, 403, "{path}: {page:#?}");
        assert!(page.set_cookies().is_empty(), "{path}: {page:#?}");
    }
    assert!(here.is_member().await);
}

#[actix_web::test]
async fn accounts_can_be_listed_blocked_unblocked_and_deleted_and_each_change_is_logged() {
    let (app, account, browser) = ada().await;
    let id = account.id.to_string();

    let (_, list, _) = app.run(&["accounts", "list"], "");
    let (_, _, blocked) = app.run(&["accounts", "disable", ADA], "");
    let is_member_while_blocked = browser.is_member().await;
    let (_, list_while_blocked, _) = app.run(&["accounts", "list"], "");
    let (_, _, unblocked) = app.run(&["accounts", "enable", "ADA@example.org"], "");
    let login = browser.log_in(ADA, PASSWORD).await;
    app.run(&["accounts", "enable", ADA], "");
    let is_member_when_unblocked_again = browser.is_member().await;
    let (_, _, deleted) = app.run(&["accounts", "delete", ADA], "");

    assert!(list.contains(&id) && list.contains(ADA) && !list.contains("blocked"), "{list}");
    assert!(!is_member_while_blocked && list_while_blocked.contains("blocked"), "{list_while_blocked}");
    assert_eq!((login.status.as_u16(), is_member_when_unblocked_again), (303, true), "{login:#?}");
    for (log, what) in
        [(blocked, "blocked the account"), (unblocked, "unblocked"), (deleted, "deleted the account")]
    {
        assert!(log.contains(what) && log.contains(&id), "{log}");
    }
    let rows = "select (select count(*) from accounts) + (select count(*) from sessions)";
    assert_eq!(app.database.number(rows).await, 0);
}

#[actix_web::test]
async fn set_password_reads_standard_input_and_ends_all_sessions() {
    let (app, account, browser) = ada().await;

    let (is_set, _, log) = app.run(&["accounts", "set-password", ADA], &format!("{NEW_PASSWORD}\n"));
    let late = other(&app, &account).await;
    let (is_common, _, refused) = app.run(&["accounts", "set-password", ADA], "password\n");
    let (is_argument, ..) = app.run(&["accounts", "set-password", ADA, NEW_PASSWORD], "");

    assert!(is_set && log.contains("set the password") && !log.contains(NEW_PASSWORD), "{log}");
    assert!(!is_common && refused.contains("most common") && !is_argument, "{refused}");
    assert!(!browser.is_member().await && !late.is_member().await);
    assert_eq!(app.browser().log_in(ADA, NEW_PASSWORD).await.status, 303);
}

#[actix_web::test]
async fn the_sessions_of_an_account_can_be_ended() {
    let (app, before, browser) = ada().await;
    let bob = other(&app, &account(&app, "bob@example.org").await).await;

    let (is_ended, _, log) = app.run(&["accounts", "end-sessions", ADA], "");
    let late = other(&app, &before).await;
    let (is_unknown, _, unknown) = app.run(&["accounts", "end-sessions", "eve@example.org"], "");

    assert!(is_ended && log.contains("ended all sessions"), "{log}");
    assert!(!browser.is_member().await && !late.is_member().await && bob.is_member().await);
    assert!(!is_unknown && unknown.contains("no account with this address"), "{unknown}");
}
