//! Measures the cost of the statements with PostgreSQL's own statistics.

use actix_session::storage::{SessionKey, SessionStore, generate_session_key};
use actix_session_postgres::{PgSession, PgSessionStore, SessionId};
use actix_web::cookie::time::Duration;
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection, Row, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::support::{TestDatabase, eventually};
use crate::{HALF_AN_HOUR, changed, copy, state};

/// Returns the table's statistics since the last call. Closes the pool first, because a backend reports its
/// statistics when it exits.
async fn statistics(database: &TestDatabase) -> Statistics {
    database.pool.close().await;
    let mut monitor = PgConnection::connect_with(&database.options).await.expect("connect");
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    let start = std::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut monitor).await.expect("activity") > 0 {
        assert!(start.elapsed() < crate::support::PATIENCE, "connections are still open");
    }
    let row = sqlx::query(
        "select
            sum(seq_scan)::bigint as whole,
            sum(n_tup_upd)::bigint as updates,
            sum(n_tup_hot_upd)::bigint as in_place,
            sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint as pages
        from pg_stat_user_tables
        join pg_statio_user_tables using (relid)
        where pg_stat_user_tables.relname = 'sessions'",
    )
    .fetch_one(&mut monitor)
    .await
    .expect("statistics");
    sqlx::query("select pg_stat_reset()").execute(&mut monitor).await.expect("reset");
    let number = |name| row.get::<i64, _>(name);
    let (whole, updates) = (number("whole"), number("updates"));
    Statistics { whole, updates, in_place: number("in_place"), pages: number("pages") }
}

#[derive(Debug)]
struct Statistics {
    /// Sequential scans.
    whole: i64,
    updates: i64,
    /// Updates that touched no index (HOT).
    in_place: i64,
    /// Table and index pages that were read.
    pages: i64,
}

/// Creates a database without planner statistics, as if it had just been restored.
async fn without_statistics() -> TestDatabase {
    let database = TestDatabase::new().await;
    database.execute("alter table sessions set (autovacuum_enabled = false)").await;
    database
}

async fn fill(database: &TestDatabase, rows: i64) {
    sqlx::query(
        "insert into sessions (id, state, expires_at, idle_seconds, ends_at)
        select sha256(n::text::bytea), '{}', now() + interval '20 minutes', 1800, now() + interval '1 day'
        from generate_series(1, $1) as n",
    )
    .bind(rows)
    .execute(&database.pool)
    .await
    .expect("filled");
}

#[actix_web::test]
async fn every_statement_uses_an_index_on_a_table_without_statistics() {
    let mut database = without_statistics().await;
    fill(&database, 100_000).await;
    database
        .execute(
            "insert into sessions (id, state, expires_at, idle_seconds, ends_at)
            select sha256(('expired ' || n)::bytea), '{}', now() - interval '3 hours', 1800, now()
            from generate_series(1, 500) as n",
        )
        .await;
    let keys: Vec<SessionKey> = (0..40).map(|_| generate_session_key()).collect();
    for key in &keys {
        let insert = "insert into sessions (id, state, owner, expires_at, idle_seconds, ends_at)
            values ($1, '{}', $2, now() + interval '20 minutes', 1800, now() + interval '1 day')";
        let row = sqlx::query(insert).bind(SessionId::of(key.as_ref())).bind(Uuid::nil());
        row.execute(&database.pool).await.expect("a session");
    }
    statistics(&database).await;
    database.pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(database.options.clone());
    let store = PgSessionStore::new(database.pool.clone());

    use_everything(&store, keys).await;

    drop(store);
    let spent = statistics(&database).await;
    assert_eq!(spent.whole, 0, "{spent:?}");
}

async fn use_everything(store: &PgSessionStore, keys: Vec<SessionKey>) {
    let mut swept = 0;
    for key in &keys {
        assert!(store.load(key).await.expect("no error").is_some());
        store.update(copy(key), state(&[]), &HALF_AN_HOUR).await.expect("no error");
        store.update_ttl(key, &Duration::hours(1)).await.expect("no error");
        swept += store.sweep(20).await.expect("swept");
    }
    assert_eq!(swept, 500);
    join_all(keys.iter().map(|key| store.load(key))).await;
    assert_eq!(store.sessions_of(&Uuid::nil()).await.expect("no error").len(), 40);
    store.delete(&keys[0]).await.expect("deleted");
    for key in keys {
        let rotation = changed(state(&[]), |session| session.rotate());
        let key = store.update(key, rotation, &HALF_AN_HOUR).await.expect("rotated");
        let login = changed(state(&[]), |session| drop(session.log_in(Uuid::nil())));
        store.update(key, login, &HALF_AN_HOUR).await.expect("logged in");
    }
    store.end_all_of(&Uuid::nil(), None).await.expect("ended");
}

#[actix_web::test]
async fn a_sweep_of_200_000_live_sessions_reads_fewer_than_100_pages() {
    let mut database = without_statistics().await;
    fill(&database, 200_000).await;
    statistics(&database).await;
    database.pool = PgPoolOptions::new().connect_lazy_with(database.options.clone());

    let store = PgSessionStore::new(database.pool.clone());
    assert_eq!(store.sweep(200).await.expect("swept"), 0);

    let spent = statistics(&database).await;
    assert!(spent.pages < 100, "{spent:?}");
}

#[actix_web::test]
async fn at_least_95_percent_of_touches_are_in_place_updates() {
    // This needs a separate server, because a long transaction in another database would keep PostgreSQL from
    // reusing space.
    let mut database = TestDatabase::on_own_server().await;
    for sql in [
        "create schema clock",
        "create table clock.offset (seconds int)",
        "insert into clock.offset values (0)",
        "create function clock.now() returns timestamptz stable language sql
            as $$ select pg_catalog.now() + seconds * interval '1 second' from clock.offset $$",
        "alter table sessions alter created_at set default clock.now()",
    ] {
        database.execute(sql).await;
    }
    let options = database.options.clone().options([("search_path", "clock,pg_catalog,public")]);
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let store = PgSessionStore::new(pool.clone());
    let saved = (0..50).map(|_| store.save(state(&[("user_id", "\"somebody\"")]), &HALF_AN_HOUR));
    let keys: Vec<_> = join_all(saved).await.into_iter().map(|key| key.expect("saved")).collect();

    // Each visitor returns every 65 seconds for an hour.
    for visit in 1..=56 {
        let offset = "update clock.offset set seconds = $1";
        sqlx::query(offset).bind(65 * visit).execute(&database.pool).await.expect("the clock");
        join_all(keys.iter().map(|key| store.load(key))).await;
        let reset = "select count(*) from sessions, clock.offset
            where expires_at > pg_catalog.now() + (seconds + 1780) * interval '1 second'";
        eventually("all timers", async || database.number(reset).await == 50).await;
    }
    drop(store);
    pool.close().await;

    let spent = statistics(&database).await;
    database.pool = PgPoolOptions::new().connect_lazy_with(database.options.clone());
    assert!(spent.updates >= 56 * 50, "{spent:?}");
    assert!(spent.in_place * 100 >= spent.updates * 95, "{spent:?}");
}
