//! The app wires up the session store correctly: a planted cookie is invalid after a login. The
//! `actix-session-postgres` crate tests every order of two requests.

use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::PgSessionStore;

use crate::{
    secrets::{USUAL, decrypt},
    support::TestApp,
};

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
