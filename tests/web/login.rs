//! `TypedSession::log_in`: a session that somebody planted before a login (session fixation) is worth nothing after it.

use actix_session::storage::{SessionKey, SessionStore};
use app::PgSessionStore;

use crate::{
    secrets::{USUAL, decrypt},
    support::{Page, TestApp},
};

const SESSIONS: &str = "select count(*) from sessions";

/// Rows that are logged in, and hold the account and nothing else.
const LOGGED_IN: &str = "select count(*) from sessions
    where owner = '00000000-0000-0000-0000-000000000007'
    and state::text = '{\"account_id\":\"00000000-0000-0000-0000-000000000007\"}'";

const OWNED: &str = "select count(*) from sessions where owner is not null";

/// Returns whether a cookie belongs to a live session.
async fn is_valid(app: &TestApp, cookie: &str) -> bool {
    let key: SessionKey = decrypt(USUAL, cookie).expect("a cookie of this app").try_into().expect("a key");
    PgSessionStore::new(app.database.pool.clone()).load(&key).await.expect("no error").is_some()
}

#[actix_web::test]
async fn a_login_gives_a_new_key_an_owner_and_a_new_age_and_drops_what_the_session_held() {
    let app = TestApp::spawn().await;
    let (_, anonymous) = app.start().await;
    app.get_with("/probe/write", &anonymous).await;
    app.database.execute("update sessions set created_at = created_at - interval '1 hour'").await;

    let page = app.get_with("/probe/log-in", &anonymous).await;
    let new = page.cookie("id").expect("a new cookie");

    assert!(is_valid(&app, &new).await && !is_valid(&app, &anonymous).await, "{page:#?}");
    assert_eq!(page.user(), "", "the anonymous visitor is dropped: {page:#?}");
    assert_eq!(app.database.number(LOGGED_IN).await, 1);
    let new_age = "select count(*) from sessions where created_at > now() - interval '1 minute'";
    assert_eq!(app.database.number(new_age).await, 1);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn a_login_without_a_session_saves_one_row_with_the_owner() {
    let app = TestApp::spawn().await;

    let page = app.get_with("/probe/log-in", "").await;

    assert!(is_valid(&app, &page.cookie("id").expect("a cookie")).await, "{page:#?}");
    assert_eq!(app.database.number(LOGGED_IN).await, 1);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn a_planted_cookie_that_is_replayed_right_after_the_login_shows_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let (_, planted) = app.start().await;
    let victim = app.get_with("/probe/log-in", &planted).await.cookie("id").expect("a new cookie");

    let reading = app.get_with("/probe", &planted).await;
    let writing = app.get_with("/probe/write", &planted).await;
    let rotating = app.get_with("/probe/rotate", &planted).await;
    app.get_with("/probe/end", &planted).await;

    assert_eq!(reading.user(), "", "{reading:#?}");
    assert!(!is_valid(&app, &planted).await);
    assert_ne!(writing.cookie("id").expect("an anonymous session of its own"), victim);
    assert!(rotating.set_cookies().is_empty(), "{rotating:#?}");
    assert!(is_valid(&app, &victim).await, "the victim stays logged in");
    assert_eq!((app.database.number(LOGGED_IN).await, app.database.number(OWNED).await), (1, 1));
}

#[actix_web::test]
async fn a_planted_cookie_that_is_used_during_the_login_gets_nothing_and_is_not_revived() {
    let app = TestApp::spawn().await;
    let (user, planted) = app.start().await;

    let mut attacks = Vec::new();
    for action in ["nothing", "write", "start", "rotate", "log-in"] {
        attacks.push(app.hold(action, action, &planted).await);
    }
    let victim = app.get_with("/probe/log-in", &planted).await.cookie("id").expect("a new cookie");
    for action in ["nothing", "write", "start", "rotate", "log-in"] {
        app.release(action);
    }

    for attack in attacks {
        let page: Page = attack.await.expect("a response");

        assert_eq!(page.status, 200, "{page:#?}");
        assert!(page.set_cookies().is_empty(), "{page:#?}");
    }
    assert!(!is_valid(&app, &planted).await);
    assert_eq!(app.get_with("/probe", &planted).await.user(), "", "not even the anonymous {user}");
    assert!(is_valid(&app, &victim).await);
    assert_eq!(app.database.number(LOGGED_IN).await, 1);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn what_an_attacker_writes_during_the_login_is_dropped() {
    let app = TestApp::spawn().await;
    let (_, planted) = app.start().await;

    let login = app.hold("log-in", "login", &planted).await;
    app.get_with("/probe/write", &planted).await;
    app.release("login");
    let victim = login.await.expect("a response").cookie("id").expect("a new cookie");

    assert!(is_valid(&app, &victim).await && !is_valid(&app, &planted).await);
    assert_eq!(app.database.number(LOGGED_IN).await, 1);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn an_attacker_who_rotates_the_planted_session_during_the_login_gets_no_account() {
    let app = TestApp::spawn().await;
    let (user, planted) = app.start().await;

    let login = app.hold("log-in", "login", &planted).await;
    let attacker = app.get_with("/probe/rotate", &planted).await.cookie("id").expect("a new cookie");
    app.release("login");
    let login = login.await.expect("a response");

    assert!(login.set_cookies().is_empty(), "the login has failed and must be repeated: {login:#?}");
    assert_eq!(app.database.number(OWNED).await, 0);
    assert_eq!(app.get_with("/probe", &attacker).await.user(), user, "still the anonymous session");
    assert!(!is_valid(&app, &planted).await);
}

#[actix_web::test]
async fn of_two_logins_at_once_one_gives_the_key_and_the_other_sets_no_cookie() {
    let app = TestApp::spawn().await;
    let (_, anonymous) = app.start().await;

    let one = app.hold("log-in", "one", &anonymous).await;
    let other = app.hold("log-in", "other", &anonymous).await;
    app.release("one");
    app.release("other");
    let pages = [one.await.expect("a response"), other.await.expect("a response")];

    let cookies: Vec<_> = pages.iter().flat_map(|page| page.set_cookies()).collect();
    assert_eq!(cookies.len(), 1, "{pages:#?}");
    let new = pages.iter().find_map(|page| page.cookie("id")).expect("a new cookie");
    assert!(is_valid(&app, &new).await && !is_valid(&app, &anonymous).await);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn a_login_that_overlaps_a_logout_revives_nothing() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;

    let login = app.hold("log-in", "login", &cookie).await;
    app.get_with("/probe/end", &cookie).await;
    app.release("login");
    let login = login.await.expect("a response");

    assert_eq!(login.status, 200, "{login:#?}");
    assert!(login.set_cookies().is_empty(), "{login:#?}");
    assert!(!is_valid(&app, &cookie).await);
    assert_eq!(app.database.number(SESSIONS).await, 0);
}

#[actix_web::test]
async fn a_logout_that_overlaps_a_login_removes_the_cookie_and_leaves_the_new_row() {
    let app = TestApp::spawn().await;
    let (_, anonymous) = app.start().await;

    let logout = app.hold("end", "logout", &anonymous).await;
    let new = app.get_with("/probe/log-in", &anonymous).await.cookie("id").expect("a new cookie");
    app.release("logout");
    let logout = logout.await.expect("a response");

    assert_eq!(logout.cookie("id").as_deref(), Some("id="), "{logout:#?}");
    assert!(!is_valid(&app, &anonymous).await);
    // The key of the logout was invalid by then, so an attacker can't log the victim out with it either.
    assert!(is_valid(&app, &new).await);
    assert_eq!(app.database.number(LOGGED_IN).await, 1);
}

#[actix_web::test]
async fn a_logout_ends_the_session_of_a_login() {
    let app = TestApp::spawn().await;
    let cookie = app.get_with("/probe/log-in", "").await.cookie("id").expect("a cookie");

    let page = app.get_with("/probe/end", &cookie).await;

    assert_eq!(page.cookie("id").as_deref(), Some("id="), "{page:#?}");
    assert!(!is_valid(&app, &cookie).await);
    assert_eq!(app.database.number(SESSIONS).await, 0);
}

#[actix_web::test]
async fn a_visit_after_a_login_is_never_refused_and_keeps_the_key() {
    let app = TestApp::spawn_with(&[("NEW_SESSIONS_PER_MINUTE", "1")]).await;
    app.new_session().await;
    let cookie = app.get_with("/probe/log-in", "").await.cookie("id").expect("a cookie");

    let page = app.get_with("/", &cookie).await;
    let next = app.get_with("/", &cookie).await;

    assert_eq!((page.status.as_u16(), page.visits()), (200, 1), "{page:#?}");
    assert!(page.set_cookies().is_empty(), "{page:#?}");
    assert_eq!(next.visits(), 2, "{next:#?}");
    assert_eq!(app.database.number(OWNED).await, 1);
}
