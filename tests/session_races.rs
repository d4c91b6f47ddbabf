//! Requests that meet on one session: whatever their order, one that has ended stays ended.

mod support;

use std::{collections::HashMap, future::Future, pin::Pin};

use actix_postgres_sessions::{PgSessionStore, session::TypedSession};
use actix_session::{
    SessionExt,
    storage::{SessionKey, SessionStore},
};
use actix_web::{FromRequest, HttpRequest, cookie::time::Duration, dev::Payload, rt, test::TestRequest};
use futures_util::{StreamExt, future::join_all, stream};
use rand::seq::SliceRandom;
use sqlx::Connection;
use support::{LoginApp, TestApp, TestDatabase};

const TTL: Duration = Duration::minutes(30);

#[actix_web::test]
async fn a_slow_request_that_saves_while_a_logout_goes_through_revives_nothing() {
    let app = LoginApp::spawn().await;
    let (user, cookie) = app.start().await;

    let slow = app.hold("write", "slow", &cookie).await;
    let logout = app.get("/end", &cookie).await;
    app.release("slow").await;
    let slow = slow.await.expect("an answer");

    assert_eq!((logout.status.as_u16(), slow.status.as_u16(), &slow.body), (200, 200, &user));
    assert!(slow.set_cookies().is_empty(), "{slow:#?}");
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
    assert_eq!(app.get("/who", &cookie).await.body, "a stranger");
}

#[actix_web::test]
async fn a_slow_logout_ends_what_a_quicker_request_has_saved_meanwhile() {
    let app = LoginApp::spawn().await;
    let (_, cookie) = app.start().await;

    let logout = app.hold("end", "slow", &cookie).await;
    app.release("quick").await;
    let quick = app.get("/held/write/quick", &cookie).await;
    app.release("slow").await;
    let logout = logout.await.expect("an answer");

    assert_eq!((quick.status.as_u16(), logout.status.as_u16()), (200, 200));
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
    assert_eq!(app.get("/who", &cookie).await.body, "a stranger");
}

#[actix_web::test]
async fn a_session_of_nobodys_that_becomes_a_users_gets_a_new_key_and_the_user_a_row() {
    let app = LoginApp::spawn().await;
    let nobodys = app.nobodys().await;

    let started = app.get("/start", &nobodys).await;

    let users = started.cookie("id").expect("a new key");
    assert_eq!(app.get("/who", &users).await.body, started.body);
    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
    assert_eq!(app.database.number("select visits from users").await, 1);
    app.database.execute("update sessions set rotated_at = now() - interval '11 seconds'").await;
    assert_eq!(app.get("/who", &nobodys).await.body, "a stranger");
}

#[actix_web::test]
async fn a_slow_start_of_a_users_session_does_not_revive_one_that_has_ended_meanwhile() {
    let app = LoginApp::spawn().await;
    let nobodys = app.nobodys().await;

    let slow = app.hold("start", "slow", &nobodys).await;
    app.get("/end", &nobodys).await;
    app.release("slow").await;
    let slow = slow.await.expect("an answer");

    assert!(slow.set_cookies().is_empty(), "{slow:#?}");
    assert_eq!(app.get("/who", &nobodys).await.body, "a stranger");
    assert_eq!(app.database.number("select count(*) from sessions").await, 0);
    assert_eq!(app.database.number("select count(*) from users").await, 0);
}

#[actix_web::test]
async fn of_twenty_first_visits_at_once_the_browser_keeps_one_session_and_it_works() {
    let app = TestApp::spawn().await;
    let browser = app.browser();

    let pages = join_all((0..20).map(|_| browser.get("/"))).await;
    let after = browser.get("/").await;
    let later = browser.get("/").await;

    assert!(pages.iter().all(|page| page.status == 200 && page.visits() == 1), "{pages:#?}");
    assert!(pages.iter().any(|page| page.user() == after.user()), "{after:#?}");
    assert_eq!((after.visits(), later.visits(), later.user()), (2, 3, after.user()));
    assert!(later.set_cookies().is_empty(), "{later:#?}");
    // No cookie leads to nineteen of them any more: they are for the sweep.
    assert_eq!(app.database.number("select count(*) from sessions").await, 20);
}

