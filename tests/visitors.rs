//! Visits are counted exactly: concurrently, by several replicas, and while another row is locked.

mod support;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::ResponseError;
use app::{
    Error,
    visitors::{VisitCounter, sweep},
};
use futures_util::future::join_all;
use sqlx::{Postgres, Transaction};
use support::{TestDatabase, eventually};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn new_visitors<const N: usize>() -> [Uuid; N] {
    [(); N].map(|()| Uuid::now_v7())
}

#[actix_web::test]
async fn concurrent_visits_of_a_new_visitor_are_counted_exactly() {
    let database = TestDatabase::new().await;
    let counter = VisitCounter::new(&database.pool, HOUR);
    let [visitor] = new_visitors();

    let counts = join_all((0..200).map(|_| counter.count(visitor))).await;

    let mut counts: Vec<i64> = counts.into_iter().map(|count| count.expect("a count")).collect();
    counts.sort_unstable();
    // The session's row is visit 1.
    assert_eq!(counts, (2..=201).collect::<Vec<_>>());
    assert_eq!(database.number("select visits from visitors").await, 201);
}

#[actix_web::test]
async fn concurrent_visits_of_several_visitors_are_numbered_without_gaps() {
    let database = TestDatabase::new().await;
    let counter = VisitCounter::new(&database.pool, HOUR);
    let [new, returning, frequent] = new_visitors();
    counter.count(returning).await.expect("a count");

    let visits = [frequent, new, frequent, returning, frequent, new, returning, frequent];
    let counts = join_all(visits.map(|visitor| counter.count(visitor))).await;

    let mut numbers = HashMap::<Uuid, Vec<i64>>::new();
    for (&visitor, count) in visits.iter().zip(counts) {
        numbers.entry(visitor).or_default().push(count.expect("a count"));
    }
    numbers.values_mut().for_each(|numbers| numbers.sort_unstable());
    let expected = [(new, vec![2, 3]), (returning, vec![3, 4]), (frequent, vec![2, 3, 4, 5])];
    assert_eq!(numbers, HashMap::from(expected));
}

/// Locks a visitor's row until this is dropped.
async fn lock(database: &TestDatabase, visitor: Uuid) -> Transaction<'static, Postgres> {
    let mut lock = database.pool.begin().await.expect("a transaction");
    let select = sqlx::query("select from visitors where id = $1 for update").bind(visitor);
    select.fetch_one(&mut *lock).await.expect("a lock");
    lock
}

#[actix_web::test]
async fn a_locked_row_delays_other_visitors_and_fails_alone() {
    let database = TestDatabase::new().await;
    let counter = VisitCounter::new(&database.pool, HOUR);
    let [locked, free] = new_visitors();
    counter.count(locked).await.expect("a count");
    let lock = lock(&database, locked).await;

    let visits: Vec<_> = (0..100).map(|n| if n % 3 == 0 { locked } else { free }).collect();
    let counts = join_all(visits.iter().map(|visitor| counter.count(*visitor))).await;

    let mut counted = Vec::new();
    for (&visitor, count) in visits.iter().zip(counts) {
        match count {
            Ok(count) if visitor == free => counted.push(count),
            Err(sqlx_batcher::Error::Database(_)) if visitor == locked => {}
            other => panic!("visitor {visitor}: {other:?}"),
        }
    }
    counted.sort_unstable();
    assert_eq!(counted, (2..=67).collect::<Vec<_>>());
    lock.rollback().await.expect("released");
    assert_eq!(counter.count(locked).await.expect("a count"), 3, "no failed visit was counted");
}

#[actix_web::test]
async fn two_replicas_that_count_the_same_visitors_never_deadlock() {
    // These settings need a superuser. PostgreSQL detects deadlocks before the statement's lock timeout, and each row
    // takes long enough for two statements to meet.
    let database = TestDatabase::on_own_server().await;
    database
        .execute(
            "alter database postgres set deadlock_timeout = '10ms';
             create function pause() returns trigger language plpgsql
                 as 'begin perform pg_sleep(0.001); return new; end';
             create trigger pause before update on visitors for each row execute function pause()",
        )
        .await;
    let replicas = [VisitCounter::new(&database.pool, HOUR), VisitCounter::new(&database.pool, HOUR)];
    let visitors: [Uuid; 16] = new_visitors();

    for round in 0..10 {
        // Each replica counts every visitor, in a different order in each round.
        let visits = (0..64).map(|n| {
            let visitor = visitors[(n / 2 * (2 * round + 3)) % visitors.len()];
            replicas[n % 2].count(visitor)
        });
        for count in join_all(visits).await {
            count.expect("a count");
        }
    }

    assert_eq!(database.number("select sum(visits - 1)::bigint from visitors").await, 10 * 64);
    // A batcher hides a deadlock from its callers, but PostgreSQL counts it. The count is complete when the connection
    // ends.
    drop(replicas);
    let connections = "select count(*) from pg_stat_activity
        where datname = current_database() and ltrim(query, e'\\n ') like 'insert into visitors%'";
    eventually("the connections end", async || database.number(connections).await == 0).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(database.number(deadlocks).await, 0);
}

