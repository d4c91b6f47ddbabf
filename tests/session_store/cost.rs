//! What a statement costs the database, from its own statistics.

use actix_postgres_sessions::{PgSessionStore, session::sweep::sweep};
use actix_session::storage::SessionStore;
use actix_web::{cookie::time::Duration, rt};
use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};

use crate::{HALF_AN_HOUR, Store, state, support::TestDatabase};

/// A server process tells its statistics when it has ended.
async fn ended(monitor: &mut PgConnection) {
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *monitor).await.expect("activity") > 0 {
        rt::task::yield_now().await;
    }
}

/// Of the table `sessions`, until now: reads of the whole of it, rows found by key, updates, and of these those that
/// touched no index (HOT).
async fn cost(monitor: &mut PgConnection) -> [i64; 4] {
    let (whole, by_key, updates, hot) = sqlx::query_as(
        "select tables.seq_scan, idx_tup_read, n_tup_upd, n_tup_hot_upd
        from pg_stat_user_tables as tables
        join pg_stat_user_indexes as indexes using (relid)
        where indexrelname = 'sessions_pkey'",
    )
    .fetch_one(monitor)
    .await
    .expect("statistics");
    [whole, by_key, updates, hot]
}

#[actix_web::test]
async fn a_load_reads_one_row_by_its_key_whatever_the_size_of_the_table_and_moves_its_clock_in_place() {
    let Store { store, database } = Store::new().await;
    let mut monitor = PgConnection::connect_with(&database.options).await.expect("connect");
    // As small a table as PostgreSQL can know of: it would rather read it whole.
    store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    database.execute("vacuum (analyze) sessions").await;
    drop(store);
    database.pool.close().await;
    ended(&mut monitor).await;
    let before = cost(&mut monitor).await;

    let store = PgSessionStore::new(database.pool.clone());
    for _ in 0..200 {
        // Its clock is behind.
        let key = store.save(state(&[]), &Duration::minutes(10)).await.expect("saved");
        assert!(store.load(&key).await.expect("loaded").is_some());
    }
    drop(store);
    ended(&mut monitor).await;

    let after = cost(&mut monitor).await;
    // To read a row, to lock it, to write it.
    let spent: [i64; 4] = std::array::from_fn(|n| after[n] - before[n]);
    assert_eq!(
        spent,
        [0, 3 * 200, 200, 200],
        "whole reads, rows read by key, clocks moved, of them in place"
    );
}

#[actix_web::test]
async fn a_sweep_that_began_with_a_small_table_does_not_read_a_large_one_whole_for_each_step() {
    let database = TestDatabase::new().await;
    let mut monitor = PgConnection::connect_with(&database.options).await.expect("connect");
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(database.options.clone());
    database.execute("alter table sessions set (autovacuum_enabled = false)").await;
    database.execute("insert into sessions (id, state, expires_at) values (sha256('live'), '{}', now() + interval '1 hour')").await;
    database.execute("vacuum (analyze) sessions").await;
    // PostgreSQL keeps a plan from the sixth time on.
    for _ in 0..10 {
        sweep(&pool, Duration::hours(8).unsigned_abs()).await.expect("swept");
    }
    database
        .execute(
            "insert into sessions (id, state, expires_at)
            select sha256(n::text::bytea), '{}', now() from generate_series(1, 20000) as n",
        )
        .await;
    database.pool.close().await;
    let small = cost(&mut monitor).await;

    sweep(&pool, Duration::hours(8).unsigned_abs()).await.expect("swept");
    pool.close().await;
    ended(&mut monitor).await;

    let [whole, ..] = cost(&mut monitor).await;
    // Two for each sweep of the small table, which are told only now.
    assert!(whole - small[0] <= 20, "{} reads of the whole table", whole - small[0]);
}
