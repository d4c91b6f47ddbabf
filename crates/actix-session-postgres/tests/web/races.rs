//! Tests responses that arrive out of order. No response sends an invalid key, or a key older than the
//! browser's.

use crate::site::{ALICE, Site};

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
    for path in ["/held/write", "/held/rotate"] {
        let site = Site::new().await;
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
