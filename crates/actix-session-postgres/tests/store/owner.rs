//! Tests the sessions of an account.

use actix_session::storage::{SessionKey, SessionStore};
use actix_session_postgres::{PgSession, PgSessionStore, SessionId};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::{HALF_AN_HOUR, Store, changed, state};

const ALICE: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);

impl Store {
    /// Saves a new session that is logged in as `account`.
    async fn log_in(&self, account: Uuid) -> SessionKey {
        let state = changed(state(&[]), |session| drop(session.log_in(account)));
        self.store.save(state, &HALF_AN_HOUR).await.expect("saved")
    }

    async fn ids_of(&self, account: Uuid) -> Vec<SessionId> {
        let sessions = self.store.sessions_of(&account).await.expect("sessions");
        sessions.iter().map(|session| session.id).collect()
    }
}

fn id(key: &SessionKey) -> SessionId {
    SessionId::of(key.as_ref()).expect("a key")
}

#[actix_web::test]
async fn a_login_changes_the_key_sets_the_owner_resets_the_age_and_drops_the_contents() {
    let store = Store::new().await;
    let anonymous = state(&[("cart", "[1]")]);
    let key = store.save(&anonymous).await;
    store.database.execute("update sessions set created_at = now() - interval '7 hours'").await;

    let state = changed(anonymous, |session| {
        session.log_in(ALICE);
        session.insert("role", "admin").expect("a value");
    });
    let new = store.update(&key, &state).await;

    assert_eq!(store.load(&key).await, None);
    assert_eq!(store.load(&new).await, Some(crate::state(&[("role", "\"admin\"")])));
    assert_eq!(store.ids_of(ALICE).await, [id(&new)]);
    let age = "select extract(epoch from now() - created_at)::bigint from sessions";
    assert!(store.database.number(age).await < 60);
    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn a_login_takes_effect_even_if_the_session_ended_in_the_meantime() {
    let store = Store::new().await;
    let key = store.save(&state(&[("cart", "[1]")])).await;
    let state = changed(state(&[("cart", "[1]")]), |session| drop(session.log_in(ALICE)));
    store.store.delete(&key).await.expect("deleted");

    let new = store.update(&key, &state).await;

    assert_ne!(new, key);
    assert_eq!(store.ids_of(ALICE).await, [id(&new)]);
    assert_eq!(store.load(&new).await, Some(crate::state(&[])));
}

#[actix_web::test]
async fn a_login_over_an_expired_session_deletes_its_row() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    store.database.execute("update sessions set expires_at = now()").await;

    store.update(&key, &changed(state(&[]), |session| drop(session.log_in(ALICE)))).await;

    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn sessions_of_lists_an_accounts_live_sessions_newest_first() {
    let store = Store::new().await;
    let (old, new) = (store.log_in(ALICE).await, store.log_in(ALICE).await);
    let expired = store.log_in(ALICE).await;
    store.log_in(BOB).await;
    store.save(&state(&[])).await;
    for (key, change) in [(&old, "created_at = now() - interval '1 hour'"), (&expired, "expires_at = now()")]
    {
        sqlx::query(sqlx::AssertSqlSafe(format!("update sessions set {change} where id = $1")))
            .bind(id(key))
            .execute(&store.database.pool)
            .await
            .expect("changed");
    }

    assert_eq!(store.ids_of(ALICE).await, [id(&new), id(&old)]);
}

#[actix_web::test]
async fn end_all_of_ends_all_sessions_of_an_account_except_the_given_one() {
    let store = Store::new().await;
    let (this, other, bobs) = (store.log_in(ALICE).await, store.log_in(ALICE).await, store.log_in(BOB).await);

    let ended = store.store.end_all_of(&ALICE, Some(id(&this))).await.expect("ended");

    assert_eq!(ended, 1);
    assert_eq!(store.load(&other).await, None);
    assert!(store.load(&this).await.is_some() && store.load(&bobs).await.is_some());
    let again = store.store.clone();
    let ended = tokio::spawn(async move { again.end_all_of(&ALICE, None).await }).await.expect("no panic");
    assert_eq!(ended.expect("ended"), 1);
    assert_eq!(store.load(&this).await, None);
}

#[actix_web::test]
async fn a_request_in_flight_does_not_bring_back_a_session_ended_by_end_all_of() {
    let store = Store::new().await;
    let key = store.log_in(ALICE).await;
    let loaded = store.load(&key).await.expect("alive");

    store.store.end_all_of(&ALICE, None).await.expect("ended");
    store.update(&key, &loaded).await;
    let rotated = changed(loaded, |session| session.rotate());
    store.update(&key, &rotated).await;

    assert_eq!(store.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_login_keeps_its_owner_regardless_of_other_changes_in_the_same_request() {
    let store = Store::new().await;
    let key = store.save(&state(&[("cart", "[1]")])).await;

    let combined = changed(state(&[("cart", "[1]")]), |session| {
        session.rotate();
        session.log_in(BOB);
        session.log_in(ALICE);
        session.rotate();
        session.insert("n", 1).expect("a value");
    });
    let new = store.update(&key, &combined).await;

    assert_eq!(store.ids_of(ALICE).await, [id(&new)]);
    assert_eq!(store.ids_of(BOB).await, []);
    assert_eq!(store.load(&key).await, None);
}

#[actix_web::test]
async fn end_ends_one_session_and_returns_whether_it_existed() {
    let store = Store::new().await;
    let (one, other) = (store.log_in(ALICE).await, store.log_in(ALICE).await);

    assert!(store.store.end(id(&one)).await.expect("ended"));
    assert!(!store.store.end(id(&one)).await.expect("idempotent"));

    assert_eq!(store.ids_of(ALICE).await, [id(&other)]);
}

#[actix_web::test]
async fn sessions_of_returns_each_sessions_contents() {
    let store = Store::new().await;
    let login = changed(state(&[]), |session| {
        session.log_in(ALICE);
        session.insert("device", "Firefox on Linux").expect("a value");
    });
    store.store.save(login, &HALF_AN_HOUR).await.expect("saved");

    let sessions = store.store.sessions_of(&ALICE).await.expect("sessions");

    assert_eq!(sessions[0].state["device"], "\"Firefox on Linux\"");
    assert!(!sessions[0].remembered);
    assert_eq!(sessions[0].idle.as_secs(), 30 * 60);
}

/// Logs in, and rotates, lists and ends sessions with owners of this type.
async fn use_owner<O: actix_session_postgres::Owner + std::fmt::Debug>(owner: O, another: O, sql_type: &str) {
    let database = crate::support::TestDatabase::without_table().await;
    let store = PgSessionStore::new(database.pool.clone()).owner::<O>();
    store.migrate().await.expect("migrated");
    let login = |owner: &O| changed(state(&[]), |session| drop(session.log_in(owner.clone())));

    let anonymous = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    let key = store.update(anonymous, login(&owner), &HALF_AN_HOUR).await.expect("logged in");
    let rotation = changed(state(&[]), |session| session.rotate());
    let key = store.update(key, rotation, &HALF_AN_HOUR).await.expect("rotated");
    // Both share a statement.
    for saved in join_all([&owner, &another].map(|owner| store.save(login(owner), &HALF_AN_HOUR))).await {
        saved.expect("logged in");
    }

    assert_eq!(store.sessions_of(&owner).await.expect("sessions").len(), 2, "{owner:?}");
    assert_eq!(store.end_all_of(&owner, Some(id(&key))).await.expect("ended"), 1);
    let left: Vec<_> =
        store.sessions_of(&owner).await.expect("sessions").iter().map(|left| left.id).collect();
    assert_eq!(left, [id(&key)]);
    assert_eq!(store.sessions_of(&another).await.expect("sessions").len(), 1);
    let column = "select data_type from information_schema.columns where column_name = 'owner' and table_name = 'sessions'";
    let column: String = sqlx::query_scalar(column).fetch_one(&database.pool).await.expect("a column");
    assert_eq!(column, sql_type);
}

#[actix_web::test]
async fn an_owner_can_be_a_uuid_a_number_or_a_string() {
    use_owner(ALICE, BOB, "uuid").await;
    use_owner(7_i64, -1, "bigint").await;
    use_owner("o'brien \"\u{1f980}\"".to_owned(), String::new(), "text").await;
}

#[actix_web::test]
async fn a_login_with_the_wrong_type_of_owner_fails_and_ends_no_session() {
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    let login = changed(state(&[]), |session| drop(session.log_in("alice".to_owned())));

    let updated = store.store.update(crate::copy(&key), login.clone(), &HALF_AN_HOUR).await;
    let saved = store.store.save(login, &HALF_AN_HOUR).await;

    assert!(updated.is_err() && saved.is_err());
    assert!(store.load(&key).await.is_some());
    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
}
