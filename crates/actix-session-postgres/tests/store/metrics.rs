//! Tests the counters of the `metrics` feature.

use std::collections::HashMap;

use actix_session::{SessionExt, storage::SessionStore};
use actix_session_postgres::PgSession;
use actix_web::test::TestRequest;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use uuid::Uuid;

use crate::{HALF_AN_HOUR, Store};

#[actix_web::test]
async fn the_metrics_count_sessions_and_store_errors() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    // Counts only in this test's thread, which also runs the store's tasks.
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let Store { store, database } = Store::new().await;

    let key = store.save(HashMap::new(), &HALF_AN_HOUR).await.expect("saved");
    store.save(HashMap::new(), &HALF_AN_HOUR).await.expect("saved");
    let session = TestRequest::default().to_http_request().get_session();
    session.log_in(Uuid::nil());
    let login = session.entries().clone();
    let key = store.update(key, login, &HALF_AN_HOUR).await.expect("logged in");
    store.delete(&key).await.expect("deleted");
    store.delete(&key).await.expect("idempotent");
    database.execute("update sessions set expires_at = now() - interval '2 hours'").await;
    store.sweep(10).await.expect("swept");
    database.execute("drop table sessions").await;
    store.load(&key).await.expect_err("no table");

    let counts: HashMap<String, u64> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) => Some((key.key().name().to_owned(), count)),
            _ => None,
        })
        .collect();
    for (name, count) in [
        ("sessions_started_total", 3),
        ("sessions_ended_total", 1),
        ("sessions_swept_total", 1),
        ("session_store_errors_total", 1),
    ] {
        assert_eq!(counts.get(name), Some(&count), "{name}: {counts:?}");
    }
}
