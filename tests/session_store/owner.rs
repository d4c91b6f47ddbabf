//! The sessions of one account.

use actix_session::storage::{SessionKey, SessionStore};
use app::session::SessionId;
use uuid::Uuid;

use crate::{HALF_AN_HOUR, Store, changed, state};

const ALICE: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);

impl Store {
    /// Saves a new session that is logged in as `account`.
    async fn log_in(&self, account: Uuid) -> SessionKey {
        let state = changed(state(&[]), |session| session.log_in(account)).await;
        self.store.save(state, &HALF_AN_HOUR).await.expect("saved")
    }

    async fn ids_of(&self, account: Uuid) -> Vec<SessionId> {
        let sessions = self.store.sessions_of(account).await.expect("sessions");
        sessions.iter().map(|session| session.id).collect()
    }
}

fn id(key: &SessionKey) -> SessionId {
    SessionId::of(key.as_ref()).expect("a key")
}

#[actix_web::test]
async fn a_login_changes_the_key_sets_the_owner_restarts_the_age_and_drops_the_contents() {
    let store = Store::new().await;
    let anonymous = state(&[("cart", "[1]")]);
    let key = store.save(&anonymous).await;
    store.database.execute("update sessions set created_at = now() - interval '7 hours'").await;

    let state = changed(anonymous, |session| session.log_in(ALICE)).await;
    let new = store.update(&key, &state).await;

    assert_eq!(store.load(&key).await, None);
    let account = format!("\"{ALICE}\"");
    assert_eq!(store.load(&new).await, Some(crate::state(&[("account_id", &account)])));
    assert_eq!(store.ids_of(ALICE).await, [id(&new)]);
    let age = "select extract(epoch from now() - created_at)::bigint from sessions";
    assert!(store.database.number(age).await < 60);
    assert_eq!(store.database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn sessions_of_lists_the_live_sessions_of_one_account_newest_first() {
    let store = Store::new().await;
    let (old, new) = (store.log_in(ALICE).await, store.log_in(ALICE).await);
    let (expired, too_old) = (store.log_in(ALICE).await, store.log_in(ALICE).await);
    store.log_in(BOB).await;
    store.save(&state(&[])).await;
    for (key, change) in [
        (&old, "created_at = now() - interval '1 hour'"),
        (&expired, "expires_at = now()"),
        (&too_old, "created_at = now() - interval '8 hours'"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(format!("update sessions set {change} where id = $1")))
            .bind(&id(key).0[..])
            .execute(&store.database.pool)
            .await
            .expect("changed");
    }

    assert_eq!(store.ids_of(ALICE).await, [id(&new), id(&old)]);
}

#[actix_web::test]
async fn end_all_of_ends_every_session_of_the_account_but_one() {
    let store = Store::new().await;
    let (this, other, bobs) = (store.log_in(ALICE).await, store.log_in(ALICE).await, store.log_in(BOB).await);

    let ended = store.store.end_all_of(ALICE, Some(id(&this))).await.expect("ended");

    assert_eq!(ended, 1);
    assert_eq!(store.load(&other).await, None);
    assert!(store.load(&this).await.is_some() && store.load(&bobs).await.is_some());
    assert_eq!(store.store.end_all_of(ALICE, None).await.expect("ended"), 1);
    assert_eq!(store.load(&this).await, None);
}

#[actix_web::test]
async fn a_request_in_flight_does_not_revive_a_session_that_end_all_of_ended() {
    let store = Store::new().await;
    let key = store.log_in(ALICE).await;
    let loaded = store.load(&key).await.expect("alive");

    store.store.end_all_of(ALICE, None).await.expect("ended");
    store.update(&key, &loaded).await;
    let rotated = changed(loaded, |session| session.rotate()).await;
    store.update(&key, &rotated).await;

    assert_eq!(store.database.number("select count(*) from sessions").await, 0);
}

#[actix_web::test]
async fn a_login_keeps_its_owner_whatever_else_changes_in_the_same_request() {
    let store = Store::new().await;
    let key = store.save(&state(&[("cart", "[1]")])).await;

    let combined = changed(state(&[("cart", "[1]")]), |session| {
        session.rotate();
        session.log_in(ALICE);
        session.rotate();
        session.start(BOB);
    });
    let new = store.update(&key, &combined.await).await;

    assert_eq!(store.ids_of(ALICE).await, [id(&new)]);
    assert_eq!(store.load(&key).await, None);
}
