//! Tests the app behind PgBouncer in transaction mode, with the settings in `deploy/pgbouncer.ini`.

use actix_session::storage::SessionKey;
use actix_session_postgres::PgSessionStore;
use app::database::{self, MIGRATIONS};
use app::{Config, config::DatabaseUrl};
use futures_util::future::join_all;
use lab::PgBouncer;
use session_store_suite::{Subject, run};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::{TestApp, TestDatabase, eventually, log};
use crate::{is_tested, subjects::InPostgres};

const SETTINGS: &str = include_str!("../../deploy/pgbouncer.ini");

/// The limit that docs/scaling.md says to set for the role.
pub const TIME_LIMIT: &str = "alter role postgres set statement_timeout = '1500ms'";

/// The settings for tests with many connections. In a debug build, password authentication is
/// slow for clients.
pub fn without_passwords() -> String {
    SETTINGS.replace("scram-sha-256", "trust")
}

/// Returns whether PgBouncer is installed.
pub fn has_pgbouncer() -> bool {
    is_tested(PgBouncer::is_installed(), "pgbouncer 1.21 or newer", "PgBouncer")
}

/// The app's configuration behind PgBouncer.
fn config(pooler: &PgBouncer) -> Config {
    let database_url = DatabaseUrl(pooler.url().parse().expect("a URL"));
    Config { database_url, ..TestApp::config(&[]) }
}

/// Starts a separate server, PgBouncer in front of it, and an app that uses PgBouncer.
pub async fn app_behind(settings: &str, role: &'static str) -> (TestApp, PgBouncer) {
    let mut database = TestDatabase::on_own_server().await;
    database.execute(role).await;
    let pooler = PgBouncer::temporary(&database.url, settings).expect("PgBouncer");
    database.options = pooler.url().parse().expect("a URL");
    (TestApp::on(database, &[]).await, pooler)
}

/// The app's own store behind PgBouncer.
struct Pooled {
    direct: InPostgres,
    pooler: PgBouncer,
}

impl Subject for Pooled {
    type Store = PgSessionStore;

    async fn store(&self) -> PgSessionStore {
        PgSessionStore::new(database::pool(&config(&self.pooler)))
    }

    async fn age(&self, key: &SessionKey, by: actix_web::cookie::time::Duration) {
        self.direct.age(key, by).await;
    }

    async fn stored(&self) -> String {
        self.direct.stored().await
    }

    fn inapplicable(&self) -> &[&str] {
        self.direct.inapplicable()
    }

    async fn stop_server(&self) {
        self.direct.stop_server().await;
    }

    async fn start_server(&self) {
        self.direct.start_server().await;
    }

    /// Bypasses PgBouncer, because the clock is a setting of the connection.
    async fn with_clock_a_day_ahead(&self) -> PgSessionStore {
        self.direct.with_clock_a_day_ahead().await
    }
}

#[actix_web::test]
async fn the_store_passes_the_acceptance_suite_behind_pgbouncer() {
    if !has_pgbouncer() {
        return;
    }
    let direct = InPostgres::new().await;
    sqlx::raw_sql(TIME_LIMIT).execute(&direct.pool).await.expect("set");
    let pooler = PgBouncer::temporary(&direct.url(), &without_passwords()).expect("PgBouncer");

    let report = run(&Pooled { direct, pooler }).await;

    report.assert_claims();
}

#[actix_web::test]
async fn the_app_serves_logs_out_rotates_and_sweeps_behind_pgbouncer() {
    if !has_pgbouncer() {
        return;
    }
    let (app, pooler) = app_behind(&without_passwords(), TIME_LIMIT).await;
    let browsers: Vec<_> = (0..40).map(|_| app.browser()).collect();

    for visit in 1..=3 {
        let pages = join_all(browsers.iter().map(|browser| browser.get("/"))).await;
        assert!(pages.iter().all(|page| page.visits() == visit));
    }
    let logouts = join_all(browsers.iter().take(20).map(|browser| browser.post("/logout", &[]))).await;
    assert!(logouts.iter().all(|page| page.status == 303));
    assert_eq!(app.database.number("select count(*) from sessions").await, 20);

    let (_, old) = app.start().await;
    let new = app.get_with("/probe/rotate", &old).await.cookie("id").expect("a new key");
    assert_eq!(app.get_with("/probe", &old).await.visitor(), "");
    assert_ne!(app.get_with("/probe", &new).await.visitor(), "");

    app.database.execute("update sessions set expires_at = now() - interval '61 minutes'").await;
    let store = PgSessionStore::new(database::pool(&config(&pooler)));
    assert_eq!(store.sweep(100).await.expect("swept"), 21);
    assert_eq!(browsers[39].get("/").await.visits(), 1);
}

