//! Tests concurrent calls on one session. Regardless of their order, a logout is final and a login takes effect.

use std::{future::Future, pin::Pin};

use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::{PgSession, PgSessionStore, SessionId};
use actix_web::rt;
use futures_util::{StreamExt, future::join_all, stream};
use rand::seq::SliceRandom;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::support::{TestDatabase, eventually};
use crate::{HALF_AN_HOUR, Store, changed, copy, state};

#[actix_web::test]
async fn concurrent_loads_and_updates_never_bring_back_a_deleted_session_in_2_000_rounds() {
    let Store { store, database } = Store::new().await;

    let revived = interleave(&store, 2_000, &[load, update, update, delete]).await;

    assert_eq!(revived, 0);
    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn the_old_key_is_invalid_after_concurrent_rotations_logins_and_logouts_in_1_000_rounds() {
    let Store { store, database } = Store::new().await;

    let revived = interleave(&store, 1_000, &[rotate, rotate, log_in, update, load, delete]).await;

    assert_eq!(revived, 0, "the old key is invalid after each round");
    // If the delete runs after a rotation, its key is invalid, and the session remains. But a rotation never copies it.
    let logins = database.number("select count(*) from sessions where owner is not null").await;
    let rotated = database.number("select count(*) from sessions where owner is null").await;
    assert_eq!(logins, 1_000);
    assert!((0..=1_000).contains(&rotated), "{rotated}");
}

#[actix_web::test]
async fn a_logout_that_waits_for_a_rotation_does_not_delete_the_session() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, &key, rotate(&store, &key), delete(&store, &key)).await;

    // The logout ran after the rotation had made its key invalid.
    assert_eq!(database.number("select count(*) from sessions").await, 1);
    assert_eq!(store.load(&key).await.expect("no error"), None);
}

#[actix_web::test]
async fn a_rotation_that_waits_for_a_logout_does_not_bring_the_session_back() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, &key, delete(&store, &key), rotate(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_login_that_waits_for_a_logout_starts_a_new_session_and_the_old_key_is_invalid() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, &key, delete(&store, &key), log_in(&store, &key)).await;

    assert_eq!(store.load(&key).await.expect("no error"), None);
    assert_eq!(store.sessions_of(&Uuid::nil()).await.expect("sessions").len(), 1);
    assert_eq!(database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn a_login_that_waits_for_a_rotation_takes_effect() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, &key, rotate(&store, &key), log_in(&store, &key)).await;

    assert_eq!(store.load(&key).await.expect("no error"), None);
    assert_eq!(store.sessions_of(&Uuid::nil()).await.expect("sessions").len(), 1);
}

#[actix_web::test]
async fn two_concurrent_logins_both_take_effect() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, &key, log_in(&store, &key), log_in(&store, &key)).await;

    assert_eq!(store.load(&key).await.expect("no error"), None);
    assert_eq!(store.sessions_of(&Uuid::nil()).await.expect("sessions").len(), 2);
}

#[actix_web::test]
async fn an_update_that_waits_for_a_rotation_changes_nothing() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    in_line(&database, &key, rotate(&store, &key), update(&store, &key)).await;

    assert_eq!(database.number("select count(*) from sessions where state->>'note' = 'late'").await, 0);
    assert_eq!(database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn the_first_of_two_concurrent_rotations_wins() {
    let Store { store, database } = Store::new().await;
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    let rotation = async || {
        let state = changed(state(&[("n", "1")]), |session| session.rotate());
        store.update(copy(&key), state, &HALF_AN_HOUR).await.expect("no error")
    };

    let (first, second) = in_line(&database, &key, rotation(), rotation()).await;

    assert_ne!(first, key);
    assert_eq!(second, key);
    assert!(store.load(&first).await.expect("no error").is_some());
    assert_eq!(store.load(&key).await.expect("no error"), None);
    assert_eq!(database.number("select count(*) from sessions").await, 1);
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
        let state = changed(state(&[("n", "1")]), |session| session.rotate());
        store.update(copy(key), state, &HALF_AN_HOUR).await.expect("no error");
    })
}

fn log_in<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async {
        let state = changed(state(&[]), |session| drop(session.log_in(Uuid::nil())));
        store.update(copy(key), state, &HALF_AN_HOUR).await.expect("no error");
    })
}

fn delete<'a>(store: &'a PgSessionStore, key: &'a SessionKey) -> Call<'a> {
    Box::pin(async { store.delete(key).await.expect("deleted") })
}

/// In each round, saves a session and makes these calls concurrently in random order. Returns how many of the
/// saved keys are still valid afterward.
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

/// Locks the session's row until both calls are waiting for it, with `first` ahead of `second`.
async fn in_line<A, B>(
    database: &TestDatabase,
    key: &SessionKey,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let mut holder = database.pool.acquire().await.expect("a connection");
    let mut held = holder.begin().await.expect("a transaction");
    lock(&mut held, key).await;
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

/// Locks a session's row. Citus can lock only rows that are selected by an exact ID.
pub async fn lock(connection: &mut PgConnection, key: &SessionKey) {
    let lock = sqlx::query("select 1 from sessions where id = $1 for update");
    lock.bind(SessionId::of(key.as_ref())).execute(connection).await.expect("the row");
}

async fn waiting(database: &TestDatabase, count: i64) {
    let waiting = "select count(*) from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    eventually("calls are waiting for the row", async || database.number(waiting).await == count).await;
}
