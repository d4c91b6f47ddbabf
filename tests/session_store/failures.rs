//! What can't be opened, can't be kept, or can't be reached.

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};

use crate::{HALF_AN_HOUR, Store, copy, state};

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
