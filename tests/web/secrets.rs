//! The secrets that encrypt the session cookie, and how a new one replaces an old one.

use crate::support::{TestApp, decrypt, encrypt};

pub const NEW: &str = "the newer of the two secrets of these tests";
pub const OLD: &str = "the older of the two secrets of these tests";
const BOTH: &str = "the newer of the two secrets of these tests,the older of the two secrets of these tests";

/// An app with both secrets, the user of a new session, and the session's cookie, encrypted with the old secret.
async fn session_under_the_old_secret() -> (TestApp, String, String) {
    let app = TestApp::spawn_with(&[("SESSION_SECRET", BOTH)]).await;
    let (user, cookie) = app.start().await;
    let old = encrypt(OLD, "id", &decrypt(NEW, &cookie).expect("a cookie under the new secret"));
    (app, user, old)
}

#[actix_web::test]
async fn a_cookie_encrypted_with_an_old_secret_keeps_its_session_and_is_never_replaced() {
    let (app, user, old) = session_under_the_old_secret().await;

    let reading = app.get_with("/probe", &old).await;
    let writing = app.get_with("/probe/write", &old).await;
    let written = app.database.number("select count(*) from sessions where state->>'note' = 'written'").await;
    app.database.execute("update sessions set expires_at = now() - interval '1 second'").await;
    let ended = app.get_with("/probe", &old).await;

    assert_eq!((reading.visitor(), writing.visitor(), ended.visitor()), (&*user, &*user, ""));
    for page in [reading, writing, ended] {
        assert!(page.set_cookies().is_empty(), "{page:#?}");
    }
    assert_eq!(written, 1);
}

#[actix_web::test]
async fn a_new_key_is_encrypted_with_the_new_secret() {
    let (app, user, old) = session_under_the_old_secret().await;

    let page = app.get_with("/probe/rotate", &old).await;

    let [set] = page.set_cookies()[..] else { panic!("{page:#?}") };
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    let new = page.cookie("id").expect("a new cookie");
    assert!(decrypt(NEW, &new).is_some() && decrypt(OLD, &new).is_none(), "{new}");
    assert_eq!(app.get_with("/probe", &new).await.visitor(), user);
    assert_eq!(app.get_with("/probe", &old).await.visitor(), "");
}

#[actix_web::test]
async fn a_request_overtaken_by_a_rotation_sends_no_key_and_writes_nothing() {
    let (app, user, old) = session_under_the_old_secret().await;

    let reading = app.hold("nothing", "read", &old).await;
    let rotating = app.hold("rotate", "rotate", &old).await;
    let writing = app.hold("write", "write", &old).await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("read");
    app.release("rotate");
    app.release("write");

    for overtaken in [reading, rotating, writing] {
        let page = overtaken.await.expect("a response");
        assert_eq!((page.status.as_u16(), page.visitor()), (200, &*user), "{page:#?}");
        assert!(page.set_cookies().is_empty(), "the browser keeps the new key: {page:#?}");
    }
    assert_eq!(app.get_with("/probe", &new).await.visitor(), user);
    let notes = "select count(*) from sessions where state->>'note' is not null";
    assert_eq!((app.sessions().await, app.database.number(notes).await), (1, 0));
}
