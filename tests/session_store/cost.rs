//! What the statements cost, according to PostgreSQL's own statistics.

use actix_session::storage::{SessionKey, SessionStore, generate_session_key};
use actix_web::cookie::time::Duration;
use app::{PgSessionStore, session::SessionId, sweep::sweep, visitors::VisitCounter};
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection, Row, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    HALF_AN_HOUR, copy, state,
    support::{TestDatabase, eventually},
};

const EIGHT_HOURS: std::time::Duration = std::time::Duration::from_secs(8 * 60 * 60);

/// Returns the statistics of both tables since the last call. A server process reports them when it ends.
async fn statistics(database: &TestDatabase) -> Statistics {
    database.pool.close().await;
    let mut monitor = PgConnection::connect_with(&database.options).await.expect("connect");
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    let start = std::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut monitor).await.expect("activity") > 0 {
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "connections are still open");
    }
    let row = sqlx::query(
        "select
            sum(seq_scan)::bigint as whole,
            sum(n_tup_upd)::bigint as updates,
            sum(n_tup_hot_upd)::bigint as in_place,
            sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint as pages
        from pg_stat_user_tables
        join pg_statio_user_tables using (relid)
        where pg_stat_user_tables.relname in ('sessions', 'visitors')",
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
    /// Scans of a whole table.
    whole: i64,
    updates: i64,
    /// Updates that touched no index (HOT).
    in_place: i64,
    /// Pages read, of tables and indexes.
    pages: i64,
}

/// Fills both tables without gathering planner statistics, as in a database that was just restored.
async fn fill(database: &TestDatabase, rows: i64, sessions: &str) {
    let unanalyzed = "alter table sessions set (autovacuum_enabled = false);
        alter table visitors set (autovacuum_enabled = false)";
    sqlx::raw_sql(unanalyzed).execute(&database.pool).await.expect("altered");
    let insert = format!(
        "insert into sessions (id, state, expires_at)
        select sha256(n::text::bytea), '{{}}', {sessions} from generate_series(1, {rows}) as n"
    );
    sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&database.pool).await.expect("filled");
    let insert = format!(
        "insert into visitors (id, visits) select gen_random_uuid(), 2 from generate_series(1, {rows})"
    );
    sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&database.pool).await.expect("filled");
}

#[actix_web::test]
async fn every_statement_of_a_visit_and_of_the_sweep_uses_an_index_on_tables_without_statistics() {
    let database = TestDatabase::new().await;
    fill(&database, 200_000, "now() + interval '20 minutes'").await;
    database
        .execute(
            "insert into sessions (id, state, expires_at)
            select sha256(('expired ' || n)::bytea), '{}', now() - interval '3 hours' from generate_series(1, 500) as n",
        )
        .await;
    database.execute("update visitors set created_at = now() - interval '2 days' where id < '01000000-0000-0000-0000-000000000000'").await;
    let options = database.options.clone();
    let keys: Vec<SessionKey> = (0..40).map(|_| generate_session_key()).collect();
    for key in &keys {
        let id = SessionId::of(key.as_ref()).expect("a key");
        let insert = "insert into sessions (id, state, owner, expires_at) values ($1, '{}', $2, now() + interval '20 minutes')";
        let row = sqlx::query(insert).bind(&id.0[..]).bind(Uuid::nil());
        row.execute(&database.pool).await.expect("a session");
    }
    let mut database = database;
    statistics(&database).await;
    database.pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
    let store = PgSessionStore::new(database.pool.clone());
    let counter = VisitCounter::new(&database.pool);

    let (visitor, mut swept) = (Uuid::now_v7(), Vec::new());
    for key in &keys {
        assert!(store.load(key).await.expect("no error").is_some());
        store.update(copy(key), state(&[]), &HALF_AN_HOUR).await.expect("no error");
        store.update_ttl(key, &Duration::hours(1)).await.expect("no error");
        counter.count(visitor).await.expect("counted");
        app::visitors::visits(&database.pool, visitor).await.expect("no error");
        swept.push(sweep(&database.pool, EIGHT_HOURS).await.expect("swept"));
    }
    assert!(swept[0].sessions == 500 && swept[0].visitors > 0, "{swept:?}");
    join_all(keys.iter().map(|key| store.load(key))).await;
    join_all((0..40).map(|_| counter.count(Uuid::now_v7()))).await;
    assert_eq!(store.sessions_of(Uuid::nil()).await.expect("no error").len(), 40);
    store.delete(&keys[0]).await.expect("deleted");
    store.end_all_of(Uuid::nil(), None).await.expect("ended");
    drop((store, counter));

    let spent = statistics(&database).await;
    assert_eq!(spent.whole, 0, "{spent:?}");
}

#[actix_web::test]
async fn a_sweep_of_a_million_live_sessions_reads_fewer_than_100_pages() {
    let mut database = TestDatabase::new().await;
    database.execute("alter table sessions set unlogged").await;
    fill(&database, 1_000_000, "now() + make_interval(secs => n % 1800)").await;
    statistics(&database).await;
    database.pool = PgPoolOptions::new().connect_lazy_with(database.options.clone());

    let swept = sweep(&database.pool, EIGHT_HOURS).await.expect("swept");

    assert_eq!((swept.sessions, swept.visitors), (0, 0));
    let spent = statistics(&database).await;
    assert!(spent.pages < 100, "{spent:?}");
}

#[actix_web::test]
async fn at_least_95_percent_of_touches_are_updates_in_place() {
    // On its own server, because a long transaction in another database would keep PostgreSQL from reusing space.
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
    let saved = (0..100).map(|_| store.save(state(&[("user_id", "\"somebody\"")]), &HALF_AN_HOUR));
    let keys: Vec<_> = join_all(saved).await.into_iter().map(|key| key.expect("saved")).collect();

    // Two hours, in which each visitor makes a visit every 65 seconds.
    for visit in 1..=110 {
        let offset = "update clock.offset set seconds = $1";
        sqlx::query(offset).bind(65 * visit).execute(&database.pool).await.expect("the clock");
        join_all(keys.iter().map(|key| store.load(key))).await;
        let reset = "select count(*) from sessions, clock.offset
            where expires_at > pg_catalog.now() + (seconds + 1780) * interval '1 second'";
        eventually("all timers", async || database.number(reset).await == 100).await;
    }
    drop(store);
    pool.close().await;

    let spent = statistics(&database).await;
    database.pool = PgPoolOptions::new().connect_lazy_with(database.options.clone());
    assert!(spent.updates >= 110 * 100, "{spent:?}");
    assert!(spent.in_place * 100 >= spent.updates * 95, "{spent:?}");
}
