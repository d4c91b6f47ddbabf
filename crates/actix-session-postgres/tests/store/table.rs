//! Tests the table's name and creation.

use actix_session::storage::SessionStore;
use actix_session_postgres::{MIGRATION, PgSession, PgSessionStore, SessionId};
use futures_util::future::join_all;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{HALF_AN_HOUR, changed, copy, state, support::TestDatabase};

#[actix_web::test]
async fn several_replicas_can_migrate_concurrently_and_repeatedly() {
    let database = TestDatabase::without_table().await;
    let replicas: Vec<_> = (0..8).map(|_| PgSessionStore::new(database.pool.clone())).collect();

    for migrated in join_all(replicas.iter().map(PgSessionStore::migrate)).await {
        migrated.expect("no error");
    }
    replicas[0].save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    replicas[1].migrate().await.expect("no error");

    assert_eq!(database.number("select count(*) from sessions").await, 1);
}

#[actix_web::test]
async fn the_table_can_be_created_with_the_exported_migration() {
    let database = TestDatabase::without_table().await;

    sqlx::raw_sql(MIGRATION).execute(&database.pool).await.expect("migrated");

    let store = PgSessionStore::new(database.pool.clone());
    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    assert!(store.load(&key).await.expect("no error").is_some());
    store.migrate().await.expect("the table exists");
}

#[actix_web::test]
async fn a_table_name_that_is_not_a_plain_identifier_is_rejected() {
    let pool = PgPool::connect_lazy("postgres://localhost").expect("a URL");
    for name in [
        "",
        ".",
        "a.",
        ".a",
        "a.b.c",
        "1st",
        "Sessions",
        "sessions; drop table sessions",
        "sessions\"",
        "sessions--",
        "a b",
        "é",
        "sessions\0",
        &"a".repeat(47),
    ] {
        let refused = PgSessionStore::new(pool.clone()).table(name);
        assert!(refused.is_err_and(|error| error.to_string().contains("lowercase")), "{name:?}");
    }
}

/// Calls every method of a store whose table has this name.
async fn use_table(database: &TestDatabase, name: &str) {
    let store = PgSessionStore::new(database.pool.clone()).table(name).expect("a name");
    store.migrate().await.expect("migrated");
    store.migrate().await.expect("migrated again");

    let key = store.save(state(&[]), &HALF_AN_HOUR).await.expect("saved");
    let login = changed(state(&[]), |session| drop(session.log_in(Uuid::nil())));
    let key = store.update(key, login, &HALF_AN_HOUR).await.expect("logged in");
    let rotation = changed(state(&[]), |session| session.rotate());
    let key = store.update(key, rotation, &HALF_AN_HOUR).await.expect("rotated");
    store.update(copy(&key), state(&[("n", "1")]), &HALF_AN_HOUR).await.expect("updated");
    store.update_ttl(&key, &HALF_AN_HOUR).await.expect("extended");
    assert!(store.load(&key).await.expect("no error").is_some());
    for loaded in join_all([store.load(&key), store.load(&key)]).await {
        assert!(loaded.expect("no error").is_some(), "by a shared statement");
    }
    assert_eq!(store.sweep(10).await.expect("swept"), 0);
    let hour = std::time::Duration::from_hours(1);
    assert_eq!(store.clone().limits(hour, hour).shorten(10).await.expect("shortened"), 1);
    let sessions = store.sessions_of(&Uuid::nil()).await.expect("sessions");
    assert_eq!(sessions[0].id, SessionId::of(key.as_ref()).expect("an id"));
    assert_eq!(store.end_all_of(&Uuid::nil(), None).await.expect("ended"), 1);
    store.delete(&key).await.expect("deleted");
}

#[actix_web::test]
async fn every_call_works_with_a_custom_table_name_or_schema() {
    let database = TestDatabase::without_table().await;
    database.execute("create schema web").await;
    database.execute("create schema \"order\"").await;

    for name in ["logins", "web.sessions", "web.logins", "user", "order.select", &"a".repeat(46)] {
        use_table(&database, name).await;
    }

    assert_eq!(database.number("select count(*) from pg_class where relname = 'sessions'").await, 1);
    assert_eq!(database.number("select count(*) from pg_indexes where schemaname = 'web'").await, 6);
    let longest = "select count(*) from pg_indexes where tablename = repeat('a', 46)";
    assert_eq!(database.number(longest).await, 3);
}
