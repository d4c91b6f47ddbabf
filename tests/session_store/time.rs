//! When a session expires, by the database's clock.

use actix_session::storage::SessionStore;
use actix_web::cookie::time::Duration;
use app::PgSessionStore;
use sqlx::postgres::PgPoolOptions;

use crate::{
    HALF_AN_HOUR, Store, state,
    support::{TestDatabase, eventually},
};

#[actix_web::test]
async fn a_session_expires_half_an_hour_after_its_last_use() {
    let store = Store::new().await;

    let key = store.save(&state(&[])).await;
    assert!((1795..=1800).contains(&store.seconds_left().await));
    store.database.execute("update sessions set expires_at = now() + interval '10 seconds'").await;
    store.load(&key).await.expect("alive");

    store.touched().await;
}

#[actix_web::test]
async fn the_idle_timer_is_reset_at_most_once_a_minute() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    let left = async |seconds: i64| {
        sqlx::query("update sessions set expires_at = now() + make_interval(secs => $1)")
            .bind(seconds as f64)
            .execute(&store.database.pool)
            .await
            .expect("set");
    };
    let version = "select xmin::text::bigint from sessions";

    left(1750).await;
    let before = store.database.number(version).await;
    store.load(&key).await.expect("alive");
    // A second session's timer is reset afterwards, on the same connection.
    let other = store.save(&state(&[("other", "1")])).await;
    let expire =
        "update sessions set expires_at = now() + interval '1 second' where state->>'other' is not null";
    store.database.execute(expire).await;
    store.load(&other).await.expect("alive");
    let reset = "select count(*) from sessions where state->>'other' is not null and expires_at > now() + interval '1 minute'";
    eventually("the other session's timer", async || store.database.number(reset).await == 1).await;
    let versions = "select xmin::text::bigint from sessions where state->>'other' is null";
    assert_eq!(store.database.number(versions).await, before, "50 seconds old: nothing is written");

    store.database.execute("delete from sessions where state->>'other' is not null").await;
    left(1735).await;
    store.load(&key).await.expect("alive");
    store.touched().await;
}

#[actix_web::test]
async fn a_session_expires_eight_hours_after_its_start_regardless_of_activity() {
    let store = Store::new().await;
    let saved = state(&[]);
    let key = store.save(&saved).await;

    store.database.execute("update sessions set created_at = now() - interval '7 hours 50 minutes', expires_at = now() + interval '1 minute'").await;
    store.load(&key).await.expect("alive");
    eventually("the idle timer", async || (590..=600).contains(&store.seconds_left().await)).await;
    store.update(&key, &saved).await;
    store.store.update_ttl(&key, &Duration::hours(5)).await.expect("no error");
    assert!((590..=600).contains(&store.seconds_left().await), "no call extends it beyond that");

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
        (295..=300).contains(&store.seconds_left().await),
        "the idle timeout limits what a caller asks for"
    );
    store.database.execute("update sessions set expires_at = now() + interval '1 second'").await;
    store.load(&key).await.expect("alive");

    eventually("the idle timer", async || (295..=300).contains(&store.seconds_left().await)).await;
}

#[actix_web::test]
async fn update_ttl_extends_a_session_and_never_shortens_it() {
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
async fn an_expired_session_is_invalid_and_stays_invalid() {
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
async fn the_time_zone_of_the_database_does_not_matter() {
    let database = TestDatabase::new().await;
    let options = database.options.clone().options([("timezone", "Pacific/Kiritimati")]);
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let store = Store { store: PgSessionStore::new(pool), database };

    let key = store.save(&state(&[])).await;

    assert!((1795..=1800).contains(&store.seconds_left().await));
    assert!(store.load(&key).await.is_some());
}
