//! Expired sessions are deleted, and nothing else.

use std::time::Duration;

use actix_session_postgres::PgSessionStore;
use futures_util::future::join_all;
use tokio::runtime::Handle;

use crate::{Store, state, support::eventually};

const EXPIRED: &str = "insert into sessions (id, state, expires_at, idle_seconds, ends_at)
    select sha256(('expired ' || n)::bytea), '{}', now() - interval '2 hours', 60, now() from generate_series(1, 500) as n";
const COUNT: &str = "select count(*) from sessions";

#[actix_web::test]
async fn sweep_deletes_up_to_limit_expired_sessions_and_no_live_one() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    store.database.execute(EXPIRED).await;

    assert_eq!(store.store.sweep(300).await.expect("swept"), 300);
    assert_eq!(store.store.sweep(300).await.expect("swept"), 200);
    assert_eq!(store.store.sweep(300).await.expect("swept"), 0);

    assert!(store.load(&key).await.is_some());
    assert_eq!(store.database.number(COUNT).await, 1);
}

#[actix_web::test]
async fn four_replicas_that_sweep_at_the_same_time_delete_each_row_once_without_an_error() {
    let store = Store::new().await;
    store.database.execute(EXPIRED).await;
    let replicas: Vec<_> = (0..4).map(|_| PgSessionStore::new(store.database.pool.clone())).collect();

    let mut total = 0;
    while store.database.number(COUNT).await > 0 {
        let swept = join_all(replicas.iter().map(|replica| replica.sweep(50))).await;
        total += swept.into_iter().map(|swept| swept.expect("no error")).sum::<u64>();
    }

    assert_eq!(total, 500);
}

#[actix_web::test]
async fn while_another_replica_sweeps_a_sweep_deletes_nothing_and_waits_for_nothing() {
    let store = Store::new().await;
    store.database.execute(EXPIRED).await;
    let mut other = store.database.pool.begin().await.expect("a transaction");
    let lock = "select pg_advisory_xact_lock(hashtextextended('actix-session-postgres sweep sessions', 0))";
    sqlx::query(lock).execute(&mut *other).await.expect("the lock");

    assert_eq!(store.store.sweep(300).await.expect("no error"), 0);

    other.rollback().await.expect("released");
    assert_eq!(store.store.sweep(300).await.expect("swept"), 300);
}

#[actix_web::test]
async fn sweep_every_sweeps_until_it_is_dropped() {
    let store = Store::new().await;
    store.database.execute(EXPIRED).await;

    let sweeps: Vec<_> = (0..3).map(|_| store.store.sweep_every(Duration::from_millis(10))).collect();
    eventually("all expired rows", async || store.database.number(COUNT).await == 0).await;
    store.database.execute(EXPIRED).await;
    eventually("all expired rows again", async || store.database.number(COUNT).await == 0).await;

    let tasks = Handle::current().metrics().num_alive_tasks();
    drop(sweeps);
    let ended = async || Handle::current().metrics().num_alive_tasks() <= tasks - 3;
    eventually("the end of the tasks", ended).await;
}
