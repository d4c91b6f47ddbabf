//! `TypedSession::rotate`: a new key for the same session. The old key is invalid at once.

use crate::support::TestApp;

const SESSIONS: &str = "select count(*) from sessions";
const NOTES: &str = "select count(*) from sessions where state->>'note' is not null";

#[actix_web::test]
async fn rotating_gives_a_new_key_and_keeps_the_row_its_age_and_its_contents() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;
    app.database.execute("update sessions set created_at = created_at - interval '1 hour'").await;

    let page = app.get_with("/probe/rotate", &old).await;
    let new = page.cookie("id").expect("a new cookie");

    assert_ne!(new, old);
    assert_eq!(page.user(), user);
    assert_eq!(app.get_with("/probe", &new).await.user(), user);
    let kept = "select count(*) from sessions
        where created_at between now() - interval '61 minutes' and now() - interval '59 minutes'
        and state::text = format('{\"user_id\":\"%s\"}', state->>'user_id')
        and owner is null";
    assert_eq!(app.database.number(kept).await, 1);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn the_old_key_is_invalid_as_soon_as_the_response_is_sent() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new cookie");

    let reading = app.get_with("/probe", &old).await;
    let writing = app.get_with("/probe/write", &old).await;
    app.get_with("/probe/rotate", &old).await;
    app.get_with("/probe/end", &old).await;

    assert_eq!((reading.user(), writing.user()), ("", ""), "{reading:#?} {writing:#?}");
    let own = writing.cookie("id").expect("a session of its own");
    assert_ne!(own, new);
    assert_eq!(app.get_with("/probe", &new).await.user(), user);
    let changed =
        "select count(*) from sessions where state->>'user_id' is not null and state->>'note' is not null";
    assert_eq!(app.database.number(changed).await, 0);
}

#[actix_web::test]
async fn a_session_can_be_rotated_again_and_again_and_only_the_last_key_is_valid() {
    let app = TestApp::spawn().await;
    let (user, first) = app.start().await;

    let second = app.get_with("/probe/rotate", &first).await.cookie("id").expect("a new cookie");
    let third = app.get_with("/probe/rotate", &second).await.cookie("id").expect("a new cookie");

    assert_eq!(app.get_with("/probe", &third).await.user(), user);
    assert_eq!(app.get_with("/probe", &second).await.user(), "");
    assert_eq!(app.get_with("/probe", &first).await.user(), "");
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn a_request_that_overlaps_a_rotation_is_answered_and_its_write_is_dropped() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;

    let slow = app.hold("write", "slow", &old).await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow");
    let slow = slow.await.expect("a response");

    assert_eq!((slow.status.as_u16(), slow.user()), (200, &*user), "{slow:#?}");
    assert!(slow.set_cookies().is_empty(), "the browser keeps the new key: {slow:#?}");
    assert_eq!(app.get_with("/probe", &new).await.user(), user);
    assert_eq!(app.database.number(NOTES).await, 0);
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn a_read_that_overlaps_a_rotation_is_answered_and_sets_no_cookie() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;

    let slow = app.hold("nothing", "slow", &old).await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow");
    let slow = slow.await.expect("a response");

    assert_eq!((slow.status.as_u16(), slow.user()), (200, &*user), "{slow:#?}");
    assert!(slow.set_cookies().is_empty(), "{slow:#?}");
    assert_eq!(app.get_with("/probe", &new).await.user(), user);
}

#[actix_web::test]
async fn of_two_rotations_at_once_one_gives_the_key_and_the_other_sets_no_cookie() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;

    let one = app.hold("rotate", "one", &old).await;
    let other = app.hold("rotate", "other", &old).await;
    app.release("one");
    app.release("other");
    let pages = [one.await.expect("a response"), other.await.expect("a response")];

    for page in &pages {
        assert_eq!((page.status.as_u16(), page.user()), (200, &*user), "{page:#?}");
    }
    let cookies: Vec<_> = pages.iter().flat_map(|page| page.set_cookies()).collect();
    assert_eq!(cookies.len(), 1, "{pages:#?}");
    let new = pages.iter().find_map(|page| page.cookie("id")).expect("a new cookie");
    assert_eq!(app.get_with("/probe", &new).await.user(), user);
    assert_eq!(app.get_with("/probe", &old).await.user(), "");
    assert_eq!(app.database.number(SESSIONS).await, 1);
}

#[actix_web::test]
async fn a_rotation_that_overlaps_a_logout_revives_nothing() {
    let app = TestApp::spawn().await;
    let (_, cookie) = app.start().await;

    let slow = app.hold("rotate", "slow", &cookie).await;
    app.get_with("/probe/end", &cookie).await;
    app.release("slow");
    let slow = slow.await.expect("a response");

    assert_eq!(slow.status, 200, "{slow:#?}");
    assert!(slow.set_cookies().is_empty(), "{slow:#?}");
    assert_eq!(app.get_with("/probe", &cookie).await.user(), "");
    assert_eq!(app.database.number(SESSIONS).await, 0);
}

#[actix_web::test]
async fn a_logout_that_overlaps_a_rotation_removes_the_cookie_and_leaves_the_new_row() {
    let app = TestApp::spawn().await;
    let (user, old) = app.start().await;

    let slow = app.hold("end", "slow", &old).await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow");
    let slow = slow.await.expect("a response");

    assert_eq!(slow.cookie("id").as_deref(), Some("id="), "{slow:#?}");
    assert_eq!(app.get_with("/probe", &old).await.user(), "");
    // The key of the logout was invalid by then, so it can't end the session.
    assert_eq!(app.get_with("/probe", &new).await.user(), user);
}

#[actix_web::test]
async fn rotating_an_empty_session_stores_nothing() {
    let app = TestApp::spawn().await;

    let page = app.get_with("/probe/rotate", "").await;

    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0), "{page:#?}");
    assert_eq!(app.database.number(SESSIONS).await, 0);
}
