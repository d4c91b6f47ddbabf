//! `TypedSession::rotate`, over HTTP, in an application that uses it.

use crate::support::LoginApp;

const KEY_IS_OLD: &str = "update sessions set rotated_at = rotated_at - interval '11 seconds'";

#[actix_web::test]
async fn rotating_gives_a_new_key_and_keeps_the_row_its_age_and_its_state() {
    let app = LoginApp::spawn().await;
    let (user, old) = app.start().await;
    app.database.execute("update sessions set created_at = created_at - interval '1 hour'").await;

    let page = app.get("/rotate", &old).await;
    let new = page.cookie("id").expect("a new cookie");

    assert_eq!(page.body, user);
    assert_eq!(app.get("/who", &new).await.body, user);
    let kept = "select count(*) from sessions where created_at < now() - interval '59 minutes' \
                and state::text = format('{\"user_id\":\"%s\"}', state->>'user_id')";
    assert_eq!(app.database.number(kept).await, 1);
    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn a_request_with_the_old_key_belongs_to_the_session_for_ten_seconds_and_is_given_no_cookie() {
    let app = LoginApp::spawn().await;
    let (user, old) = app.start().await;
    app.get("/rotate", &old).await;
    app.database.execute("update sessions set rotated_at = rotated_at - interval '8 seconds'").await;

    let reading = app.get("/who", &old).await;
    app.release("a").await;
    let writing = app.get("/held/write/a", &old).await;

    assert_eq!((&reading.body, &writing.body), (&user, &user));
    assert!(reading.set_cookies().is_empty() && writing.set_cookies().is_empty(), "{writing:#?}");
    assert_eq!(app.database.number("select count(*) from sessions where state->>'note' = 'late'").await, 1);
}

#[actix_web::test]
async fn after_ten_seconds_the_old_key_is_a_strangers() {
    let app = LoginApp::spawn().await;
    let (user, old) = app.start().await;
    let new = app.get("/rotate", &old).await.cookie("id").expect("a new cookie");
    app.database.execute(KEY_IS_OLD).await;

    let stranger = app.get("/who", &old).await;
    app.get("/end", &old).await;

    assert_eq!(stranger.body, "a stranger");
    assert_eq!(app.get("/who", &new).await.body, user, "nor can it end the session");
}

#[actix_web::test]
async fn a_slow_request_that_overlaps_a_rotation_writes_to_the_session_and_keeps_nobody_out() {
    let app = LoginApp::spawn().await;
    let (user, old) = app.start().await;

    let slow = app.hold("write", "slow", &old).await;
    let new = app.get("/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow").await;
    let slow = slow.await.expect("an answer");

    assert_eq!((slow.status.as_u16(), &slow.body), (200, &user));
    assert!(slow.set_cookies().is_empty(), "the browser keeps the new key: {slow:#?}");
    assert_eq!(app.get("/who", &new).await.body, user);
    assert_eq!(app.database.number("select count(*) from sessions where state->>'note' = 'late'").await, 1);
}

#[actix_web::test]
async fn of_two_rotations_at_once_one_gives_the_key_and_the_other_none() {
    let app = LoginApp::spawn().await;
    let (user, old) = app.start().await;

    let slow = app.hold("rotate", "slow", &old).await;
    let new = app.get("/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow").await;
    let second = slow.await.expect("an answer");

    assert_eq!((second.status.as_u16(), &second.body), (200, &user));
    assert!(second.set_cookies().is_empty(), "{second:#?}");
    assert_eq!(app.get("/who", &new).await.body, user);
    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn a_session_can_be_rotated_again_and_again() {
    let app = LoginApp::spawn().await;
    let (user, first) = app.start().await;

    let second = app.get("/rotate", &first).await.cookie("id").expect("a new cookie");
    let third = app.get("/rotate", &second).await.cookie("id").expect("a new cookie");

    assert_eq!(app.get("/who", &third).await.body, user);
    assert_eq!(app.get("/who", &second).await.body, user, "on its way for ten seconds");
    assert_eq!(app.get("/who", &first).await.body, "a stranger", "only the last one is");
}

#[actix_web::test]
async fn a_logout_with_the_old_key_within_ten_seconds_ends_the_session() {
    let app = LoginApp::spawn().await;
    let (_, old) = app.start().await;

    let slow = app.hold("end", "slow", &old).await;
    let new = app.get("/rotate", &old).await.cookie("id").expect("a new cookie");
    app.release("slow").await;
    slow.await.expect("an answer");

    assert_eq!(app.get("/who", &new).await.body, "a stranger");
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_rotation_that_comes_after_the_logout_revives_nothing() {
    let app = LoginApp::spawn().await;
    let (_, cookie) = app.start().await;

    let slow = app.hold("rotate", "slow", &cookie).await;
    app.get("/end", &cookie).await;
    app.release("slow").await;
    let slow = slow.await.expect("an answer");

    assert_eq!(slow.status, 200, "{slow:#?}");
    assert!(slow.set_cookies().is_empty(), "{slow:#?}");
    assert_eq!(app.get("/who", &cookie).await.body, "a stranger");
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn rotating_what_is_no_session_yet_starts_one_that_holds_nothing() {
    let app = LoginApp::spawn().await;

    let page = app.get("/rotate", "").await;

    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 1), "{page:#?}");
    assert_eq!(app.database.number("select count(*) from sessions where state::text = '{}'").await, 1);
}
