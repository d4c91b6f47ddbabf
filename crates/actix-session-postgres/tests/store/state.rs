//! Tests that a session's state is loaded exactly as it was saved, and what happens if a state is invalid
//! or a call fails.

use std::time::Duration;

use actix_session::storage::{LoadError, SaveError, SessionStore, UpdateError};
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::Row;

use crate::support::{eventually, log};
use crate::{HALF_AN_HOUR, Store, copy, state};

#[actix_web::test]
async fn a_state_is_preserved_byte_for_byte() {
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
fn any_state_is_preserved() {
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
async fn the_state_column_is_json_that_sql_can_query() {
    let store = Store::new().await;

    store.save(&state(&[("user_id", "\"0199\""), ("cart", "[1,2]")])).await;

    let row = sqlx::query("select state->>'user_id', (state->'cart'->>1)::int from sessions")
        .fetch_one(&store.database.pool)
        .await
        .expect("JSON");
    assert_eq!((row.get::<&str, _>(0), row.get::<i32, _>(1)), ("0199", 2));
}

#[actix_web::test]
async fn an_unreadable_row_is_ignored_and_does_not_affect_others() {
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
async fn saving_a_state_over_64_kib_fails_and_leaves_the_row_unchanged() {
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
async fn the_table_also_rejects_a_state_over_64_kib() {
    let store = Store::new().await;
    store.save(&state(&[])).await;

    let refused = sqlx::query("update sessions set state = to_json(repeat('x', 65536))")
        .execute(&store.database.pool)
        .await;

    let error = refused.expect_err("too large").into_database_error().expect("a database error");
    // Searches the message, because Citus appends the shard number to the constraint's name.
    assert!(error.message().contains("sessions_state_size"), "{error}");
}

#[actix_web::test]
async fn a_database_failure_returns_an_error_rather_than_an_empty_session() {
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

#[actix_web::test]
async fn a_rejected_touch_is_logged_and_a_rejected_shorten_call_returns_an_error() {
    log::capture();
    let store = Store::new().await;
    let key = store.save(&state(&[])).await;
    store.database.execute("update sessions set expires_at = now() + interval '1 minute'").await;
    let rule =
        "alter table sessions add check (idle_seconds > 60 and expires_at < now() + interval '5 minutes')";
    store.database.execute(rule).await;

    store.load(&key).await.expect("a session");

    let logged = async || !log::lines_with("could not reset the idle timer").is_empty();
    eventually("a warning", logged).await;
    let minute = Duration::from_secs(60);
    assert!(store.store.limits(minute, minute).shorten(1).await.is_err());
}
