//! `/account` and `/confirm`: what members can see and change.

use reqwest::Method;
use serde_json::Value;

use crate::{
    ADA, NEW_PASSWORD, OWNED, PASSWORD, account, ada, goes_to, minutes_pass, other, spawn, support::Page,
};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// The names of the sessions that the page can end.
fn buttons(page: &Page) -> Vec<String> {
    page.body.split(r#"name="session" value=""#).skip(1).map(|rest| rest[..12].to_owned()).collect()
}

#[actix_web::test]
async fn the_account_page_describes_only_the_members_own_live_sessions() {
    let app = spawn().await;
    account(&app, ADA).await;
    let browser = app.browser();
    let login = browser.request(Method::POST, "/login").header("user-agent", FIREFOX);
    let login = login.header("x-forwarded-for", "203.0.113.7").header("sec-fetch-site", "same-origin");
    Page::of(login.form(&[("email", ADA), ("password", PASSWORD)])).await;
    other(&app, &account(&app, "bob@example.org").await).await;

    let page = browser.get("/account").await;

    let line = "Firefox on Linux · 203.0.113.7 · last used today ";
    let [own, all] = [line, "last used"].map(|text| page.body.matches(text).count());
    assert_eq!((own, all), (1, 1), "{page:#?}");
    assert!(page.body.contains(" UTC · <strong>this one</strong>"), "{page:#?}");
    assert!(buttons(&page).is_empty(), "{page:#?}");
    let raw = "select count(*) from sessions where state::text like '%Mozilla%'";
    assert_eq!(app.database.number(raw).await, 0);
}

#[actix_web::test]
async fn members_can_end_one_or_all_of_their_other_sessions_but_nobody_elses() {
    let (app, before, one) = ada().await;
    let (two, three) = (other(&app, &before).await, other(&app, &before).await);
    let bob = other(&app, &account(&app, "bob@example.org").await).await;
    let name = buttons(&one.get("/account").await).remove(0);

    bob.post("/account/sessions", &[("session", &name)]).await;
    bob.post("/account/sessions", &[]).await;
    assert!(one.is_member().await && two.is_member().await && three.is_member().await);

    let ended = one.post("/account/sessions", &[("session", &name)]).await;
    assert_eq!(goes_to(&ended), (303, "/account"));
    assert_eq!(one.get("/account").await.element("flash"), "You have been logged out there.");
    assert_eq!(u32::from(two.is_member().await) + u32::from(three.is_member().await), 1);

    one.post("/account/sessions", &[]).await;
    // This login read the account before that, but its session is saved only now.
    let late = other(&app, &before).await;
    assert!(!two.is_member().await && !three.is_member().await && !late.is_member().await);
    assert!(one.is_member().await && bob.is_member().await);
}

#[actix_web::test]
async fn changing_the_password_renews_the_key_and_ends_all_other_sessions_and_late_logins() {
    let (app, account, one) = ada().await;
    let two = other(&app, &account).await;
    let old = one.log_in_as(&account).await.cookie("id").expect("a cookie");

    let page = one.post("/account/password", &[("current", PASSWORD), ("new", NEW_PASSWORD)]).await;
    // This login read the account before the change, but its session is saved only now.
    let late = other(&app, &account).await;

    assert_eq!(goes_to(&page), (303, "/account"), "{page:#?}");
    assert_ne!(page.cookie("id").expect("a new cookie"), old);
    assert_eq!(goes_to(&late.get("/account").await), (303, "/login?next=/account"));
    assert!(one.is_member().await && !two.is_member().await);
    assert_eq!(app.database.number(OWNED).await, 1, "the invalid sessions are deleted");
    assert_eq!(app.get_with("/account", &old).await.status, 303);
    assert_eq!(app.browser().log_in(ADA, PASSWORD).await.status, 422);
    assert_eq!(app.browser().log_in(ADA, NEW_PASSWORD).await.status, 303);
}

#[actix_web::test]
async fn changing_the_password_requires_the_current_one_and_a_valid_new_one() {
    let (_app, _, one) = ada().await;

    let wrong = one.post("/account/password", &[("current", "a guess"), ("new", NEW_PASSWORD)]).await;
    let common = one.post("/account/password", &[("current", PASSWORD), ("new", "password")]).await;

    assert_eq!((wrong.status.as_u16(), common.status.as_u16()), (422, 422));
    assert_eq!(wrong.element("current-error"), "That is not your password.");
    assert!(wrong.try_element("new-error").is_none(), "{wrong:#?}");
    assert_eq!(wrong.body.matches(" autofocus").count(), 1, "{wrong:#?}");
    assert!(common.element("new-error").contains("most common"), "{common:#?}");
    assert!(one.is_member().await);
}

#[actix_web::test]
async fn sensitive_actions_require_a_password_entered_in_the_last_ten_minutes() {
    let (app, account, one) = ada().await;
    other(&app, &account).await;
    minutes_pass(&app, 9).await;
    assert_eq!(one.get("/account/data").await.status, 200);
    minutes_pass(&app, 1).await;
    let name = buttons(&one.get("/account").await).remove(0);

    let fields = [("session", &*name), ("password", PASSWORD), ("current", PASSWORD), ("new", NEW_PASSWORD)];
    for path in ["/account/sessions", "/account/password", "/account/delete"] {
        assert_eq!(goes_to(&one.post(path, &fields).await), (303, "/confirm?next=/account"), "{path}");
    }
    assert_eq!(goes_to(&one.get("/account/data").await), (303, "/confirm?next=/account/data"));
    assert_eq!(app.sessions().await, 2);
    assert_eq!(app.database.number("select count(*) from accounts where epoch = 0").await, 1);
}

#[actix_web::test]
async fn confirming_the_password_renews_the_key_and_allows_ten_more_minutes() {
    let (app, account, one) = ada().await;
    let old = one.log_in_as(&account).await.cookie("id").expect("a cookie");
    minutes_pass(&app, 10).await;

    let wrong = one.post("/confirm", &[("password", "a guess"), ("next", "/account/data")]).await;
    let still = one.get("/account/data").await;
    let form = one.get(still.header("location")).await;
    let right = one.post("/confirm", &[("password", PASSWORD), ("next", "/account/data")]).await;

    assert_eq!((wrong.status.as_u16(), wrong.element("error")), (422, "That is not your password."));
    assert_eq!(still.status, 303);
    assert!(form.body.contains(r#"name="next" value="/account/data""#), "{form:#?}");
    assert_eq!(goes_to(&right), (303, "/account/data"), "{right:#?}");
    assert_ne!(right.cookie("id").expect("a new cookie"), old);
    assert_eq!(one.get("/account/data").await.status, 200);
    assert_eq!(app.get_with("/account", &old).await.status, 303);
}

#[actix_web::test]
async fn members_can_download_everything_that_is_stored_about_them() {
    let (app, _, one) = ada().await;
    app.database.execute("update accounts set failures = 3").await;

    let page = one.get("/account/data").await;

    let data: Value = serde_json::from_str(&page.body).expect("JSON");
    assert_eq!(data["account"]["email"], ADA, "{data}");
    assert_eq!(data["account"]["wrong_passwords"], 3, "{data}");
    assert_eq!(data["sessions"][0]["browser"], "A program", "{data}");
    assert_eq!(data["sessions"][0]["address"], "127.0.0.1", "{data}");
    assert_eq!(data["sessions"][0]["last_used_at"], data["sessions"][0]["started_at"], "{data}");
    assert!(page.header("content-disposition").starts_with("attachment"), "{page:#?}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.body.contains("argon2"), "{data}");
}

#[actix_web::test]
async fn deleting_the_account_requires_the_password_and_leaves_no_data() {
    let (app, account, one) = ada().await;
    let two = other(&app, &account).await;

    let wrong = one.post("/account/delete", &[("password", "a guess")]).await;
    let kept = app.database.number("select count(*) from accounts").await;
    let page = one.post("/account/delete", &[("password", PASSWORD)]).await;

    assert_eq!((wrong.status.as_u16(), kept), (422, 1));
    assert_eq!(wrong.element("delete-error"), "That is not your password.");
    assert_eq!(goes_to(&page), (303, "/"), "{page:#?}");
    assert_eq!(page.cookie("id").as_deref(), Some("id="), "{page:#?}");
    let rows = "select (select count(*) from accounts) + (select count(*) from sessions)";
    assert_eq!(app.database.number(rows).await, 0);
    assert!(!one.is_member().await && !two.is_member().await);
    assert_eq!(app.browser().log_in(ADA, PASSWORD).await.status, 422);
}

#[actix_web::test]
async fn password_managers_can_find_the_fields() {
    let (_app, _, one) = ada().await;
    let account = one.get("/account").await.body;
    one.post("/logout", &[]).await;
    let (login, register) = (one.get("/login").await.body, one.get("/register").await.body);

    for (page, marks) in [
        (&login, ["username", "current-password"].as_slice()),
        (&register, &["username", "new-password"]),
        (&account, &["username", "current-password", "new-password"]),
    ] {
        for mark in marks {
            assert!(page.contains(&format!(r#"autocomplete="{mark}""#)), "{mark}: {page}");
        }
    }
    assert!(register.contains(r#"passwordrules="minlength: 8; maxlength: 1000;""#), "{register}");
}
