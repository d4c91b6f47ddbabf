//! Tests that idle timers are reset in the background, without delaying requests.

use actix_session::storage::SessionStore;
use actix_session_postgres::PgSessionStore;
use futures_util::future::join_all;
use sqlx::Connection;

use crate::{Store, races::lock, state, support::eventually};

#[actix_web::test]
async fn a_touch_does_not_wait_for_a_row_locked_by_another_transaction() {
    let store = Store::new().await;
    let held = store.save(&state(&[("n", "1")])).await;
    let nothing = state(&[]);
    let free = join_all((0..20).map(|_| store.save(&nothing))).await;
    store.database.execute("update sessions set expires_at = now() + interval '1 minute'").await;
    let mut holder = store.database.pool.acquire().await.expect("a connection");
    let mut transaction = holder.begin().await.expect("a transaction");
    lock(&mut transaction, &held).await;

    // The touches share one batcher call, and each is sent once.
    join_all(free.iter().chain([&held]).map(|key| store.load(key))).await;

    let reset = "select count(*) from sessions where expires_at > now() + interval '29 minutes'";
    eventually("the free rows", async || store.database.number(reset).await == 20).await;
    transaction.rollback().await.expect("released");
    store.load(&held).await.expect("alive");
    eventually("all rows", async || store.database.number(reset).await == 21).await;
}

#[actix_web::test]
async fn a_touch_does_not_bring_back_a_session_that_expired_after_it_was_loaded() {
    let store = Store::new().await;
    let expiring = store.save(&state(&[("expiring", "1")])).await;
    let nothing = state(&[]);
    let others = join_all((0..20).map(|_| store.save(&nothing))).await;
    store.database.execute("update sessions set expires_at = now() + interval '1 minute'").await;

    join_all(others.iter().chain([&expiring]).map(|key| store.load(key))).await;
    let expire = "update sessions set expires_at = now() where state->>'expiring' is not null";
    store.database.execute(expire).await;

    let reset = "select count(*) from sessions where expires_at > now() + interval '29 minutes'";
    eventually("the others", async || store.database.number(reset).await >= 20).await;
    assert!(store.load(&expiring).await.is_none());
}

#[actix_web::test]
async fn concurrent_loads_reset_the_idle_timer_once() {
    let store = Store::new().await;
    if store.database.has_citus().await {
        eprintln!("skipped: this test needs a trigger, and Citus has none on distributed tables");
        return;
    }
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
    // Once another session's reset is done, all resets have been sent.
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

    // Two of these are the test's own updates.
    assert_eq!(store.database.number("select count(*) from resets").await, 4);
}
