//! Tests when a session expires, according to the database's clock.

use actix_session::storage::SessionStore;
use actix_session_postgres::{PgSession, PgSessionStore};
use actix_web::cookie::time::Duration;
use sqlx::postgres::PgPoolOptions;

use crate::support::{TestDatabase, eventually};
use crate::{HALF_AN_HOUR, Store, changed, state};

#[actix_web::test]
async fn a_session_expires_half_an_hour_after_its_last_use() {
    let store = Store::new().await;

    let key = store.save(&state(&[])).await;
    assert!((1795..=1800).contains(&store.seconds_left().await));
    store.database.execute("update sessions set expires_at = now() + interval '10 seconds'").await;
    store.load(&key).await.expect("alive");

    store.touched().await;
    // A short idle timer is reset once half of it has passed.
    let short = "update sessions set idle_seconds = 100, expires_at = now() + interval '45 seconds'";
    store.database.execute(short).await;
    store.load(&key).await.expect("alive");
    eventually("the idle timer", async || store.seconds_left().await > 50).await;
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
    // When another session's timer has been reset, any reset of the first one has been sent, too.
    let other = store.save(&state(&[("other", "1")])).await;
    let expire =
        "update sessions set expires_at = now() + interval '1 second' where state->>'other' is not null";
    store.database.execute(expire).await;
    store.load(&other).await.expect("alive");
    let reset = "select count(*) from sessions where state->>'other' is not null and expires_at > now() + interval '1 minute'";
    eventually("the other session's timer", async || store.database.number(reset).await == 1).await;
    let versions = "select xmin::text::bigint from sessions where state->>'other' is null";
    assert_eq!(store.database.number(versions).await, before, "after 50 seconds, nothing is written");

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
    let lifetime = "select extract(epoch from ends_at - created_at)::bigint from sessions";
    assert_eq!(store.database.number(lifetime).await, 8 * 60 * 60);

    store
        .database
        .execute("update sessions set ends_at = now() + interval '10 minutes', expires_at = now() + interval '1 minute'")
        .await;
    store.load(&key).await.expect("alive");
    eventually("the idle timer", async || (590..=600).contains(&store.seconds_left().await)).await;
    store.update(&key, &saved).await;
    store.store.update_ttl(&key, &Duration::hours(5)).await.expect("no error");
    let rotated = changed(saved.clone(), |session| session.rotate());
    let key = store.update(&key, &rotated).await;
    assert!(
        (590..=600).contains(&store.seconds_left().await),
        "no call extends the session beyond its maximum age"
    );

    store.database.execute("update sessions set ends_at = now(), expires_at = now()").await;
    assert_eq!(store.load(&key).await, None);
    store.update(&key, &saved).await;
    store.store.update_ttl(&key, &HALF_AN_HOUR).await.expect("no error");
    assert_eq!(store.load(&key).await, None);
}

#[actix_web::test]
async fn a_session_keeps_the_limits_in_its_row_when_the_apps_settings_change() {
    let store = Store::new().await;
    let saved = state(&[]);
    let key = store.store.save(saved.clone(), &Duration::minutes(5)).await.expect("saved");
    let later = PgSessionStore::new(store.database.pool.clone()).max_age(std::time::Duration::from_secs(60));

    store.database.execute("update sessions set expires_at = now() + interval '1 second'").await;
    assert!(later.load(&key).await.expect("no error").is_some());

    eventually("the idle timer", async || (295..=300).contains(&store.seconds_left().await)).await;
    later.update(crate::copy(&key), saved, &HALF_AN_HOUR).await.expect("no error");
    assert!((290..=300).contains(&store.seconds_left().await), "an update extends it by the row's idle time");
}

#[actix_web::test]
async fn a_maximum_age_shorter_than_the_idle_timeout_limits_the_session() {
    let Store { store, database } = Store::new().await;
    let store = Store { store: store.max_age(std::time::Duration::from_secs(20 * 60)), database };

    let key = store.save(&state(&[])).await;
    assert!((1195..=1200).contains(&store.seconds_left().await));

    store.update(&key, &changed(state(&[]), |session| drop(session.log_in(uuid::Uuid::nil())))).await;
    assert!((1195..=1200).contains(&store.seconds_left().await));
}

