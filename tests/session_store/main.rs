//! The store's contract: a test for each promise of `PgSessionStore`.

#[path = "../support/mod.rs"]
mod support;

mod cost;
mod failures;
mod state;
mod time;

use std::collections::HashMap;

use actix_postgres_sessions::{PgSessionStore, session::SessionState};
use actix_session::storage::{SessionKey, SessionStore};
use actix_web::cookie::time::Duration;
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
async fn a_save_brings_the_user_whom_the_state_names_unless_they_are_there() {
    let store = Store::new().await;
    let user = r#""018f0000-0000-7000-8000-000000000001""#;

    store.save(&state(&[("user_id", user)])).await;
    store.database.execute("update users set visits = 7").await;
    store.save(&state(&[("user_id", user)])).await;
    for nobody in [state(&[]), state(&[("user_id", "7")]), state(&[("user_id", "not JSON")])] {
        store.save(&nobody).await;
    }

    assert_eq!(store.database.number("select count(*) from sessions").await, 5);
    assert_eq!(store.database.number("select sum(visits)::bigint from users").await, 7);
}

#[actix_web::test]
async fn loads_at_once_of_one_session_among_others_each_get_what_they_asked_for() {
    let store = Store::new().await;
    let (mut keys, mut states) = (Vec::new(), Vec::new());
    for n in 0..20 {
        states.push(Some(state(&[("n", &n.to_string())])));
        keys.push(store.save(states[n].as_ref().expect("a state")).await);
    }
    // Rotated: the first key opens it for a moment yet.
    let rotate = "update sessions set previous_id = id, rotated_at = now(), id = sha256('new') where state->>'n' = '7'";
    store.database.execute(rotate).await;
    let unknown = actix_session::storage::generate_session_key();

    let asked: Vec<_> = (0..100).map(|n| keys.get(n % 21)).collect();
    let loads = asked.iter().map(|key| store.load(key.unwrap_or(&unknown)));
    let found = futures_util::future::join_all(loads).await;

    let expected: Vec<_> = (0..100).map(|n| states.get(n % 21).cloned().flatten()).collect();
    assert_eq!(found, expected);
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