#[test]
fn a_visit_that_cannot_be_counted_is_a_503_with_retry_after() {
    let database = Arc::new(sqlx::Error::PoolClosed).into();
    for error in [database, sqlx_batcher::Error::TimedOut, sqlx_batcher::Error::Overloaded] {
        let response = Error::from(error.clone()).error_response();

        assert_eq!(response.status(), 503, "{error:?}");
        assert!(response.headers().contains_key("retry-after"), "{error:?}: {response:?}");
    }
}

#[actix_web::test]
async fn a_visitor_is_deleted_after_the_last_day_on_which_a_session_may_refer_to_it() {
    let database = TestDatabase::new().await;
    let counter = VisitCounter::new(&database.pool, 47 * HOUR);
    let [visitor] = new_visitors();
    counter.count(visitor).await.expect("a count");
    // The margin is an hour, so the session may last until this time in two days.
    let days = "select keep_until - (now() at time zone 'UTC')::date from visitors";
    let days: i32 = sqlx::query_scalar(days).fetch_one(&database.pool).await.expect("a row");

    database.execute("update visitors set keep_until = (now() at time zone 'UTC')::date").await;
    let early = sweep(&database.pool).await.expect("swept");
    database.execute("update visitors set keep_until = (now() at time zone 'UTC')::date - 1").await;
    let late = sweep(&database.pool).await.expect("swept");

    assert_eq!((days, early, late), (2, 0, 1));
}

#[actix_web::test]
async fn replicas_that_sweep_at_the_same_time_delete_each_visitor_once() {
    let database = TestDatabase::new().await;
    database
        .execute(
            "insert into visitors (id, visits, keep_until)
            select gen_random_uuid(), 2, current_date - 2 from generate_series(1, 1000)",
        )
        .await;

    let swept = join_all((0..4).map(|_| sweep(&database.pool))).await;

    let total: u64 = swept.into_iter().map(|swept| swept.expect("swept")).sum();
    let left = sweep(&database.pool).await.expect("swept");
    assert_eq!(total + left, 1000);
    assert_eq!(database.number("select count(*) from visitors").await, 0);
}

#[actix_web::test]
async fn a_count_survives_a_maximum_age_that_is_lowered_for_a_while() {
    let database = TestDatabase::new().await;
    let [visitor] = new_visitors();
    let month = VisitCounter::new(&database.pool, 30 * 24 * HOUR);
    month.count(visitor).await.expect("a count");
    // The visitor has returned for ten days. Then the setting is eight hours for a while.
    let pass =
        "update visitors set created_at = created_at - interval '10 days', keep_until = keep_until - 10";
    database.execute(pass).await;
    VisitCounter::new(&database.pool, 8 * HOUR).count(visitor).await.expect("a count");

    let swept = sweep(&database.pool).await.expect("swept");

    assert_eq!((swept, month.count(visitor).await.expect("a count")), (0, 4));
}

#[actix_web::test]
async fn a_session_that_outlasts_a_lowered_maximum_age_keeps_its_count_if_that_is_raised_again() {
    let database = TestDatabase::new().await;
    let [visitor] = new_visitors();
    // The row is created while the setting is wrong.
    VisitCounter::new(&database.pool, HOUR).count(visitor).await.expect("a count");
    VisitCounter::new(&database.pool, 30 * 24 * HOUR).count(visitor).await.expect("a count");

    let days = "select keep_until - (now() at time zone 'UTC')::date from visitors";
    let days: i32 = sqlx::query_scalar(days).fetch_one(&database.pool).await.expect("a row");
    assert!((30..=31).contains(&days), "{days}");
}

#[actix_web::test]
async fn at_least_95_percent_of_counts_are_updates_in_place() {
    let database = TestDatabase::on_own_server().await;
    let counter = VisitCounter::new(&database.pool, 8 * HOUR);
    let visitors: [Uuid; 50] = new_visitors();
    for _ in 0..41 {
        join_all(visitors.iter().map(|visitor| counter.count(*visitor))).await;
    }
    drop(counter);

    let updates = "select n_tup_upd::bigint from pg_stat_user_tables where relname = 'visitors'";
    eventually("the statistics", async || database.number(updates).await == 40 * 50).await;
    let hot = "select n_tup_hot_upd::bigint from pg_stat_user_tables where relname = 'visitors'";
    assert!(database.number(hot).await >= 95 * 40 * 50 / 100);
}
