//! Tests that a session's state is loaded exactly as it was saved.

use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::Row;

use crate::{Store, state};

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
