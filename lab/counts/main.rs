//! Tests many concurrent visits, and what they cost PostgreSQL.

#[path = "../own_server.rs"]
mod own_server;
#[path = "../../tests/support/mod.rs"]
mod support;

mod statements;

use std::{collections::HashSet, time::Duration};

use actix_web::rt;
use app::visitors::VisitCounter;
use futures_util::future::join_all;
use reqwest::Method;
use sqlx::{Postgres, Transaction};
use support::{Page, TestApp, TestDatabase, eventually};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Sends these requests concurrently.
async fn at_once(requests: impl Iterator<Item = reqwest::RequestBuilder>) -> Vec<Page> {
    let sent: Vec<_> = requests.map(|request| rt::spawn(Page::of(request))).collect();
    join_all(sent).await.into_iter().map(|page| page.expect("a page")).collect()
}

#[actix_web::test]
async fn two_replicas_counting_the_same_visitors_never_deadlock() {
    // With these settings, PostgreSQL detects a deadlock before the statement's lock timeout expires, and each
    // row takes long enough for two statements to overlap.
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
    let visitors = [(); 16].map(|()| Uuid::now_v7());

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
    // A batcher hides a deadlock from its callers, but PostgreSQL counts it. The count is complete when the
    // connections are closed.
    drop(replicas);
    let connections = "select count(*) from pg_stat_activity
        where datname = current_database() and ltrim(query, e'\\n ') like 'insert into visitors%'";
    eventually("the connections are closed", async || database.number(connections).await == 0).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(database.number(deadlocks).await, 0);
}

#[actix_web::test]
async fn at_least_95_percent_of_counts_are_in_place_updates() {
    let database = TestDatabase::on_own_server().await;
    let counter = VisitCounter::new(&database.pool, 8 * HOUR);
    let visitors = [(); 50].map(|()| Uuid::now_v7());
    for _ in 0..41 {
        join_all(visitors.iter().map(|visitor| counter.count(*visitor))).await;
    }
    drop(counter);

    let updates = "select n_tup_upd::bigint from pg_stat_user_tables where relname = 'visitors'";
    eventually("the statistics", async || database.number(updates).await == 40 * 50).await;
    let hot = "select n_tup_hot_upd::bigint from pg_stat_user_tables where relname = 'visitors'";
    assert!(database.number(hot).await >= 95 * 40 * 50 / 100);
}

#[actix_web::test]
async fn two_hundred_concurrent_first_visits_start_two_hundred_sessions() {
    let app = TestApp::spawn().await;

    let pages = at_once((0..200).map(|_| app.request(Method::GET, "/"))).await;

    for page in &pages {
        assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 1), "{page:#?}");
        assert_eq!(page.visits(), 1, "{page:#?}");
    }
    let users: HashSet<&str> = pages.iter().map(Page::visitor).collect();
    assert_eq!(users.len(), 200);
    assert_eq!((app.sessions().await, app.database.number("select count(*) from visitors").await), (200, 0));
    let cookies: Vec<String> = pages.iter().map(|page| page.cookie("id").expect("a cookie")).collect();
    let again =
        at_once(cookies.iter().map(|cookie| app.request(Method::GET, "/").header("cookie", cookie))).await;
    for (first, second) in pages.iter().zip(&again) {
        assert_eq!(
            (second.visitor(), second.visits()),
            (first.visitor(), 2),
            "each cookie has its own session"
        );
    }
}

/// Locks a visitor's row until this is dropped.
async fn lock(database: &TestDatabase, visitor: Uuid) -> Transaction<'static, Postgres> {
    let mut lock = database.pool.begin().await.expect("a transaction");
    let select = sqlx::query("select from visitors where id = $1 for update").bind(visitor);
    select.fetch_one(&mut *lock).await.expect("a lock");
    lock
}

#[actix_web::test]
async fn a_locked_row_delays_other_visitors_but_fails_only_its_own_visits() {
    let database = TestDatabase::new().await;
    let counter = VisitCounter::new(&database.pool, HOUR);
    let [locked, free] = [(); 2].map(|()| Uuid::now_v7());
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
