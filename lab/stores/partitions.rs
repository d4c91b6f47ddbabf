//! Tests the app on hash-partitioned tables, as created by `deploy/hash_partitions.sql`.

use std::{collections::HashSet, time::Duration};

use actix_session_postgres::PgSessionStore;
use app::{sweep::sweep_visitors, visitors::VisitCounter};
use futures_util::future::join_all;
use session_store_suite::run;
use sqlx::Executor;
use uuid::Uuid;

use crate::subjects::InPostgres;
use crate::support::{TestApp, TestDatabase, eventually};

const PARTITION: &str = include_str!("../../deploy/hash_partitions.sql");

const EIGHT_HOURS: Duration = Duration::from_secs(8 * 60 * 60);

async fn partitioned() -> TestDatabase {
    let database = TestDatabase::new().await;
    let mut connection = database.pool.acquire().await.expect("a connection");
    connection.execute(PARTITION).await.expect("partitioned");
    // Otherwise, PostgreSQL may report the scans for building the indexes only later.
    connection.execute("select pg_stat_force_next_flush()").await.expect("reported");
    database
}

#[actix_web::test]
async fn the_store_passes_the_acceptance_suite_on_hash_partitions() {
    let subject = InPostgres::new().await;
    subject.pool.execute(PARTITION).await.expect("partitioned");

    let report = run(&subject).await;

    report.assert_claims();
}

#[actix_web::test]
async fn partitioning_keeps_every_row_constraint_and_index() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    let user = browser.get("/").await.visitor().to_owned();
    browser.get("/").await;
    let (_, cookie) = app.start().await;
    app.get_with("/probe/log-in", &cookie).await;
    let numbers = [
        "select hashtextextended(string_agg(sessions::text, ',' order by id), 0) from sessions where owner is not null",
        "select hashtextextended(string_agg(sessions::text, ',' order by id), 0) from sessions",
        "select hashtextextended(string_agg(visitors::text, ',' order by id), 0) from visitors",
        "select count(distinct conname) from pg_constraint where conrelid in ('sessions'::regclass, 'visitors'::regclass)",
        "select count(*) from pg_indexes where schemaname = 'public' and tablename in ('sessions', 'visitors')",
    ];
    let state = async || {
        let mut state = Vec::new();
        for number in numbers {
            state.push(app.database.number(number).await);
        }
        state
    };
    let before = state().await;

    app.database.execute(PARTITION).await;

    assert_eq!(state().await, before);
    let after = browser.get("/").await;
    assert_eq!((after.visitor(), after.visits()), (user.as_str(), 3));
}

#[actix_web::test]
async fn concurrent_visits_by_64_visitors_are_counted_exactly_on_hash_partitions() {
    let database = partitioned().await;
    let counter = VisitCounter::new(&database.pool, EIGHT_HOURS);
    let visitors: Vec<Uuid> = (0..64).map(|_| Uuid::now_v7()).collect();

    let mut counts = HashSet::new();
    for _ in 0..20 {
        let visits = join_all((0..320).map(|n| counter.count(visitors[n % 64]))).await;
        counts.extend(visits.into_iter().map(|count| count.expect("a count")));
    }

    // The session's row counts as visit 1.
    assert_eq!(counts, (2..=101).collect());
    assert_eq!(database.number("select count(*) from visitors where visits = 101").await, 64);
}

#[actix_web::test]
async fn a_rotation_moves_the_row_to_the_partition_of_its_new_id() {
    let app = TestApp::on(partitioned().await, &[]).await;
    let (_, first) = app.start().await;

    let mut cookie = first.clone();
    let mut partitions = HashSet::new();
    // The chance that 40 random IDs all land in the same one of 8 partitions is less than one in 10^35.
    for _ in 0..40 {
        let old = cookie.clone();
        cookie = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new key");
        assert!(app.get_with("/probe", &old).await.try_element("visitor").is_none_or(str::is_empty));
        partitions.insert(app.database.number("select tableoid::int8 from sessions").await);
    }

    assert_eq!(app.database.number("select count(*) from sessions").await, 1);
    assert!(partitions.len() > 1, "{partitions:?}");
}

#[actix_web::test]
async fn four_concurrent_sweeps_delete_expired_rows_from_all_partitions() {
    let database = partitioned().await;
    database
        .execute(
            "insert into sessions (id, state, idle_seconds, ends_at, expires_at)
            select sha256(n::text::bytea), '{}', 1800, now() + interval '8 hours', now() + case when n % 11 = 0 then 1 else -61 end * interval '1 minute'
            from generate_series(1, 11000) as n",
        )
        .await;
    database
        .execute(
            "insert into visitors (id, visits, keep_until)
            select gen_random_uuid(), 2, current_date + case when n % 11 = 0 then 2 else -2 end
            from generate_series(1, 1100) as n",
        )
        .await;

    let store = PgSessionStore::new(database.pool.clone());
    let mut sessions = 0;
    while sessions < 10_000 {
        let swept = join_all((0..4).map(|_| store.sweep(200))).await;
        sessions += swept.into_iter().map(|swept| swept.expect("no deadlock")).sum::<u64>();
    }
    let visitors = join_all((0..4).map(|_| sweep_visitors(&database.pool))).await;

    let visitors: u64 = visitors.into_iter().map(|swept| swept.expect("no deadlock")).sum();
    let left = sweep_visitors(&database.pool).await.expect("swept");
    assert_eq!((sessions, visitors + left), (10_000, 1_000));
    assert_eq!(database.number("select count(*) from sessions where expires_at > now()").await, 1_000);
    assert_eq!(database.number("select count(*) from visitors").await, 100);
}

#[actix_web::test]
async fn visits_read_partitions_only_through_indexes() {
    let app = TestApp::on(partitioned().await, &[]).await;
    // Never analyzed, like a table that was just filled.
    app.database
        .execute(
            "insert into sessions (id, state, idle_seconds, ends_at, expires_at)
            select sha256(n::text::bytea), '{}', 1800, now() + interval '8 hours', now() + interval '1 hour'
            from generate_series(1, 20000) as n",
        )
        .await;
    let read = "select coalesce(sum(idx_scan), 0)::int8 from pg_stat_user_tables where relname ~ '^(sessions|visitors)_'";
    let scanned =
        "select sum(seq_scan)::int8 from pg_stat_user_tables where relname ~ '^(sessions|visitors)_'";
    let before = app.database.number(scanned).await;

    let browser = app.browser();
    for _ in 0..20 {
        browser.get("/").await;
    }

    // A server process reports its scans at most once a second, and only when it is used.
    eventually("the statistics of 20 visits", async || {
        browser.get("/").await;
        app.database.number(read).await >= 20
    })
    .await;
    assert_eq!(app.database.number(scanned).await, before);
}