#[actix_web::test]
async fn the_longest_and_shortest_durations_are_accepted() {
    let Store { store, database } = Store::new().await;
    let store = store.max_age(std::time::Duration::MAX);

    let endless = store.save(state(&[("n", "1")]), &Duration::MAX).await.expect("saved");
    store.save(state(&[("n", "2")]), &Duration::MIN).await.expect("saved");
    store.update_ttl(&endless, &Duration::MAX).await.expect("extended");

    assert!(store.load(&endless).await.expect("no error").is_some());
    assert_eq!(database.number("select idle_seconds::bigint from sessions where state->>'n' = '2'").await, 1);
}

#[actix_web::test]
async fn a_remembered_login_has_its_own_idle_timeout_and_maximum_age() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let state = changed(state(&[]), |session| session.log_in(uuid::Uuid::nil()).remember(7 * day, 30 * day));

    let key = store.update(&key, &state).await;

    let sessions = store.store.sessions_of(&uuid::Uuid::nil()).await.expect("sessions");
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    assert!(session.remembered);
    assert_eq!(session.idle, 7 * day);
    assert_eq!(session.ends_at - session.created_at, 30 * day);
    assert_eq!(session.expires_at - session.created_at, 7 * day);
    store.database.execute("update sessions set expires_at = now() + interval '1 hour'").await;
    store.load(&key).await.expect("alive");
    let week = 7 * 24 * 60 * 60;
    eventually("the idle timer", async || (week - 5..=week).contains(&store.seconds_left().await)).await;
    let rotated = changed(state_of_one(), |session| session.rotate());
    store.update(&key, &rotated).await;
    let kept =
        "select count(*) from sessions where remembered and owner is not null and idle_seconds = 604800";
    assert_eq!(store.database.number(kept).await, 1);
}

fn state_of_one() -> crate::SessionState {
    state(&[("n", "1")])
}

#[actix_web::test]
async fn update_ttl_extends_a_session_but_never_shortens_it() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;

    store.store.update_ttl(&key, &Duration::minutes(1)).await.expect("no error");
    assert!((1795..=1800).contains(&store.seconds_left().await));
    let version = "select xmin::text::bigint from sessions";
    let before = store.database.number(version).await;
    store.store.update_ttl(&key, &(HALF_AN_HOUR + Duration::seconds(30))).await.expect("no error");
    assert_eq!(
        store.database.number(version).await,
        before,
        "an extension of less than a minute writes nothing"
    );
    store.store.update_ttl(&key, &Duration::hours(1)).await.expect("no error");
    assert!((3595..=3600).contains(&store.seconds_left().await));
    store.update(&key, &state(&[])).await;
    let key = store.update(&key, &changed(state(&[]), |session| session.rotate())).await;
    store.load(&key).await.expect("alive");

    assert!(
        (3590..=3600).contains(&store.seconds_left().await),
        "no update, rotation or load shortens the session"
    );
    store.store.update_ttl(&key, &Duration::hours(9)).await.expect("no error");
    assert!((28_700..=28_800).contains(&store.seconds_left().await), "eight hours at most");
}

#[actix_web::test]
async fn no_call_brings_an_expired_session_back() {
    let store = Store::new().await;
    let saved = state(&[("n", "1")]);
    let key = store.save(&saved).await;
    store.database.execute("update sessions set expires_at = now()").await;

    assert_eq!(store.load(&key).await, None);
    store.update(&key, &saved).await;
    let rotated = changed(saved.clone(), |session| session.rotate());
    assert_eq!(store.update(&key, &rotated).await, key);
    store.store.update_ttl(&key, &HALF_AN_HOUR).await.expect("no error");

    assert_eq!(store.load(&key).await, None);
    assert!(store.seconds_left().await <= 0);
}

#[actix_web::test]
async fn the_databases_time_zone_does_not_affect_sessions() {
    let database = TestDatabase::new().await;
    let options = database.options.clone().options([("timezone", "Pacific/Kiritimati")]);
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let store = Store { store: PgSessionStore::new(pool), database };

    let key = store.save(&state(&[])).await;

    assert!((1795..=1800).contains(&store.seconds_left().await));
    assert!(store.load(&key).await.is_some());
}
