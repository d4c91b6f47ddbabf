//! Adapts the four stores to the acceptance suite and the measurements.

use std::cell::{OnceCell, RefCell};

use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionKey};
use actix_session_postgres::PgSessionStore;
use actix_web::cookie::time::Duration;
use app::database::{self, MIGRATIONS};
use app::{Config, config::DatabaseUrl};
use dev::Postgres;
use lab::Redis;
use redis::Commands;
use session_store_suite::{MemorySessionStore, Subject};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::support::{TestApp, TestDatabase};

/// The process holds the sessions, so a restart creates a new store.
#[derive(Default)]
pub struct Memory(RefCell<MemorySessionStore>);

impl Subject for Memory {
    type Store = MemorySessionStore;

    async fn store(&self) -> MemorySessionStore {
        self.0.borrow().clone()
    }

    async fn age(&self, key: &SessionKey, by: Duration) {
        self.0.borrow().age(key, by);
    }

    async fn stored(&self) -> String {
        self.0.borrow().dump()
    }

    fn unclaimed(&self) -> &[&str] {
        &["size_limit", "hidden_keys", "max_age", "durability"]
    }

    async fn stop_server(&self) {
        self.0.take();
    }
}

/// The cookie store. Its documentation says that a session can't be ended before its natural expiry.
pub struct Cookie;

impl Subject for Cookie {
    type Store = CookieSessionStore;

    async fn store(&self) -> CookieSessionStore {
        CookieSessionStore::default()
    }

    /// The server stores nothing that could age.
    async fn age(&self, _: &SessionKey, _: Duration) {}

    async fn stored(&self) -> String {
        String::new()
    }

    fn unclaimed(&self) -> &[&str] {
        &["concurrent_updates", "complete_deletion", "update_after_delete", "logout_race", "max_age"]
    }
}

/// The Redis store. Its documentation says that a purged session is removed, but says nothing about age, size or
/// readable keys.
pub struct InRedis {
    server: RefCell<Redis>,
    day_ahead: OnceCell<Redis>,
}

impl InRedis {
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let server = Redis::temporary(settings, &[]).unwrap_or_else(|error| panic!("{error:#}"));
        Self { server: RefCell::new(server), day_ahead: OnceCell::new() }
    }

    pub fn connection(&self) -> redis::Connection {
        connection(&self.server.borrow())
    }
}

impl Subject for InRedis {
    type Store = RedisSessionStore;

    async fn store(&self) -> RedisSessionStore {
        let url = self.server.borrow().url();
        RedisSessionStore::new(url).await.expect("connected")
    }

    async fn age(&self, key: &SessionKey, by: Duration) {
        let mut connection = self.connection();
        let left: i64 = connection.pttl(key.as_ref()).expect("a time to live");
        if left > 0 {
            let left = left - i64::try_from(by.whole_milliseconds()).expect("a short time");
            connection.pexpire::<_, ()>(key.as_ref(), left).expect("set");
        }
    }

    async fn stored(&self) -> String {
        let mut connection = self.connection();
        let keys: Vec<String> = connection.keys("*").expect("keys");
        let values: Vec<String> = keys.iter().map(|key| connection.get(key).unwrap_or_default()).collect();
        format!("{keys:?} {values:?}")
    }

    fn unclaimed(&self) -> &[&str] {
        &["size_limit", "hidden_keys", "max_age", "touch_only_extends"]
    }

    fn inapplicable(&self) -> &[&str] {
        // The test sets Redis's clock with LD_PRELOAD, which other systems don't have.
        if cfg!(target_os = "linux") { &[] } else { &["server_clock"] }
    }

    async fn stop_server(&self) {
        self.server.borrow_mut().kill9().expect("killed");
    }

    async fn start_server(&self) {
        self.server.borrow_mut().start().expect("started");
    }

    async fn with_clock_a_day_ahead(&self) -> RedisSessionStore {
        let server = self.day_ahead.get_or_init(redis_a_day_ahead);
        let (seconds, _): (u64, u64) = redis::cmd("TIME").query(&mut connection(server)).expect("a time");
        let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
        assert!(seconds > now + 23 * 60 * 60, "Redis's clock is not a day ahead");
        RedisSessionStore::new(server.url()).await.expect("connected")
    }
}

fn connection(server: &Redis) -> redis::Connection {
    let client = redis::Client::open(server.url()).expect("a URL");
    client.get_connection().expect("connected")
}

fn redis_a_day_ahead() -> Redis {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/stores/clock.c");
    let library = format!("{}/clock-{}.so", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o", &library, source, "-ldl"]);
    assert!(compiler.status().expect("a C compiler").success());
    let server =
        Redis::temporary(&[], &[("LD_PRELOAD", &library)]).unwrap_or_else(|error| panic!("{error:#}"));
    std::fs::remove_file(library).expect("removed");
    server
}

/// The app's own store, with the app's own pool.
pub struct InPostgres {
    server: RefCell<Postgres>,
    pub pool: PgPool,
    day_ahead: TestDatabase,
}

impl InPostgres {
    pub async fn new() -> Self {
        let library = [("shared_preload_libraries", "pg_stat_statements")];
        let server = Postgres::temporary(&library).unwrap_or_else(|error| panic!("{error:#}"));
        let pool = pool(&server);
        MIGRATIONS.run(&pool).await.expect("migrated");
        sqlx::raw_sql("create extension pg_stat_statements").execute(&pool).await.expect("an extension");
        Self { server: RefCell::new(server), pool, day_ahead: TestDatabase::new().await }
    }

    /// Returns the server's URL, including the password.
    pub fn url(&self) -> String {
        self.server.borrow().url("postgres")
    }

    /// Returns a pool for an app on other threads. Its connections close when those threads stop.
    pub fn another_pool(&self) -> PgPool {
        pool(&self.server.borrow())
    }
}

fn pool(server: &Postgres) -> PgPool {
    let url = DatabaseUrl(server.url("postgres").parse().expect("a URL"));
    database::pool(&Config { database_url: url, ..TestApp::config(&[]) })
}

impl Subject for InPostgres {
    type Store = PgSessionStore;

    async fn store(&self) -> PgSessionStore {
        PgSessionStore::new(self.pool.clone())
    }

    async fn age(&self, key: &SessionKey, by: Duration) {
        let sql = "
            update sessions
            set created_at = created_at - make_interval(secs => $2),
                expires_at = expires_at - make_interval(secs => $2),
                ends_at = ends_at - make_interval(secs => $2)
            where id = sha256(convert_to($1, 'UTF8'))";
        let query = sqlx::query(sql).bind(key.as_ref()).bind(by.as_seconds_f64());
        query.execute(&self.pool).await.expect("aged");
    }

    async fn stored(&self) -> String {
        let sql = "select coalesce(string_agg(sessions::text, ' '), '') from sessions";
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect("rows")
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
    async fn with_clock_a_day_ahead(&self) -> PgSessionStore {
        for sql in [
            "create schema clock",
            "create function clock.now() returns timestamptz stable language sql \
             as $$ select pg_catalog.now() + interval '1 day' $$",
            "alter table sessions alter created_at set default clock.now()",
        ] {
            self.day_ahead.execute(sql).await;
        }
        let options = self.day_ahead.options.clone().options([("search_path", "clock,pg_catalog,public")]);
        PgSessionStore::new(PgPoolOptions::new().connect_lazy_with(options))
    }
}
