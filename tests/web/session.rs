//! The app wires the session store right: rotations, logins, and what a planted cookie is worth after them. The crate
//! `actix-session-postgres` tests every order of two requests.

use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::PgSessionStore;

use crate::{
    secrets::{USUAL, decrypt},
    support::TestApp,
};

const SESSIONS: &str = "select count(*) from sessions";
const NOTES: &str = "select count(*) from sessions where state->>'note' is not null";

/// Rows that are logged in, and hold the account and nothing else.
const LOGGED_IN: &str = "select count(*) from sessions
    where owner = '00000000-0000-0000-0000-000000000007' and state::text = '{\"account\":7}'";

const OWNED: &str = "select count(*) from sessions where owner is not null";

/// Returns whether a cookie belongs to a live session.
async fn is_valid(app: &TestApp, cookie: &str) -> bool {
    let key: SessionKey = decrypt(USUAL, cookie).expect("a cookie of this app").try_into().expect("a key");
    PgSessionStore::new(app.database.pool.clone()).load(&key).await.expect("no error").is_some()
}

#[actix_web::test]
async fn a_request_that_overlaps_a_rotation_is_answered_and_its_write_is_dropped() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;

    let slow = app.hold("write", "slow", &old).await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow");
    let slow = slow.await.expect("a response");

    assert_eq!((slow.status.as_u16(), slow.visitor()), (200, &*user), "{slow:#?}");
    assert!(slow.set_cookies().is_empty(), "the browser keeps the new key: {slow:#?}");
    assert_eq!(app.get_with("/probe", &new).await.visitor(), user);
    assert_eq!(app.database.number(NOTES).await, 0);
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

    assert_eq!(reading.visitor(), "", "{reading:#?}");
    assert!(!is_valid(&app, &planted).await);
    assert_ne!(writing.cookie("id").expect("its own anonymous session"), victim);
    assert!(rotating.set_cookies().is_empty(), "{rotating:#?}");
    assert!(is_valid(&app, &victim).await, "the victim stays logged in");
    assert_eq!((app.database.number(LOGGED_IN).await, app.database.number(OWNED).await), (1, 1));
}
