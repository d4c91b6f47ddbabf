//! The connection pool and the schema.

use std::{io::ErrorKind, time::Duration};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use sqlx_batcher::{CHECK_AFTER, check};

use crate::config::{Config, DatabaseUrl};
use crate::limits::STATEMENT_TIMEOUT;

/// Time limit for connecting, which takes about nine round trips with TLS.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection is used. The host name may later resolve to a different server.
pub(crate) const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The schema: `migrations/`, compiled into the program.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Creates the pool. It connects on first use, so the app can start before its database.
pub fn pool(config: &Config) -> PgPool {
    // Cancels statements of abandoned requests. Poolers ignore the setting, so `/health/ready` checks it.
    let timeout = format!("{}ms", STATEMENT_TIMEOUT.as_millis());
    // With a stricter isolation level, a visit would fail if a concurrent visit changed the same row.
    let isolation = ("default_transaction_isolation", "read committed".to_owned());
    let options = options(&config.database_url).options([("statement_timeout", timeout), isolation]);
    PgPoolOptions::new()
        .max_connections(config.database_max_connections)
        // Longer than a request waits, so that the pool can finish connecting to a distant server.
        .acquire_timeout(CONNECT_TIMEOUT)
        .max_lifetime(LIFETIME)
        .after_connect(|connection, _| Box::pin(check(connection)))
        // By default, sqlx checks each connection before and after each use, without a time limit.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < CHECK_AFTER || check(connection).await.is_ok()) })
        })
        .after_release(|connection, _| Box::pin(async move { Ok(check(connection).await.is_ok()) }))
        .connect_lazy_with(options)
}

/// Brings the schema up to date, without a statement timeout, because instances that start together wait for the first.
pub async fn migrate(config: &Config) -> Result<(), MigrateError> {
    // A migration that waits for a lock on a table blocks all visits. So it gives up quickly and is retried.
    let url = config.migration_database_url.as_ref().unwrap_or(&config.database_url);
    let options = options(url).options([("lock_timeout", "200ms"), ("statement_timeout", "0")]);
    let connect = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options));
    let mut connection = connect.await.map_err(|_| silent())??;
    // Without a limit, a server that has stopped responding would block this forever.
    let migrate = tokio::time::timeout(Duration::from_secs(15 * 60), MIGRATIONS.run(&mut connection));
    migrate.await.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    Ok(connection.close().await?)
}

/// Calls [`migrate`] until the database can be reached. Fails if the schema doesn't match this build's migrations.
pub async fn migrate_when_reachable(config: &Config) -> Result<(), MigrateError> {
    let mut attempts = 0_u64;
    while let Err(error) = migrate(config).await {
        if !is_temporary(&error) {
            return Err(error);
        }
        attempts += 1;
        // Logging every attempt would flood the log during a long outage.
        if attempts.is_power_of_two() {
            tracing::warn!(%error, attempts, "could not migrate the database; trying again");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    tracing::info!("the database schema is up to date");
    Ok(())
}

/// Returns `false` if the migrations differ, or if PostgreSQL rejects the SQL itself (SQLSTATE class 42).
fn is_temporary(error: &MigrateError) -> bool {
    use MigrateError::{Execute, ExecuteMigration};
    let (Execute(error) | ExecuteMigration(error, _)) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_none_or(|code| !code.starts_with("42"))
}

/// Returns the error for a server that neither accepts nor refuses a connection.
pub(crate) fn silent() -> sqlx::Error {
    let problem = format!(
        "the server did not respond within {CONNECT_TIMEOUT:?}; if its host has several addresses, only the first is tried"
    );
    std::io::Error::new(ErrorKind::TimedOut, problem).into()
}

/// Returns how to connect to this database.
pub(crate) fn options(url: &DatabaseUrl) -> PgConnectOptions {
    // PgBouncer refuses connections that set `extra_float_digits`, which sqlx does by default.
    url.0.clone().application_name(env!("CARGO_PKG_NAME")).extra_float_digits(None)
}
