//! Visits are counted exactly, and counts are kept for as long as a session may refer to them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::ResponseError;
use app::{Error, sweep::sweep_visitors, visitors::VisitCounter};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::support::TestDatabase;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// The number of days for which the only visitor is kept.
const DAYS: &str = "select (keep_until - (now() at time zone 'UTC')::date)::bigint from visitors";

fn new_visitors<const N: usize>() -> [Uuid; N] {
    [(); N].map(|()| Uuid::now_v7())
}

#[actix_web::test]
async fn concurrent_visits_by_several_visitors_are_numbered_without_gaps() {
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

#[test]
fn a_visit_that_cannot_be_counted_returns_a_503_with_retry_after() {
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
    // With a margin of one hour, 47 hours become two days.
    let days = database.number(DAYS).await;

    database.execute("update visitors set keep_until = (now() at time zone 'UTC')::date").await;
    let early = sweep_visitors(&database.pool).await.expect("swept");
    database.execute("update visitors set keep_until = (now() at time zone 'UTC')::date - 1").await;
    let late = sweep_visitors(&database.pool).await.expect("swept");

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

    let swept = join_all((0..4).map(|_| sweep_visitors(&database.pool))).await;

    let total: u64 = swept.into_iter().map(|swept| swept.expect("swept")).sum();
    let left = sweep_visitors(&database.pool).await.expect("swept");
    assert_eq!(total + left, 1000);
    assert_eq!(database.number("select count(*) from visitors").await, 0);
}

#[actix_web::test]
async fn a_count_survives_a_temporarily_lowered_maximum_age() {
    let database = TestDatabase::new().await;
    let [visitor] = new_visitors();
    let month = VisitCounter::new(&database.pool, 30 * 24 * HOUR);
    month.count(visitor).await.expect("a count");
    // The visitor has been returning for ten days. Then the setting is lowered to eight hours for a while.
    let pass =
        "update visitors set created_at = created_at - interval '10 days', keep_until = keep_until - 10";
    database.execute(pass).await;
    VisitCounter::new(&database.pool, 8 * HOUR).count(visitor).await.expect("a count");

    let swept = sweep_visitors(&database.pool).await.expect("swept");

    assert_eq!((swept, month.count(visitor).await.expect("a count")), (0, 4));
}

#[actix_web::test]
async fn raising_a_lowered_maximum_age_extends_how_long_counts_are_kept() {
    let database = TestDatabase::new().await;
    let [visitor] = new_visitors();
    // The row is created while the setting is wrong.
    VisitCounter::new(&database.pool, HOUR).count(visitor).await.expect("a count");
    VisitCounter::new(&database.pool, 30 * 24 * HOUR).count(visitor).await.expect("a count");

    let days = database.number(DAYS).await;
    assert!((30..=31).contains(&days), "{days}");
}
