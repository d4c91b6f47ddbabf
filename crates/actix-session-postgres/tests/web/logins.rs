//! Tests logins, rotations and `renew` through the middleware, and responses that arrive out of order. No response
//! sends an invalid key, or a key older than the browser's.

use actix_session_postgres::SessionId;
use actix_web::cookie::{Cookie, CookieJar, Key};

use crate::site::{ALICE, Site};

const COUNT: &str = "select count(*) from sessions";

#[actix_web::test]
async fn a_login_replaces_the_anonymous_session() {
    let site = Site::new().await;
    let anonymous = site.start().await;

    let login = site.get("/log-in", Some(&anonymous)).await;

    let cookie = login.session().expect("a new key");
    assert_eq!(site.get("/show", Some(&cookie)).await.body, "", "its contents are dropped");
    assert_eq!(site.get("/show", Some(&anonymous)).await.body, "", "the old key is invalid");
    assert_eq!(site.store.sessions_of(&ALICE).await.expect("sessions").len(), 1);
    assert_eq!(site.database.number(COUNT).await, 1);
}

#[actix_web::test]
async fn the_hash_of_the_key_in_the_cookie_is_the_sessions_id() {
    let site = Site::new().await;
    let login = site.get("/log-in", None).await.session().expect("a cookie");

    // This is the code in the README.
    let mut cookies = CookieJar::new();
    cookies.add_original(Cookie::parse_encoded(login).expect("a cookie"));
    let key = cookies.private(&Key::from(&[7; 64])).get("id").expect("the session's cookie");

    let sessions = site.store.sessions_of(&ALICE).await.expect("sessions");
    assert_eq!(SessionId::of(key.value()), Some(sessions[0].id));
    assert_eq!([&key.value()[1..], &"é".repeat(32)].map(SessionId::of), [None; 2]);
}

#[actix_web::test]
async fn a_logged_in_session_without_values_can_be_rotated() {
    let site = Site::new().await;
    let login = site.get("/log-in", None).await.session().expect("a cookie");
    let before = site.store.sessions_of(&ALICE).await.expect("sessions");

    let rotated = site.get("/rotate", Some(&login)).await.session().expect("a new key");

    assert_ne!(rotated, login);
    let after = site.store.sessions_of(&ALICE).await.expect("sessions");
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before[0].id, after[0].id);
    assert_eq!(before[0].created_at, after[0].created_at);
}

#[actix_web::test]
async fn a_rotation_without_a_session_stores_and_sends_nothing() {
    let site = Site::new().await;

    let rotated = site.get("/rotate", None).await;

    assert_eq!(rotated.cookies, Vec::<String>::new());
    assert_eq!(site.database.number(COUNT).await, 0);
}

#[actix_web::test]
async fn renew_ends_the_session_and_starts_an_anonymous_one_with_the_same_values() {
    let site = Site::new().await;
    let login = site.get("/remember", None).await.session().expect("a cookie");
    site.get("/write", Some(&login)).await;

    let renewed = site.get("/renew", Some(&login)).await.session().expect("a new key");

    assert_eq!(site.get("/show", Some(&login)).await.body, "");
    assert_eq!(site.get("/show", Some(&renewed)).await.body, "written");
    assert_eq!(site.database.number(COUNT).await, 1);
    let usual =
        "select count(*) from sessions where owner is null and not remembered and idle_seconds = 86400";
    assert_eq!(site.database.number(usual).await, 1, "the owner and the remembered lifetime are lost");
}

#[actix_web::test]
async fn renew_brings_back_a_session_that_another_request_ended() {
    let site = Site::new().await;
    let cookie = site.start().await;

    let (renewed, _) = site.get_held("/held/renew", &cookie, site.get("/end", Some(&cookie))).await;

    assert_eq!(site.get("/show", renewed.session().as_deref()).await.body, "written");
}

#[actix_web::test]
async fn a_response_overtaken_by_a_rotation_sends_no_cookie() {
    let site = Site::new().await;
    let old = site.start().await;

    let (late, rotated) = site.get_held("/held/write", &old, site.get("/rotate", Some(&old))).await;

    assert_eq!(late.cookies, Vec::<String>::new());
    let new = rotated.session().expect("a new key");
    assert_eq!(site.get("/show", Some(&new)).await.body, "written");
    assert_eq!(site.get("/show", Some(&old)).await.body, "");
}

#[actix_web::test]
async fn without_the_guard_a_response_overtaken_by_a_rotation_sends_the_invalid_key() {
    let site = Site::unguarded().await;
    let old = site.start().await;

    let (late, rotated) = site.get_held("/held/write", &old, site.get("/rotate", Some(&old))).await;

    let dead = late.session().expect("a cookie");
    assert_eq!(site.get("/show", Some(&dead)).await.body, "");
    assert_eq!(site.get("/show", rotated.session().as_deref()).await.body, "written");
}

#[actix_web::test]
async fn a_rotation_overtaken_by_another_rotation_sends_no_cookie() {
    let site = Site::new().await;
    let old = site.start().await;

    let (late, rotated) = site.get_held("/held/rotate", &old, site.get("/rotate", Some(&old))).await;

    assert_eq!(late.cookies, Vec::<String>::new());
    assert_eq!(site.get("/show", rotated.session().as_deref()).await.body, "written");
}

#[actix_web::test]
async fn a_change_or_rotation_overtaken_by_a_logout_sends_no_cookie_and_does_not_bring_the_session_back() {
    let site = Site::new().await;

    for path in ["/held/write", "/held/rotate"] {
        let old = site.start().await;

        let (late, _) = site.get_held(path, &old, site.get("/end", Some(&old))).await;

        assert_eq!(late.cookies, Vec::<String>::new());
        assert_eq!(site.database.number("select count(*) from sessions").await, 0);
    }
}

#[actix_web::test]
async fn a_login_overtaken_by_a_logout_a_rotation_or_another_login_takes_effect() {
    for meanwhile in ["/end", "/rotate", "/log-in"] {
        let site = Site::new().await;
        let old = site.start().await;

        let (late, _) = site.get_held("/held/log-in", &old, site.get(meanwhile, Some(&old))).await;

        let new = late.session().expect("a new key");
        assert_ne!(new, old);
        site.get("/write", Some(&new)).await;
        assert_eq!(site.get("/show", Some(&new)).await.body, "written");
        assert!(!site.store.sessions_of(&ALICE).await.expect("sessions").is_empty());
    }
}
