//! Runs the acceptance suite, which tests the guarantees that any store could make.

use std::cell::RefCell;

use actix_session::storage::SessionKey;
use actix_session_postgres::{PgSessionStore, SessionId};
use actix_web::cookie::time::{Duration, OffsetDateTime};
use dev::Postgres;
use session_store_suite::Subject;
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::TestDatabase;

/// The store on a server that the suite can kill, or on the server in `DATABASE_URL`, which it can't kill.
struct InPostgres {
    server: Option<RefCell<Postgres>>,
    pool: PgPool,
    database: TestDatabase,
}

impl InPostgres {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        if std::env::var("DATABASE_URL").is_ok_and(|url| !url.is_empty()) {
            return Self { server: None, pool: database.pool.clone(), database };
        }
        let server = Postgres::temporary(&[]).unwrap_or_else(|error| panic!("{error:#}"));
        let pool = PgPool::connect_lazy(&server.url("postgres")).expect("a URL");
        PgSessionStore::new(pool.clone()).migrate().await.expect("migrated");
        Self { server: Some(RefCell::new(server)), pool, database }
    }

    fn server(&self) -> &RefCell<Postgres> {
        self.server.as_ref().expect("the guarantees about a server are not applicable")
    }
}

impl Subject for InPostgres {
    type Store = PgSessionStore;

    async fn store(&self) -> PgSessionStore {
        PgSessionStore::new(self.pool.clone())
    }

    /// Uses two statements, because Citus rejects `timestamptz - interval` on a column.
    async fn age(&self, key: &SessionKey, by: Duration) {
        let id = SessionId::of(key.as_ref());
        let times = sqlx::query_as("select created_at, expires_at, ends_at from sessions where id = $1");
        let times: Option<[OffsetDateTime; 3]> = times
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .expect("a row")
            .map(|(created, expires, ends)| [created, expires, ends]);
        let Some(times) = times else { return };
        let [created, expires, ends] = times.map(|time| time - by);
        let age = "update sessions set created_at = $2, expires_at = $3, ends_at = $4 where id = $1";
        let age = sqlx::query(age).bind(id).bind(created).bind(expires).bind(ends);
        age.execute(&self.pool).await.expect("aged");
    }

    async fn stored(&self) -> String {
        let sql = "select coalesce(string_agg(sessions::text, ' '), '') from sessions";
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect("rows")
    }

    fn inapplicable(&self) -> &[&str] {
        const WITHOUT_SERVER: [&str; 4] = ["server_clock", "outage", "recovery", "durability"];
        if self.server.is_some() { &[] } else { &WITHOUT_SERVER }
    }

    async fn stop_server(&self) {
        self.server().borrow_mut().kill9().expect("killed");
    }

    async fn start_server(&self) {
        self.server().borrow_mut().restart().expect("started");
    }

    /// Returns a store whose connections have a `now()` that is a day ahead.
    async fn with_clock_a_day_ahead(&self) -> PgSessionStore {
        for sql in [
            "create schema clock",
            "create function clock.now() returns timestamptz stable language sql \
             as $$ select pg_catalog.now() + interval '1 day' $$",
            "alter table sessions alter created_at set default clock.now()",
        ] {
            self.database.execute(sql).await;
        }
        let options = self.database.options.clone().options([("search_path", "clock,pg_catalog,public")]);
        PgSessionStore::new(PgPoolOptions::new().connect_lazy_with(options))
    }
}

#[actix_web::test]
async fn the_store_passes_the_acceptance_suite() {
    session_store_suite::run(&InPostgres::new().await).await.assert_claims();
}
