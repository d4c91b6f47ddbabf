//! When a session ends, by the database's clock.

use actix_postgres_sessions::PgSessionStore;
use actix_session::storage::SessionStore;
use actix_web::cookie::time::Duration;
use sqlx::postgres::PgPoolOptions;

use crate::{HALF_AN_HOUR, Store, state, support::TestDatabase};

#[actix_web::test]
async fn a_session_ends_half_an_hour_after_its_last_use() {
    let store = Store::new().await;

    let key = store.save(&state(&[])).await;
    assert!((1795..=1800).contains(&store.seconds_left().await));
    store.database.execute("update sessions set expires_at = now() + interval '10 seconds'").await;
    store.load(&key).await.expect("alive");

    assert!((1795..=1800).contains(&store.seconds_left().await), "loading moves the idle clock");
}

#[actix_web::test]
async fn the_idle_clock_moves_at_most_once_a_minute() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    let version = "select xmin::text::bigint from sessions";

    store.database.execute("update sessions set expires_at = expires_at - interval '50 seconds'").await;
    let before = store.database.number(version).await;
    store.load(&key).await.expect("alive");
    assert_eq!(store.database.number(version).await, before, "fifty seconds behind: reading writes nothing");

    store.database.execute("update sessions set expires_at = expires_at - interval '15 seconds'").await;
    let before = store.database.number(version).await;
    store.load(&key).await.expect("alive");
    let moved = store.database.number(version).await;
    store.load(&key).await.expect("alive");
    assert_ne!(moved, before, "a minute behind: the clock moves");
    assert_eq!(store.database.number(version).await, moved, "and then rests");
}

#[actix_web::test]
async fn eight_hours_after_its_start_a_session_ends_however_busy() {
    let store = Store::new().await;
    let saved = state(&[]);
    let key = store.save(&saved).await;

    store.database.execute("update sessions set created_at = now() - interval '7 hours 50 minutes', expires_at = now() + interval '1 minute'").await;
    store.load(&key).await.expect("alive");
    assert!((590..=600).contains(&store.seconds_left().await), "the idle clock stops at the end");
    store.update(&key, &saved).await;
    store.store.update_ttl(&key, &Duration::hours(5)).await.expect("no error");
    assert!((590..=600).contains(&store.seconds_left().await), "nothing moves it further");

    store.database.execute("update sessions set created_at = now() - interval '8 hours', expires_at = now() + interval '1 hour'").await;
    assert_eq!(store.load(&key).await, None);
    store.update(&key, &saved).await;
    store.store.update_ttl(&key, &HALF_AN_HOUR).await.expect("no error");
    assert_eq!(store.load(&key).await, None);
}

#[actix_web::test]
async fn the_timeouts_can_be_set() {
    let Store { store, database } = Store::new().await;
    let store =
        Store { store: store.idle_timeout(Duration::minutes(5)).max_age(Duration::minutes(20)), database };

    let key = store.save(&state(&[])).await;
    assert!(
        (1195..=1200).contains(&store.seconds_left().await),
        "the age caps the time that a caller asks for"
    );
    store.database.execute("update sessions set expires_at = now() + interval '1 second'").await;
    store.load(&key).await.expect("alive");

    assert!((295..=300).contains(&store.seconds_left().await));
}

#[actix_web::test]
async fn update_ttl_lengthens_and_never_shortens() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;

    store.store.update_ttl(&key, &Duration::minutes(1)).await.expect("no error");
    assert!((1795..=1800).contains(&store.seconds_left().await));
    store.store.update_ttl(&key, &Duration::hours(1)).await.expect("no error");
    assert!((3595..=3600).contains(&store.seconds_left().await));
    store.update(&key, &state(&[])).await;
    store.load(&key).await.expect("alive");

    assert!((3590..=3600).contains(&store.seconds_left().await), "neither update nor load shortens");
}

#[actix_web::test]
async fn a_session_past_its_time_opens_nothing_and_is_not_revived() {
    let store = Store::new().await;
    let saved = state(&[("n", "1")]);
    let key = store.save(&saved).await;
    store.database.execute("update sessions set expires_at = now()").await;

    assert_eq!(store.load(&key).await, None);
    store.update(&key, &saved).await;
    store.store.update_ttl(&key, &HALF_AN_HOUR).await.expect("no error");

    assert_eq!(store.load(&key).await, None);
    assert!(store.seconds_left().await <= 0);
}

#[actix_web::test]
async fn a_database_in_another_time_zone_keeps_the_same_time() {
    let database = TestDatabase::new().await;
    let options = database.options.clone().options([("timezone", "Pacific/Kiritimati")]);
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let store = Store { store: PgSessionStore::new(pool), database };

    let key = store.save(&state(&[])).await;

    assert!((1795..=1800).contains(&store.seconds_left().await));
    assert!(store.load(&key).await.is_some());
}

/// The other way round, because a test can't set its own clock: the database's is a day ahead.
#[actix_web::test]
async fn an_application_clock_a_day_off_changes_nothing() {
    let database = TestDatabase::new().await;
    for sql in [
        "create schema clock",
        "create function clock.now() returns timestamptz stable language sql as $$ select pg_catalog.now() + interval '1 day' $$",
        "alter table sessions alter created_at set default clock.now()",
    ] {
        database.execute(sql).await;
    }
    let options = database.options.clone().options([("search_path", "clock,pg_catalog,public")]);
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let store = Store { store: PgSessionStore::new(pool), database };
    let saved = state(&[("n", "1")]);

    let key = store.save(&saved).await;
    store.update(&key, &saved).await;

    let day = 24 * 60 * 60;
    assert!(
        (day + 1795..=day + 1800).contains(&store.seconds_left().await),
        "{}",
        store.seconds_left().await
    );
    assert_eq!(store.load(&key).await, Some(saved));
}