#[actix_web::test]
async fn ten_thousand_times_no_order_of_load_update_and_delete_revives_a_session() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone());

    let revived = interleave(&store, 10_000, &[load, update, update, delete]).await;

    assert_eq!(revived, 0);
    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn two_thousand_times_a_logout_during_rotations_ends_logged_out() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone());

    let revived = interleave(&store, 2_000, &[rotate, rotate, update, load, delete]).await;

    assert_eq!(revived, 0);
    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_logout_that_waits_for_a_rotation_ends_the_session() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone());
    let key = store.save(state(), &TTL).await.expect("a key");

    in_line(&database, rotate(&store, &key), delete(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_rotation_that_waits_for_a_logout_rotates_nothing() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone());
    let key = store.save(state(), &TTL).await.expect("a key");

    in_line(&database, delete(&store, &key), rotate(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn an_update_that_waits_for_a_rotation_is_not_lost() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone());
    let key = store.save(state(), &TTL).await.expect("a key");

    in_line(&database, rotate(&store, &key), update(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions where state->>'note' = 'late'").await, 1);
    assert_eq!(database.number("select count(*) from sessions where previous_id is not null").await, 1);
}

#[actix_web::test]
async fn of_two_rotations_one_behind_the_other_only_the_first_changes_the_key() {
    let database = TestDatabase::new().await;
    let store = PgSessionStore::new(database.pool.clone());
    let key = store.save(state(), &TTL).await.expect("a key");
    let copy = again(&key);
    let first = async { store.update(copy, rotated().await, &TTL).await.expect("a key") };
    let second = async { store.update(again(&key), rotated().await, &TTL).await.expect("a key") };

    let (first, second) = in_line(&database, first, second).await;

    assert_ne!(first.as_ref(), key.as_ref());
    assert_eq!(second.as_ref(), key.as_ref());
    assert!(store.load(&first).await.expect("a row").is_some());
    assert_eq!(database.number("select count(*) from sessions").await, 1);
}

type Call<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn load<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async { drop(store.load(key).await.expect("an answer")) })
}

fn update<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    let state = HashMap::from([("note".to_owned(), r#""late""#.to_owned())]);
    Box::pin(async { drop(store.update(again(key), state, &TTL).await.expect("a key")) })
}

fn rotate<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async { drop(store.update(again(key), rotated().await, &TTL).await.expect("a key")) })
}

fn delete<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async { store.delete(key).await.expect("deleted") })
}

/// Makes `rounds` sessions and lets these calls loose on each, in an order of chance; how many are alive afterwards.
async fn interleave(
    store: &PgSessionStore,
    rounds: usize,
    calls: &[for<'a> fn(&'a PgSessionStore, &'a SessionKey) -> Call<'a>],
) -> usize {
    let round = |_| async {
        let key = store.save(state(), &TTL).await.expect("a key");
        let mut calls = calls.to_vec();
        calls.shuffle(&mut rand::rng());
        let started = calls.iter().map(|call| async {
            for _ in 0..rand::random_range(0..4) {
                rt::task::yield_now().await;
            }
            call(store, &key).await;
        });
        join_all(started).await;
        store.load(&key).await.expect("an answer").is_some()
    };
    stream::iter(0..rounds)
        .map(round)
        .buffer_unordered(8)
        .filter(|alive| std::future::ready(*alive))
        .count()
        .await
}

/// Holds the session's row until both wait for it, the first in front of the second.
async fn in_line<A, B>(
    database: &TestDatabase,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let mut holder = database.pool.acquire().await.expect("a connection");
    let mut held = holder.begin().await.expect("a transaction");
    sqlx::query("select 1 from sessions for update").execute(&mut *held).await.expect("the row");
    let second = async {
        waiting(database, 1).await;
        second.await
    };
    let release = async {
        waiting(database, 2).await;
        held.rollback().await.expect("the row is free");
    };
    let (first, second, ()) = futures_util::join!(first, second, release);
    (first, second)
}

async fn waiting(database: &TestDatabase, count: i64) {
    let waiting = "select count(*) from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    while database.number(waiting).await < count {}
}

fn state() -> HashMap<String, String> {
    HashMap::from([("user_id".to_owned(), r#""somebody""#.to_owned())])
}

/// What the store is given for a session on which somebody has called `rotate`.
async fn rotated() -> HashMap<String, String> {
    let request: HttpRequest = TestRequest::default().to_http_request();
    let session = TypedSession::from_request(&request, &mut Payload::None).await.expect("a session");
    session.rotate().expect("a session");
    let mut state = state();
    state.extend(request.get_session().entries().clone());
    state
}

fn again(key: &SessionKey) -> SessionKey {
    key.as_ref().to_owned().try_into().expect("a key")
}