#[actix_web::test]
async fn migrations_run_on_the_direct_connection_without_the_roles_time_limit() {
    let database = TestDatabase::on_own_server().await;
    database.execute("drop schema public cascade; create schema public").await;
    // The role's limit for the pooler must not cancel a migration.
    database.execute("alter role postgres set statement_timeout = '1ms'").await;
    // Nothing listens on this port, so only the direct connection can work.
    let pooler = database.options.clone().port(1);
    let migration_database_url = Some(DatabaseUrl(database.options.clone()));
    let config = Config { database_url: DatabaseUrl(pooler), migration_database_url, ..TestApp::config(&[]) };

    database::migrate(&config).await.expect("migrated");

    database.execute("alter role postgres reset statement_timeout").await;
    let done = database.number("select count(*) from _sqlx_migrations").await;
    assert_eq!(done, MIGRATIONS.iter().count() as i64);
}

#[actix_web::test]
async fn the_time_limit_applies_and_the_app_leaves_no_settings_behind_for_other_clients() {
    if !has_pgbouncer() {
        return;
    }
    let (app, _pooler) = app_behind(SETTINGS, TIME_LIMIT).await;
    let browsers: Vec<_> = (0..20).map(|_| app.browser()).collect();
    for _ in 0..3 {
        join_all(browsers.iter().map(|browser| browser.get("/"))).await;
    }
    assert_eq!(
        app.request(reqwest::Method::GET, "/health/ready").send().await.expect("a response").status(),
        200
    );

    // Ten concurrent transactions use ten of PgBouncer's connections.
    let others = PgPool::connect_lazy_with(app.database.options.clone().extra_float_digits(None));
    let mut transactions = Vec::new();
    for _ in 0..10 {
        transactions.push(others.begin().await.expect("a transaction"));
    }
    for transaction in &mut transactions {
        let settings: Vec<(String, String)> = sqlx::query_as(
            "select name, setting from pg_settings
            where source = 'session' and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone')",
        )
        .fetch_all(&mut **transaction)
        .await
        .expect("settings");
        assert_eq!(settings, []);
        let limit: String = sqlx::query_scalar("show statement_timeout")
            .fetch_one(&mut **transaction)
            .await
            .expect("a setting");
        assert_eq!(limit, "1500ms");
        let locks: i64 = sqlx::query_scalar("select count(*) from pg_locks where locktype = 'advisory'")
            .fetch_one(&mut **transaction)
            .await
            .expect("locks");
        assert_eq!(locks, 0);
    }
}

#[actix_web::test]
async fn nearly_a_thousand_clients_share_twenty_connections() {
    if !has_pgbouncer() {
        return;
    }
    let (app, _pooler) = app_behind(&without_passwords(), TIME_LIMIT).await;
    let browser = app.browser();
    browser.get("/").await;

    // The app also has a few other connections.
    let options = app.database.options.clone().extra_float_digits(None);
    let mut clients = Vec::new();
    for _ in 0..19 {
        let connects = (0..50).map(|_| PgConnection::connect_with(&options));
        let connected = join_all(connects).await;
        clients.extend(connected.into_iter().map(|client| client.expect("a client")));
    }
    let asked = clients.iter_mut().map(|client| sqlx::query("select pg_sleep(0.001)").execute(client));
    assert!(join_all(asked).await.iter().all(Result::is_ok));

    assert_eq!(browser.get("/").await.visits(), 2);
    let servers = app.database.number(
        "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
    // The test itself has up to 30 direct connections, but has used only one at a time.
    assert!((10..=22).contains(&servers.await));
    assert_eq!(clients.len(), 950);
}

#[actix_web::test]
async fn the_app_is_not_ready_behind_a_misconfigured_pooler_and_logs_the_reason() {
    if !has_pgbouncer() {
        return;
    }
    let refuses = SETTINGS.replace("ignore_startup_parameters", ";");
    for (settings, role, reason) in [
        (SETTINGS, "select", "statement_timeout must be 2s or less; set it for the role"),
        (refuses.as_str(), TIME_LIMIT, "unsupported startup parameter"),
    ] {
        let (app, _pooler) = app_behind(settings, role).await;

        // On a busy machine, the first checks may end before the database has responded.
        eventually(reason, async || {
            let ready = app.request(reqwest::Method::GET, "/health/ready").send().await.expect("a response");
            assert_eq!(ready.status(), 503);
            log::lines_with(reason).iter().any(|line| line.contains("not ready"))
        })
        .await;
    }
}
