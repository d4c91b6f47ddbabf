//! Runs the acceptance suite on actix-session-sqlx-postgres, and prints its column for `docs/stores.md`.
//!
//! The store needs actix-session 0.10, and the suite needs 0.11. Both versions have the same methods, so the
//! adapter only converts the types.

#[path = "../../../../stores/column.rs"]
mod column;
#[path = "../../../../../examples/stores/kind.rs"]
mod kind;
#[path = "../../../../../examples/stores/pages.rs"]
mod pages;

use std::{cell::RefCell, collections::HashMap};

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session_sqlx_postgres::SqlxPostgresqlSessionStore;
use actix_web::cookie::time::Duration;
use anyhow::Result;
use dev::Postgres;
use old::storage::{self, SessionStore as _};
use session_store_suite::Subject;
use sqlx::{Executor, PgPool};

type State = HashMap<String, String>;

#[derive(Clone)]
struct Adapter(SqlxPostgresqlSessionStore);

fn old_key(key: &SessionKey) -> storage::SessionKey {
    key.as_ref().to_owned().try_into().expect("both versions have the same rules for a key")
}

fn new_key(key: storage::SessionKey) -> SessionKey {
    key.as_ref().to_owned().try_into().expect("both versions have the same rules for a key")
}

impl SessionStore for Adapter {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        self.0.load(&old_key(key)).await.map_err(|error| match error {
            storage::LoadError::Deserialization(error) => LoadError::Deserialization(error),
            storage::LoadError::Other(error) => LoadError::Other(error),
        })
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        self.0.save(state, ttl).await.map(new_key).map_err(|error| match error {
            storage::SaveError::Serialization(error) => SaveError::Serialization(error),
            storage::SaveError::Other(error) => SaveError::Other(error),
        })
    }

    async fn update(&self, key: SessionKey, state: State, ttl: &Duration) -> Result<SessionKey, UpdateError> {
        self.0.update(old_key(&key), state, ttl).await.map(new_key).map_err(|error| match error {
            storage::UpdateError::Serialization(error) => UpdateError::Serialization(error),
            storage::UpdateError::Other(error) => UpdateError::Other(error),
        })
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<()> {
        self.0.update_ttl(&old_key(key), ttl).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<()> {
        self.0.delete(&old_key(key)).await
    }
}

/// The store with the pool that its `new` creates, on a server with the table from the store's own tests.
struct InPostgres {
    server: RefCell<Postgres>,
    pool: PgPool,
}

impl InPostgres {
    async fn new() -> Result<Self> {
        let server = Postgres::temporary(&[])?;
        let pool = PgPool::connect_lazy(&server.url("postgres"))?;
        let sql = "
            create table sessions (
                key text primary key not null, session_state jsonb, expires timestamp with time zone not null
            );
            create extension pg_stat_statements;
            create schema clock;
            create function clock.now() returns timestamptz stable language sql
            as $$ select pg_catalog.now() + interval '1 day' $$";
        pool.execute(sql).await?;
        Ok(Self { server: RefCell::new(server), pool })
    }

    async fn with_options(&self, options: &str) -> Adapter {
        let url = format!("{}{options}", self.server.borrow().url("postgres"));
        Adapter(SqlxPostgresqlSessionStore::new(url).await.expect("connected"))
    }
}

impl Subject for InPostgres {
    type Store = Adapter;

    async fn store(&self) -> Adapter {
        self.with_options("").await
    }

    async fn age(&self, key: &SessionKey, by: Duration) {
        let sql = "update sessions set expires = expires - make_interval(secs => $2) where key = $1";
        let query = sqlx::query(sql).bind(key.as_ref()).bind(by.as_seconds_f64());
        query.execute(&self.pool).await.expect("aged");
    }

    async fn stored(&self) -> String {
        let sql = "select coalesce(string_agg(sessions::text, ' '), '') from sessions";
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect("rows")
    }

    /// The same list as for Redis, because the documentation mentions no guarantees.
    fn unclaimed(&self) -> &[&str] {
        &["size_limit", "hidden_keys", "max_age", "touch_only_extends"]
    }

    fn inapplicable(&self) -> &[&str] {
        &[]
    }

    async fn stop_server(&self) {
        self.server.borrow_mut().kill9().expect("killed");
    }

    async fn start_server(&self) {
        self.server.borrow_mut().restart().expect("started");
    }

    /// Returns a store whose connections have a `now()` that is a day ahead.
    async fn with_clock_a_day_ahead(&self) -> Adapter {
        self.with_options("?options=-c%20search_path%3Dclock%2Cpg_catalog%2Cpublic").await
    }
}

#[actix_web::main]
async fn main() -> Result<()> {
    let subject = InPostgres::new().await?;
    let store = subject.store().await;
    let statements = async |visits: column::Visits| {
        subject.pool.execute("select pg_stat_statements_reset()").await.expect("reset");
        visits.make().await;
        let sql =
            "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query ilike '%sessions%'";
        let calls: i64 = sqlx::query_scalar(sql).fetch_one(&subject.pool).await.expect("statistics");
        calls.unsigned_abs() / column::Visits::COUNT
    };
    let column = column::measure(kind::Kind::Postgres, &subject, move || store.clone(), statements).await;
    eprintln!("{}", column.report);
    for (title, cell) in [column.guarantees(), column.figures()].concat() {
        println!("{title}\t{cell}");
    }
    Ok(())
}
