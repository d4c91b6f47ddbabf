//! The sweep deletes expired rows and nothing else.

mod support;

use std::time::Duration;

use actix_web::rt;
use app::sweep::{run, sweep};
use futures_util::future::join_all;
use sqlx::PgPool;
use support::{TestApp, TestDatabase, eventually, log};

const EIGHT_HOURS: Duration = Duration::from_secs(8 * 60 * 60);

/// Sweeps, and returns the number of deleted sessions.
async fn swept(pool: &PgPool) -> u64 {
    sweep(pool, EIGHT_HOURS).await.expect("no error").sessions
}

#[actix_web::test]
async fn four_sweeps_at_once_delete_10_000_expired_sessions_and_no_live_one() {
    let database = TestDatabase::new().await;
    database
        .execute(
            "insert into sessions (id, state, idle_seconds, ends_at, expires_at)
            select sha256(n::text::bytea), '{}', 1800, now() + interval '8 hours', now() + case when n % 11 = 0 then 1 else -61 end * interval '1 minute'
            from generate_series(1, 11000) as n",
        )
        .await;
    let live =
        "select hashtext(string_agg(sessions::text, ',' order by id)) from sessions where expires_at > now()";
    let live_before: i32 = sqlx::query_scalar(live).fetch_one(&database.pool).await.expect("rows");

    let swept: u64 = join_all((0..4).map(|_| swept(&database.pool))).await.into_iter().sum();

    assert_eq!(swept, 10_000);
    assert_eq!(database.number("select count(*) from sessions").await, 1_000);
    let live_after: i32 = sqlx::query_scalar(live).fetch_one(&database.pool).await.expect("rows");
    assert_eq!(live_after, live_before);
}

#[actix_web::test]
async fn a_session_that_expired_within_this_hour_is_invalid_and_is_swept_in_the_next() {
    let app = TestApp::spawn().await;
    let ((user, cookie), (other, others)) = (app.start().await, app.start().await);
    let expire = async |at: &str| {
        let expire = format!("update sessions set expires_at = {at} where state->>'probe' = $1");
        let expire = sqlx::query(sqlx::AssertSqlSafe(expire)).bind(&user);
        expire.execute(&app.database.pool).await.expect("expired");
    };

    expire("greatest(date_trunc('hour', now()), now() - interval '1 second')").await;
    let early = swept(&app.database.pool).await;
    assert_eq!(app.get_with("/probe", &cookie).await.visitor(), "");
    expire("date_trunc('hour', now()) - interval '1 second'").await;
    let late = swept(&app.database.pool).await;

    assert_eq!((early, late), (0, 1));
    assert_eq!(app.get_with("/probe", &others).await.visitor(), other);
}

#[actix_web::test]
async fn a_row_that_another_transaction_holds_does_not_stop_the_sweep() {
    let database = TestDatabase::new().await;
    database
        .execute(
            "insert into sessions (id, state, idle_seconds, ends_at, expires_at)
            select sha256(n::text::bytea), '{}', 1800, now() + interval '8 hours', now() - interval '2 hours' from generate_series(1, 10) as n",
        )
        .await;
    let mut holder = database.pool.begin().await.expect("a transaction");
    let lock = "select 1 from sessions where id = sha256('1') for update";
    sqlx::query(lock).execute(&mut *holder).await.expect("a lock");

    assert_eq!(swept(&database.pool).await, 9);
    holder.rollback().await.expect("released");
}

#[actix_web::test]
async fn an_unreadable_state_does_not_stop_the_sweep() {
    let database = TestDatabase::new().await;
    for state in ["3", "{\"visitor_id\": \"\\u0000\"}", "{\"visitor_id\": 7}"] {
        sqlx::query(
            "insert into sessions (id, state, idle_seconds, ends_at, expires_at) values (sha256(convert_to($1, 'UTF8')), $1::text::json, 1800, now(), now() - interval '2 hours')",
        )
        .bind(state)
        .execute(&database.pool)
        .await
        .expect("a row");
    }

    assert_eq!(swept(&database.pool).await, 3);
}

#[actix_web::test]
async fn the_sweep_continues_after_an_outage_and_logs_what_it_did() {
    log::capture();
    let database = TestDatabase::new().await;
    database.execute("alter table sessions rename to elsewhere").await;
    let at_once = Duration::ZERO..Duration::from_millis(1);
    let sweeping = rt::spawn({
        let pool = database.pool.clone();
        async move { run(&pool, EIGHT_HOURS, at_once).await }
    });

    let failed = async || !log::lines_with("the sweep failed; trying again").is_empty();
    eventually("a failed sweep", failed).await;
    // An unusual number, so that the test can find the line in the log.
    database
        .execute(
            "insert into elsewhere (id, state, idle_seconds, ends_at, expires_at)
            select sha256(n::text::bytea), '{}', 1800, now() + interval '8 hours', now() - interval '2 hours' from generate_series(1, 777) as n",
        )
        .await;
    database.execute("alter table elsewhere rename to sessions").await;
    eventually("a sweep", async || !log::lines_with(r#""sessions":777"#).is_empty()).await;
    sweeping.abort();

    assert_eq!(database.number("select count(*) from sessions").await, 0);
}
