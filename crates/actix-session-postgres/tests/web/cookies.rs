//! Tests which cookies pass the guard, and how long they last.

use actix_session::config::{BrowserSession, PersistentSession, TtlExtensionPolicy};
use actix_web::cookie::time::Duration;

use crate::{site::Site, support::eventually};

const NONE: [&str; 0] = [];

#[actix_web::test]
async fn a_cookie_is_sent_only_for_a_new_key_and_has_no_max_age() {
    let site = Site::new().await;

    let first = site.get("/write", None).await;
    let cookie = first.session().expect("a cookie");
    let changed = site.get("/write", Some(&cookie)).await;
    let unchanged = site.get("/show", Some(&cookie)).await;
    let rotated = site.get("/rotate", Some(&cookie)).await;

    assert_eq!(first.max_age(), None);
    assert!(first.cookies[0].contains("HttpOnly") && first.cookies[0].contains("Secure"), "{first:?}");
    assert_eq!((&changed.cookies[..], &unchanged.cookies[..]), (&[][..], &[][..]));
    assert_eq!(rotated.max_age(), None);
    assert_ne!(rotated.session(), Some(cookie));
}

#[actix_web::test]
async fn the_guard_leaves_other_cookies_in_the_response_unchanged() {
    // With this policy, every request calls the store, but the middleware sends no cookie.
    let lifecycle = BrowserSession::default().state_ttl_extension_policy(TtlExtensionPolicy::OnEveryRequest);
    let site = Site::with_lifecycle(lifecycle).await;

    let first = site.get("/own-cookies-and-write", None).await;
    let cookie = first.session().expect("a cookie");
    let changed = site.get("/own-cookies-and-write", Some(&cookie)).await;
    let unchanged = site.get("/own-cookies", Some(&cookie)).await;

    assert_eq!(first.cookies.len(), 3, "{first:?}");
    assert_eq!(first.cookies[..2], changed.cookies[..]);
    assert_eq!(first.cookies[..2], unchanged.cookies[..]);
    let mut names: Vec<_> = changed.cookies.iter().map(|cookie| &cookie[..cookie.len().min(6)]).collect();
    names.sort_unstable();
    assert_eq!(names, ["first=", "second"]);
}

#[actix_web::test]
async fn the_cookie_of_a_remembered_login_lasts_until_the_session_ends() {
    let site = Site::new().await;

    let login = site.get("/remember", None).await;
    let cookie = login.session().expect("a cookie");
    let changed = site.get("/write", Some(&cookie)).await;
    site.database.execute("update sessions set ends_at = now() + interval '10 days'").await;
    let rotated = site.get("/rotate", Some(&cookie)).await;

    assert_eq!(login.max_age(), Some(20 * 24 * 60 * 60));
    assert_eq!(changed.cookies, NONE);
    let left = rotated.max_age().expect("a Max-Age");
    assert!((10 * 24 * 60 * 60 - 60..=10 * 24 * 60 * 60).contains(&left), "{left}");
}

#[actix_web::test]
async fn a_login_from_an_anonymous_session_can_be_remembered() {
    let site = Site::new().await;
    let anonymous = site.start().await;

    let login = site.get("/remember", Some(&anonymous)).await;

    assert_eq!(login.max_age(), Some(20 * 24 * 60 * 60));
    assert_eq!(site.database.number("select count(*) from sessions where remembered").await, 1);
    assert_eq!(site.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn the_cookie_of_a_persistent_session_lasts_until_the_session_ends() {
    let ttl = Duration::days(5);
    let lifecycle = PersistentSession::default()
        .session_ttl(ttl)
        .session_ttl_extension_policy(TtlExtensionPolicy::OnEveryRequest);
    let site = Site::with_lifecycle(lifecycle).await;

    let first = site.get("/write", None).await;
    let cookie = first.session().expect("a cookie");
    assert_eq!(first.max_age(), Some(30 * 24 * 60 * 60));
    assert_eq!(site.database.number("select idle_seconds::bigint from sessions").await, ttl.whole_seconds());

    site.database.execute("update sessions set expires_at = now() + interval '1 minute'").await;
    let unchanged = site.get("/show", Some(&cookie)).await;
    let changed = site.get("/write", Some(&cookie)).await;
    assert_eq!((&unchanged.cookies[..], &changed.cookies[..]), (&[][..], &[][..]));
    let left = "select extract(epoch from expires_at - now())::bigint from sessions";
    assert!(site.database.number(left).await > ttl.whole_seconds() - 60);
}

#[actix_web::test]
async fn a_browser_session_expires_after_the_middlewares_time_to_live() {
    let lifecycle = BrowserSession::default().state_ttl(Duration::minutes(10));
    let site = Site::with_lifecycle(lifecycle).await;

    let cookie = site.start().await;
    assert_eq!(site.database.number("select idle_seconds::bigint from sessions").await, 600);
    site.database.execute("update sessions set expires_at = now() + interval '1 second'").await;
    site.get("/show", Some(&cookie)).await;

    let left = "select extract(epoch from expires_at - now())::bigint from sessions";
    eventually("the idle timer", async || site.database.number(left).await > 500).await;
}

#[actix_web::test]
async fn a_logout_deletes_the_row_and_removes_the_cookie() {
    let site = Site::new().await;

    for path in ["/end", "/purge"] {
        let cookie = site.start().await;

        let logout = site.get(path, Some(&cookie)).await;

        assert_eq!(logout.max_age(), Some(0));
        assert_eq!(site.database.number("select count(*) from sessions").await, 0);
        assert_eq!(site.get("/show", Some(&cookie)).await.body, "");
    }
}
