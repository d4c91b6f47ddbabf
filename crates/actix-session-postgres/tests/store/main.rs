//! Tests each guarantee of `PgSessionStore`. `suite` tests the guarantees that any store could make.

#[path = "../support/mod.rs"]
mod support;

mod cost;
#[cfg(feature = "metrics")]
mod metrics;
mod owner;
mod races;
mod state;
mod suite;
mod sweep;
mod table;
mod time;
mod touches;

use std::collections::HashMap;

use actix_session::storage::{SessionKey, SessionStore};
use actix_session::{Session, SessionExt};
use actix_session_postgres::{PgSession, PgSessionStore};
use actix_web::{cookie::time::Duration, test::TestRequest};
use sqlx::postgres::PgPoolOptions;
use support::{TestDatabase, eventually};

type SessionState = HashMap<String, String>;

const HALF_AN_HOUR: Duration = Duration::minutes(30);
/// Makes every session an hour old, with its last use 29 minutes ago.
const OLD: &str =
    "update sessions set created_at = now() - interval '1 hour', expires_at = now() + interval '1 minute'";

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
        self.store.load(key).await.expect("no error")
    }

    async fn update(&self, key: &SessionKey, state: &SessionState) -> SessionKey {
        self.store.update(copy(key), state.clone(), &HALF_AN_HOUR).await.expect("no error")
    }

    /// Waits until the idle timer of the only session is reset.
    async fn touched(&self) {
        eventually("the idle timer", async || (1795..=1800).contains(&self.seconds_left().await)).await;
    }

    /// Returns the seconds until the only session expires.
    async fn seconds_left(&self) -> i64 {
        self.database.number("select extract(epoch from expires_at - now())::bigint from sessions").await
    }
}

fn copy(key: &SessionKey) -> SessionKey {
    key.as_ref().to_owned().try_into().expect("a key")
}

/// Applies `change` to a session with this `state`, and returns the state that the store would receive.
fn changed(state: SessionState, change: impl FnOnce(&Session)) -> SessionState {
    let session = TestRequest::default().to_http_request().get_session();
    for (name, json) in state {
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        session.insert(name, value).expect("a value");
    }
    change(&session);
    session.entries().clone()
}

fn state(values: &[(&str, &str)]) -> SessionState {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[actix_web::test]
async fn each_save_inserts_a_row_under_a_new_key_of_64_alphanumeric_characters() {
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
async fn each_concurrent_load_returns_its_own_live_session_or_none() {
    let store = Store::new().await;
    let (mut keys, mut states) = (Vec::new(), Vec::new());
    for n in 0..20 {
        states.push(Some(state(&[("n", &n.to_string())])));
        keys.push(store.save(states[n].as_ref().expect("a state")).await);
    }
    keys.push(store.save(&state(&[("expired", "1")])).await);
    let expire = "update sessions set expires_at = now() where state->>'expired' is not null";
    store.database.execute(expire).await;
    keys.push(actix_session::storage::generate_session_key());

    let loads = (0..110).map(|n| store.load(&keys[n % 22]));
    let found = futures_util::future::join_all(loads).await;

    let expected: Vec<_> = (0..110).map(|n| states.get(n % 22).cloned().flatten()).collect();
    assert_eq!(found, expected);
}

#[actix_web::test]
async fn an_update_changes_the_state_but_keeps_the_key_and_the_age() {
    let store = Store::new().await;
    let key = store.save(&state(&[("n", "1")])).await;
    store.database.execute(OLD).await;

    let same = store.update(&key, &state(&[("n", "2")])).await;

    assert_eq!(same, key);
    assert!((1795..=1800).contains(&store.seconds_left().await));
    assert_eq!(store.load(&key).await, Some(state(&[("n", "2")])));
    let age = "select extract(epoch from now() - created_at)::bigint from sessions";
    assert!((3600..3660).contains(&store.database.number(age).await));
}

#[actix_web::test]
async fn updating_a_deleted_session_writes_nothing_and_does_not_bring_it_back() {
    let store = Store::new().await;
    let key = store.save(&state(&[("n", "1")])).await;
    store.store.delete(&key).await.expect("deleted");

    let same = store.update(&key, &state(&[("n", "2")])).await;

    assert_eq!(same, key);
    assert_eq!(store.load(&key).await, None);
    assert_eq!(store.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn delete_removes_the_row_and_is_idempotent() {
    let store = Store::new().await;
    let (key, other) = (store.save(&state(&[])).await, store.save(&state(&[])).await);

    store.store.delete(&key).await.expect("deleted");
    store.store.delete(&key).await.expect("idempotent");

    assert_eq!(store.load(&key).await, None);
    assert_eq!(store.load(&other).await, Some(HashMap::new()));
    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
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
async fn creating_a_store_and_changing_its_settings_opens_no_connection() {
    let database = TestDatabase::new().await;
    let connections = "select count(*) from pg_stat_activity where application_name = 'the store'";
    let options = database.options.clone().application_name("the store");

    let store = PgSessionStore::new(PgPoolOptions::new().connect_lazy_with(options));
    let store = store.max_age(std::time::Duration::from_secs(3600)).owner::<i64>().owner::<uuid::Uuid>();
    let store = store.table("sessions").expect("a name").clone();
    assert_eq!(database.number(connections).await, 0);
    store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");

    assert_eq!(database.number(connections).await, 1, "only one batcher connects");
}

#[actix_web::test]
async fn a_rotation_changes_the_key_but_keeps_the_age() {
    let store = Store::new().await;
    let saved = state(&[("n", "1")]);
    let key = store.save(&saved).await;
    store.database.execute(OLD).await;

    let rotated = changed(saved.clone(), |session| session.rotate());
    let new = store.update(&key, &rotated).await;

    assert_ne!(new, key);
    assert!((1795..=1800).contains(&store.seconds_left().await));
    assert_eq!((store.load(&key).await, store.load(&new).await), (None, Some(saved)));
    let age = "select extract(epoch from now() - created_at)::bigint from sessions";
    assert!((3600..3660).contains(&store.database.number(age).await));
}

#[actix_web::test]
async fn the_store_never_saves_a_rotation_request_in_the_state() {
    let store = Store::new().await;
    let rotated = changed(state(&[("n", "1")]), |session| session.rotate());

    let key = store.save(&rotated).await;
    let new = store.update(&key, &rotated).await;

    assert_eq!(store.load(&new).await, Some(state(&[("n", "1")])));
}
