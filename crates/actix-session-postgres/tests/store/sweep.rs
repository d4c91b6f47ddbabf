//! Tests that sweeps delete expired sessions and nothing else.

use std::time::Duration;

use actix_session_postgres::PgSessionStore;
use futures_util::future::join_all;
use tokio::runtime::Handle;

use crate::support::{eventually, log};
use crate::{Store, state};

const EXPIRED: &str = "insert into sessions (id, state, expires_at, idle_seconds, ends_at)
    select sha256(('expired ' || n)::bytea), '{}', now() - interval '2 hours', 60, now() from generate_series(1, 500) as n";
const COUNT: &str = "select count(*) from sessions";

#[actix_web::test]
async fn sweep_deletes_at_most_limit_expired_sessions_and_no_live_ones() {
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
async fn four_replicas_sweeping_at_the_same_time_delete_each_row_once_without_errors() {
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
async fn a_sweep_deletes_nothing_and_does_not_wait_while_another_replica_sweeps() {
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
async fn a_session_that_expired_this_hour_is_swept_in_the_next_hour() {
    let store = Store::new().await;
    let (key, live) = (store.save(&state(&[("n", "1")])).await, store.save(&state(&[])).await);

    store
        .database
        .execute(
            "update sessions set expires_at = greatest(date_trunc('hour', now()), now() - interval '1 second')
            where state->>'n' = '1'",
        )
        .await;
    let early = store.store.sweep(10).await.expect("swept");
    assert!(store.load(&key).await.is_none(), "an expired session is invalid");
    store
        .database
        .execute(
            "update sessions set expires_at = date_trunc('hour', now()) - interval '1 second'
            where state->>'n' = '1'",
        )
        .await;
    let late = store.store.sweep(10).await.expect("swept");

    assert_eq!((early, late), (0, 1));
    assert!(store.load(&live).await.is_some());
}

#[actix_web::test]
async fn a_row_locked_by_another_transaction_is_left_for_a_later_sweep() {
    let store = Store::new().await;
    store.database.execute(EXPIRED).await;
    let mut holder = store.database.pool.begin().await.expect("a transaction");
    let lock = "select 1 from sessions where id = sha256('expired 7') for update";
    sqlx::query(lock).execute(&mut *holder).await.expect("a lock");

    assert_eq!(store.store.sweep(500).await.expect("swept"), 499);

    holder.rollback().await.expect("released");
    assert_eq!(store.store.sweep(500).await.expect("swept"), 1);
}

#[actix_web::test]
async fn an_unreadable_state_does_not_stop_the_sweep() {
    let store = Store::new().await;
    store.database.execute(EXPIRED).await;
    store.database.execute("update sessions set state = '3' where id = sha256('expired 7')").await;

    assert_eq!(store.store.sweep(500).await.expect("swept"), 500);
}

#[actix_web::test]
async fn sweep_every_continues_after_an_outage_and_logs_how_many_sessions_it_deleted() {
    log::capture();
    let store = Store::new().await;
    store.database.execute("alter table sessions rename to elsewhere").await;

    let _sweep = store.store.sweep_every(Duration::from_millis(1));
    let failed = async || !log::lines_with("the sweep failed; trying again").is_empty();
    eventually("a failed sweep", failed).await;
    // An unusual number is easy to find in the log.
    store
        .database
        .execute(
            "insert into elsewhere (id, state, idle_seconds, ends_at, expires_at)
            select sha256(n::text::bytea), '{}', 1800, now(), now() - interval '2 hours'
            from generate_series(1, 777) as n",
        )
        .await;
    store.database.execute("alter table elsewhere rename to sessions").await;

    eventually("a sweep", async || !log::lines_with(r#""sessions":777"#).is_empty()).await;
    assert_eq!(store.database.number(COUNT).await, 0);
}

#[actix_web::test]
async fn sweep_every_sweeps_until_its_handle_is_dropped() {
    let store = Store::new().await;
    store.database.execute(EXPIRED).await;

    let sweeps: Vec<_> = (0..3).map(|_| store.store.sweep_every(Duration::from_millis(10))).collect();
    eventually("all expired rows", async || store.database.number(COUNT).await == 0).await;
    store.database.execute(EXPIRED).await;
    eventually("all expired rows again", async || store.database.number(COUNT).await == 0).await;

    let tasks = Handle::current().metrics().num_alive_tasks();
    drop(sweeps);
    let ended = async || Handle::current().metrics().num_alive_tasks() <= tasks - 3;
    eventually("the tasks end", ended).await;
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns each session's idle time, remaining time and maximum remaining time in minutes, starting with the
/// ordinary session.
async fn minutes(store: &Store) -> String {
    sqlx::query_scalar(
        "select string_agg(concat_ws('/', idle_seconds / 60, round(extract(epoch from expires_at - now()) / 60),
            round(extract(epoch from ends_at - now()) / 60)), ' ' order by remembered)
        from sessions where created_at <= now()",
    )
    .fetch_one(&store.database.pool)
    .await
    .expect("rows")
}

/// Creates an ordinary session with limits of 7 days idle and 30 days in total, and a remembered session with
/// 60 and 90 days. Both start this many days from now.
async fn start_long_sessions(store: &Store, start: i32) {
    sqlx::query(
        "insert into sessions (id, state, created_at, expires_at, idle_seconds, ends_at, remembered)
        select sha256(idle::text::bytea), '{}', now() + make_interval(days => $1),
            now() + make_interval(days => idle + greatest($1, 0)), idle * 86400,
            now() + make_interval(days => at_most + $1), idle = 60
        from (values (7, 30), (60, 90)) as session (idle, at_most)",
    )
    .bind(start)
    .execute(&store.database.pool)
    .await
    .expect("two sessions");
}

#[actix_web::test]
async fn sessions_that_exceed_lowered_limits_are_shortened() {
    let store = Store::new().await;

    for (limits, remembered, expected) in [
        ((7 * DAY, 30 * DAY), (60 * DAY, 90 * DAY), "10080/10080/43200 86400/86400/129600"),
        ((MINUTE, 30 * DAY), (60 * DAY, 90 * DAY), "1/1/43200 86400/86400/129600"),
        ((MINUTE, 40 * DAY), (60 * DAY, 90 * DAY), "1/1/43200 86400/86400/129600"),
        ((7 * DAY, 8 * DAY), (60 * DAY, 90 * DAY), "10080/10080/11520 86400/86400/129600"),
        ((HOUR, HOUR), (DAY, 2 * DAY), "60/60/60 1440/1440/2880"),
        ((7 * DAY, 30 * DAY), (HOUR, 90 * DAY), "10080/10080/43200 60/60/129600"),
        // One limit is higher than the session's, and the other is lower.
        ((9 * DAY, 8 * DAY), (70 * DAY, 80 * DAY), "10080/10080/11520 86400/86400/115200"),
        ((HOUR, 99 * DAY), (DAY, 99 * DAY), "60/60/43200 1440/1440/129600"),
    ] {
        store.database.execute("delete from sessions").await;
        start_long_sessions(&store, 0).await;
        let sweeper = store.store.clone().limits(limits.0, limits.1);
        let sweeper = sweeper.remembered_limits(remembered.0, remembered.1);

        sweeper.shorten(100).await.expect("no error");

        assert_eq!(minutes(&store).await, expected, "{limits:?} {remembered:?}");
        assert_eq!(sweeper.shorten(100).await.expect("no error"), 0, "nothing is left to do");
    }
}

#[actix_web::test]
async fn a_sessions_age_counts_toward_a_lowered_limit() {
    let store = Store::new().await;
    start_long_sessions(&store, -10).await;

    // The remaining 20 and 80 days are within the new limits, but the full 30 and 90 days aren't.
    let sweeper = store.store.clone().limits(7 * DAY, 21 * DAY).remembered_limits(60 * DAY, 81 * DAY);
    assert_eq!(sweeper.shorten(100).await.expect("no error"), 2);
    assert_eq!(minutes(&store).await, "10080/10080/15840 86400/86400/102240");

    assert_eq!(sweeper.limits(DAY, 9 * DAY).shorten(100).await.expect("no error"), 1);
    let live = "select count(*) from sessions where expires_at > now() and not remembered";
    assert_eq!(store.database.number(live).await, 0);
}

#[actix_web::test]
async fn sessions_that_started_while_the_clock_was_ahead_are_shortened() {
    let store = Store::new().await;
    start_long_sessions(&store, 20).await;
    let sweeper = store.store.clone().limits(7 * DAY, 30 * DAY).remembered_limits(60 * DAY, 90 * DAY);
    assert_eq!(sweeper.shorten(100).await.expect("no error"), 2);

    assert_eq!(minutes(&store).await, "10080/10080/43200 86400/86400/129600");
}

#[actix_web::test]
async fn sweep_every_shortens_sessions_in_batches() {
    log::capture();
    let store = Store::new().await;
    store
        .database
        .execute(
            "insert into sessions (id, state, expires_at, idle_seconds, ends_at)
            select sha256(n::text::bytea), '{}', now() + make_interval(secs => case n when 1 then 50 else 86400 end), 86400,
                now() + interval '1 day'
            from generate_series(1, 4500) as n",
        )
        .await;

    let sweeper = store.store.clone().limits(MINUTE, DAY);
    assert_eq!(sweeper.shorten(10).await.expect("no error"), 10);
    let _sweep = sweeper.sweep_every(HOUR);

    let long = "select count(*) from sessions where expires_at > now() + interval '61 seconds'";
    eventually("shorter sessions", async || store.database.number(long).await == 0).await;
    let soonest = "select extract(epoch from min(expires_at) - now())::bigint from sessions";
    assert!(store.database.number(soonest).await <= 50, "the session that expires sooner isn't extended");
    let logs_their_number = |line: &String| line.contains(r#""sessions":4490"#);
    let logged = async || log::lines_with("shortened sessions").iter().any(logs_their_number);
    eventually("the number of sessions is logged", logged).await;
}
