//! The sweep: what ended goes, what lives stays.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use actix_postgres_sessions::session::sweep::{Swept, run, sweep};
use actix_web::rt;
use futures_util::future::join_all;
use support::{TestApp, TestDatabase, log};
use tokio_util::sync::CancellationToken;

const EIGHT_HOURS: Duration = Duration::from_secs(8 * 60 * 60);

#[actix_web::test]
async fn four_sweepers_at_once_delete_100_000_ended_sessions_and_touch_no_live_one() {
    let database = TestDatabase::new().await;
    database
        .execute(
            "insert into sessions (id, state, expires_at)
            select sha256(n::text::bytea), '{}', now() + case when n % 11 = 0 then 1 else -1 end * interval '10 minutes'
            from generate_series(1, 110000) as n",
        )
        .await;
    let live =
        "select hashtext(string_agg(sessions::text, ',' order by id)) from sessions where expires_at > now()";
    let live_before: i32 = sqlx::query_scalar(live).fetch_one(&database.pool).await.expect("rows");

    let sweepers = (0..4).map(|_| sweep(&database.pool, EIGHT_HOURS));
    let swept: u64 =
        join_all(sweepers).await.into_iter().map(|swept| swept.expect("no deadlock").sessions).sum();

    assert_eq!(swept, 100_000);
    assert_eq!(database.number("select count(*) from sessions").await, 10_000);
    let live_after: i32 = sqlx::query_scalar(live).fetch_one(&database.pool).await.expect("rows");
    assert_eq!(live_after, live_before);
}

#[actix_web::test]
async fn one_sweep_deletes_all_that_has_ended_however_close_it_lies() {
    let database = TestDatabase::new().await;
    // As many to a page as there can be.
    database
        .execute(
            "insert into sessions (id, state, expires_at)
            select sha256(n::text::bytea), '{}', now() from generate_series(1, 3000) as n",
        )
        .await;

    let swept = sweep(&database.pool, EIGHT_HOURS).await.expect("swept");

    assert_eq!(swept.sessions, 3_000);
}

#[actix_web::test]
async fn the_user_of_an_ended_session_goes_with_it() {
    let app = TestApp::spawn().await;
    let (ended, stays) = (app.browser(), app.browser());
    let user = ended.get("/").await.user().to_owned();
    stays.get("/").await;
    sqlx::query("update sessions set expires_at = now() where state->>'user_id' = $1")
        .bind(&user)
        .execute(&app.database.pool)
        .await
        .expect("ended");

    let swept = sweep(&app.database.pool, EIGHT_HOURS).await.expect("swept");

    assert_eq!(swept, Swept { sessions: 1, users: 1 });
    assert_eq!(stays.get("/").await.visits(), 2);
}

#[actix_web::test]
async fn a_user_who_logged_out_goes_when_no_session_can_bring_them_back() {
    let app = TestApp::spawn().await;
    let browser = app.browser();
    browser.get("/").await;
    browser.post("/logout").await;
    let database = &app.database;

    let early = sweep(&database.pool, EIGHT_HOURS).await.expect("swept");
    database.execute("update users set first_visit_at = now() - interval '9 hours 1 minute'").await;
    let late = sweep(&database.pool, EIGHT_HOURS).await.expect("swept");

    assert_eq!((early.users, late.users), (0, 1));
}

#[actix_web::test]
async fn an_unreadable_state_does_not_stop_the_sweep() {
    let database = TestDatabase::new().await;
    for state in ["3", "{\"user_id\": \"\\u0000\"}", "{\"user_id\": 7}"] {
        sqlx::query(
            "insert into sessions (id, state, expires_at) values (sha256(convert_to($1, 'UTF8')), $1::text::json, now())",
        )
        .bind(state)
        .execute(&database.pool)
        .await
        .expect("a row");
    }

    assert_eq!(sweep(&database.pool, EIGHT_HOURS).await.expect("swept").sessions, 3);
}

#[actix_web::test]
async fn the_sweep_goes_on_by_itself_through_an_outage_and_says_what_it_did() {
    log::capture();
    let database = TestDatabase::new().await;
    database.execute("alter table sessions rename to elsewhere").await;
    let (stop, at_once) = (CancellationToken::new(), Duration::ZERO..Duration::from_millis(1));
    let sweeping = rt::spawn(run(database.pool.clone(), EIGHT_HOURS, at_once, stop.clone()));

    while log::lines_with("the sweep failed; it will be tried again").is_empty() {
        rt::task::yield_now().await;
    }
    // A number of its own, by which to know its line in the log.
    database
        .execute(
            "insert into elsewhere (id, state, expires_at)
            select sha256(n::text::bytea), '{}', now() from generate_series(1, 777) as n",
        )
        .await;
    database.execute("alter table elsewhere rename to sessions").await;
    while log::lines_with(r#""sessions":777"#).is_empty() {
        rt::task::yield_now().await;
    }
    stop.cancel();

    sweeping.await.expect("it stops when it is told to");
    assert_eq!(database.number("select count(*) from sessions").await, 0);
}
