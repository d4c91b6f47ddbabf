//! Concurrent calls on one session. In whatever order they run, a session that has ended stays ended.

use std::{future::Future, pin::Pin};

use actix_session::storage::{SessionKey, SessionStore};
use actix_web::rt;
use app::PgSessionStore;
use futures_util::{StreamExt, future::join_all, stream};
use rand::seq::SliceRandom;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    HALF_AN_HOUR, Store, changed, copy, state,
    support::{TestDatabase, eventually},
};

#[actix_web::test]
async fn no_order_of_load_update_and_delete_revives_a_session_in_10_000_rounds() {
    let Store { store, database } = Store::new().await;

    let revived = interleave(&store, 10_000, &[load, update, update, delete]).await;

    assert_eq!(revived, 0);
    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_logout_during_rotations_and_logins_leaves_at_most_their_new_sessions_in_2_000_rounds() {
    let Store { store, database } = Store::new().await;

    let revived = interleave(&store, 2_000, &[rotate, rotate, log_in, update, load, delete]).await;

    assert_eq!(revived, 0, "the old key is invalid after each round");
    // A delete with the old key may come after a rotation and delete nothing. But one session never becomes two.
    let sessions = database.number("select count(*) from sessions").await;
    assert!((0..=2_000).contains(&sessions), "{sessions}");
}

#[actix_web::test]
async fn a_logout_that_waits_for_a_rotation_does_not_delete_the_session() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, rotate(&store, &key), delete(&store, &key)).await;

    // By then, the logout's key was invalid.
    assert_eq!(database.number("select count(*) from sessions").await, 1);
    assert_eq!(store.load(&key).await.expect("no error"), None);
}

#[actix_web::test]
async fn a_rotation_that_waits_for_a_logout_revives_nothing() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, delete(&store, &key), rotate(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_login_that_waits_for_a_logout_revives_nothing() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, delete(&store, &key), log_in(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn an_update_that_waits_for_a_rotation_changes_nothing() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, rotate(&store, &key), update(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions where state->>'note' = 'late'").await, 0);
    assert_eq!(database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn the_first_of_two_concurrent_rotations_wins() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    let rotation = async || {
        let state = changed(state(&[("n", "1")]), |session| session.rotate()).await;
        store.update(copy(&key), state, &HALF_AN_HOUR).await.expect("no error")
    };

    let (first, second) = in_line(&database, rotation(), rotation()).await;

    assert_ne!(first, key);
    assert_eq!(second, key);
    assert!(store.load(&first).await.expect("no error").is_some());
    assert_eq!(store.load(&key).await.expect("no error"), None);
    assert_eq!(database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn a_touch_does_not_wait_for_a_row_that_another_statement_holds() {
    let store = Store::new().await;
    let (held, free) = (store.save(&state(&[("n", "1")])).await, store.save(&state(&[("n", "2")])).await);
    store.database.execute("update sessions set expires_at = now() + interval '1 minute'").await;
    let mut holder = store.database.pool.acquire().await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    let lock = "select 1 from sessions where state->>'n' = '1' for update";
    sqlx::query(lock).execute(&mut *transaction).await.expect("the row");

    store.load(&held).await.expect("alive");
    store.load(&free).await.expect("alive");

    let reset = "select count(*) from sessions where expires_at > now() + interval '29 minutes'";
    eventually("the free row", async || store.database.number(reset).await == 1).await;
    transaction.rollback().await.expect("released");
    store.load(&held).await.expect("alive");
    eventually("both rows", async || store.database.number(reset).await == 2).await;
}

#[actix_web::test]
async fn concurrent_loads_reset_the_idle_timer_once() {
    let store = Store::new().await;
    let key = store.save(&state(&[("n", "1")])).await;
    store.database.execute("create table resets (at timestamptz)").await;
    store.database.execute("create function log_reset() returns trigger language plpgsql as $$ begin insert into resets values (now()); return new; end $$").await;
    store
        .database
        .execute(
            "create trigger log_reset after update on sessions for each row execute function log_reset()",
        )
        .await;
    store.database.execute("update sessions set expires_at = now() + interval '1 minute'").await;

    let replicas: Vec<_> = (0..4).map(|_| PgSessionStore::new(store.database.pool.clone())).collect();
    join_all((0..40).map(|n| replicas[n % 4].load(&key))).await;
    store.touched().await;
    // All resets have been sent once another session's is done.
    let other = store.save(&state(&[("other", "1")])).await;
    store
        .database
        .execute(
            "update sessions set expires_at = now() + interval '1 minute' where state->>'other' is not null",
        )
        .await;
    join_all(replicas.iter().map(|replica| replica.load(&other))).await;
    let waiting = "select count(*) from sessions where expires_at < now() + interval '29 minutes'";
    eventually("the other session's timer", async || store.database.number(waiting).await == 0).await;

    // Two were written by the test itself.
    assert_eq!(store.database.number("select count(*) from resets").await, 4);
}

type Call<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn load<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async { drop(store.load(key).await.expect("no error")) })
}

fn update<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    let state = state(&[("note", "\"late\"")]);
    Box::pin(async { drop(store.update(copy(key), state, &HALF_AN_HOUR).await.expect("no error")) })
}

fn rotate<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async {
        let state = changed(state(&[("n", "1")]), |session| session.rotate()).await;
        store.update(copy(key), state, &HALF_AN_HOUR).await.expect("no error");
    })
}

fn log_in<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async {
        let state = changed(state(&[]), |session| session.log_in(Uuid::nil())).await;
        store.update(copy(key), state, &HALF_AN_HOUR).await.expect("no error");
    })
}

fn delete<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async { store.delete(key).await.expect("deleted") })
}

/// In each round, saves a session and makes these calls concurrently in a random order. Returns how many of the saved
/// keys are still valid afterwards.
async fn interleave(
    store: &PgSessionStore,
    rounds: usize,
    calls: &[for<'a> fn(&'a PgSessionStore, &'a SessionKey) -> Call<'a>],
) -> usize {
    let round = |_| async {
        let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
        let mut calls = calls.to_vec();
        calls.shuffle(&mut rand::rng());
        let started = calls.iter().map(|call| async {
            for _ in 0..rand::random_range(0..4) {
                rt::task::yield_now().await;
            }
            call(store, &key).await;
        });
        join_all(started).await;
        store.load(&key).await.expect("no error").is_some()
    };
    let rounds = stream::iter(0..rounds).map(round).buffer_unordered(8);
    rounds.filter(|alive| std::future::ready(*alive)).count().await
}

/// Locks the session's row until both calls are waiting for it, `first` before `second`.
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
        held.rollback().await.expect("released");
    };
    let (first, second, ()) = futures_util::join!(first, second, release);
    (first, second)
}

async fn waiting(database: &TestDatabase, count: i64) {
    let waiting = "select count(*) from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    eventually("calls that wait for the row", async || database.number(waiting).await == count).await;
}
