//! The store's contract: a test for each promise of `PgSessionStore`.

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;

use actix_postgres_sessions::{PgSessionStore, session::SessionState};
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::{Row, postgres::PgPoolOptions};
use support::TestDatabase;

const HALF_AN_HOUR: Duration = Duration::minutes(30);

struct Store {
    store: PgSessionStore,
    database: TestDatabase,
}

impl Store {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        Self { store: PgSessionStore::new(database.pool.clone()), database }
    }

    async fn save(&self, state: &SessionState) -> SessionKey {
        self.store.save(state.clone(), &HALF_AN_HOUR).await.expect("saved")
    }

    async fn load(&self, key: &SessionKey) -> Option<SessionState> {
        self.store.load(key).await.expect("a database that answers")
    }

    async fn update(&self, key: &SessionKey, state: &SessionState) -> SessionKey {
        self.store.update(copy(key), state.clone(), &HALF_AN_HOUR).await.expect("a database that answers")
    }

    /// Seconds until the one session ends.
    async fn seconds_left(&self) -> i64 {
        self.database.number("select extract(epoch from expires_at - now())::bigint from sessions").await
    }
}

fn copy(key: &SessionKey) -> SessionKey {
    key.as_ref().to_owned().try_into().expect("a key")
}

fn state(values: &[(&str, &str)]) -> SessionState {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[actix_web::test]
async fn a_saved_state_comes_back_byte_for_byte() {
    let store = Store::new().await;

    let long = format!("\"{}\"", "x".repeat(64 * 1024 - r#"{"long":""}"#.len()));
    for saved in [
        state(&[]),
        state(&[("", "\"\"")]),
        state(&[("nul \0 key", "\"nul \\u0000 value\"")]),
        state(&[("emoji 🦀", "\"👩‍👩‍👧‍👦\"")]),
        state(&[
            ("large", "1e308"),
            ("negative zero", "-0.0"),
            ("long", "0.10000000000000000000000000000000000001"),
        ]),
        state(&[("spaces", "{ \"b\" : 1 ,\n \"a\" : 1, \"a\" : 2 }"), ("escape", r#""\u00e9\/""#)]),
        state(&[
            ("text", "not JSON"),
            ("empty", ""),
            ("json", "true"),
            ("outer spaces", " 1 "),
            ("nul", "\0"),
        ]),
        state(&[("long", &long)]),
    ] {
        let key = store.save(&saved).await;

        assert_eq!(store.load(&key).await, Some(saved));
    }
}

#[test]
fn any_state_comes_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let store = runtime.block_on(Store::new());
    let json = prop_oneof![
        any::<f64>().prop_map(|n| serde_json::to_string(&n).expect("JSON")),
        any::<String>().prop_map(|s| serde_json::to_string(&s).expect("JSON")),
        proptest::collection::vec(any::<i64>(), 0..4).prop_map(|v| serde_json::to_string(&v).expect("JSON")),
        any::<String>(),
    ];
    let states = proptest::collection::hash_map(any::<String>(), json, 0..8);

    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
        .run(&states, |saved| {
            let mut changed = saved.clone();
            changed.insert("changed".into(), "true".into());
            let (first, second) = runtime.block_on(async {
                let key = store.save(&saved).await;
                let first = store.load(&key).await;
                store.update(&key, &changed).await;
                (first, store.load(&key).await)
            });
            prop_assert_eq!(first, Some(saved));
            prop_assert_eq!(second, Some(changed));
            Ok(())
        })
        .expect("every state");
    drop(store);
}

#[actix_web::test]
async fn a_state_is_json_that_a_person_can_query() {
    let store = Store::new().await;

    store.save(&state(&[("user_id", "\"0199\""), ("cart", "[1,2]")])).await;

    let row = sqlx::query("select state->>'user_id', (state->'cart'->>1)::int from sessions")
        .fetch_one(&store.database.pool)
        .await
        .expect("JSON");
    assert_eq!((row.get::<&str, _>(0), row.get::<i32, _>(1)), ("0199", 2));
}

#[actix_web::test]
async fn every_save_is_a_new_row_under_a_fresh_key_of_64_alphanumerics() {
    let store = Store::new().await;
    let saved = state(&[("n", "1")]);

    let (one, other) = (store.save(&saved).await, store.save(&saved).await);

    assert_ne!(one, other);
    for key in [&one, &other] {
        assert_eq!(key.as_ref().len(), 64);
        assert!(key.as_ref().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
    assert_eq!(store.database.number("select count(*) from sessions").await, 2);
}

#[actix_web::test]
async fn unknown_and_malformed_keys_open_nothing() {
    let store = Store::new().await;
    store.save(&state(&[("n", "1")])).await;

    for key in [
        "a".repeat(64),
        "a".repeat(63),
        "a".repeat(65),
        String::new(),
        "'; --".into(),
        "é".repeat(32),
        "\0".repeat(64),
    ] {
        let key = SessionKey::try_from(key).expect("short enough");

        assert_eq!(store.load(&key).await, None, "{}", key.as_ref());
    }
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
async fn a_corrupt_row_opens_nothing_and_harms_no_other() {
    let store = Store::new().await;
    let saved = state(&[("n", "1")]);
    let key = store.save(&saved).await;

    for corrupt in ["3", "null", "\"text\"", "[]", "[1,2,3]", "[{},{\"a\":1}]", "[{}]"] {
        sqlx::query("update sessions set state = $1::text::json")
            .bind(corrupt)
            .execute(&store.database.pool)
            .await
            .expect("set");
        let other = store.save(&saved).await;

        assert_eq!(store.load(&key).await, None, "{corrupt}");
        assert_eq!(store.load(&other).await, Some(saved.clone()));
    }
}

#[actix_web::test]
async fn an_update_changes_the_state_and_keeps_key_and_start() {
    let store = Store::new().await;
    let key = store.save(&state(&[("n", "1")])).await;
    store.database.execute("update sessions set created_at = now() - interval '1 hour'").await;

    let same = store.update(&key, &state(&[("n", "2")])).await;

    assert_eq!(same, key);
    assert_eq!(store.load(&key).await, Some(state(&[("n", "2")])));
    let age = "select extract(epoch from now() - created_at)::bigint from sessions";
    assert!((3600..3660).contains(&store.database.number(age).await));
}

#[actix_web::test]
async fn an_update_after_delete_writes_nothing_and_revives_nothing() {
    let store = Store::new().await;
    let key = store.save(&state(&[("n", "1")])).await;
    store.store.delete(&key).await.expect("deleted");

    let same = store.update(&key, &state(&[("n", "2")])).await;

    assert_eq!(same, key, "the key goes back, and opens nothing");
    assert_eq!(store.load(&key).await, None);
    assert_eq!(store.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_deleted_row_is_gone_and_deleting_it_again_is_no_error() {
    let store = Store::new().await;
    let (key, other) = (store.save(&state(&[])).await, store.save(&state(&[])).await);

    store.store.delete(&key).await.expect("deleted");
    store.store.delete(&key).await.expect("idempotent");

    assert_eq!(store.load(&key).await, None);
    assert_eq!(store.load(&other).await, Some(HashMap::new()));
    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
}

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
async fn the_database_never_sees_the_key() {
    let store = Store::new().await;
    let key = store.save(&state(&[("n", "1")])).await;
    store.update(&key, &state(&[("n", "2")])).await;

    let dump: String = sqlx::query_scalar("select string_agg(sessions::text, '') from sessions")
        .fetch_one(&store.database.pool)
        .await
        .expect("rows");
    let hex: String = key.as_ref().bytes().map(|byte| format!("{byte:02x}")).collect();

    assert!(!dump.contains(key.as_ref()) && !dump.contains(&hex), "{dump}");
    let hashed = "select id = sha256(convert_to($1, 'UTF8')) from sessions";
    let is_hash: bool =
        sqlx::query_scalar(hashed).bind(key.as_ref()).fetch_one(&store.database.pool).await.expect("a row");
    assert!(is_hash);
}

#[actix_web::test]
async fn a_state_over_64_kib_is_refused_and_the_row_stays() {
    let store = Store::new().await;
    let small = state(&[("n", "1")]);
    let key = store.save(&small).await;
    let large = state(&[("large", &format!("\"{}\"", "x".repeat(64 * 1024 - 10)))]);

    let saved = store.store.save(large.clone(), &HALF_AN_HOUR).await;
    let updated = store.store.update(copy(&key), large, &HALF_AN_HOUR).await;

    assert!(matches!(saved, Err(SaveError::Serialization(_))), "{saved:?}");
    assert!(matches!(updated, Err(UpdateError::Serialization(_))), "{updated:?}");
    assert_eq!(store.load(&key).await, Some(small));
    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn the_table_itself_refuses_a_state_over_64_kib() {
    let store = Store::new().await;
    store.save(&state(&[])).await;

    let refused = sqlx::query("update sessions set state = to_json(repeat('x', 65536))")
        .execute(&store.database.pool)
        .await;

    let error = refused.expect_err("too large").into_database_error().expect("PostgreSQL's own");
    assert_eq!(error.constraint(), Some("sessions_state_size"));
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

#[actix_web::test]
async fn every_failure_of_the_database_is_an_error() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    store.database.execute("alter table sessions rename to elsewhere").await;

    assert!(matches!(store.store.load(&key).await, Err(LoadError::Other(_))));
    assert!(matches!(store.store.save(state(&[]), &HALF_AN_HOUR).await, Err(SaveError::Other(_))));
    assert!(matches!(
        store.store.update(copy(&key), state(&[]), &HALF_AN_HOUR).await,
        Err(UpdateError::Other(_))
    ));
    assert!(store.store.update_ttl(&key, &HALF_AN_HOUR).await.is_err());
    assert!(store.store.delete(&key).await.is_err());
}
