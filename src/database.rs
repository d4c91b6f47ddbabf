//! The connection pool and the schema.

use std::{io::ErrorKind, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::config::Config;

/// The schema: `migrations/`, compiled into the program.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Time limit for a connection from the pool, and for each statement. It is shorter than
/// [`crate::middleware::deadline::PAGE_DEADLINE`], so that PostgreSQL itself ends a slow statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A connection that was idle for longer is checked before use: a firewall or a restart may have closed it.
const CHECK_AFTER: Duration = Duration::from_secs(1);

/// Time limit of that check. If packets are lost, TCP alone would wait for about 15 minutes.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

/// Creates the pool. It connects at the first use, so the app can start before its database.
pub fn pool(config: &Config) -> PgPool {
    let timeout = format!("{}ms", STATEMENT_TIMEOUT.as_millis());
    // No promise depends on these: they end what an abandoned request has left behind.
    let options = options(config).options([("statement_timeout", &timeout), ("lock_timeout", &timeout)]);
    PgPoolOptions::new()
        .max_connections(config.database_max_connections)
        .acquire_timeout(STATEMENT_TIMEOUT)
        // sqlx would check each connection before and after each use, without a time limit.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < CHECK_AFTER || is_alive(connection).await) })
        })
        .after_release(|connection, _| Box::pin(async move { Ok(is_alive(connection).await) }))
        .connect_lazy_with(options)
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(tokio::time::timeout(CHECK_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

/// Brings the schema up to date. It uses a connection of its own, without the statement timeout: a second instance that
/// starts at the same time waits for the first.
///
/// # Errors
/// Returns an error if the database can't be reached, or if its schema doesn't match this build's migrations.
pub async fn migrate(config: &Config) -> Result<(), MigrateError> {
    let options = options(config);
    let connect = tokio::time::timeout(Duration::from_secs(2), PgConnection::connect_with(&options));
    let mut connection = connect.await.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn options(config: &Config) -> PgConnectOptions {
    config.database_url.0.clone().application_name(env!("CARGO_PKG_NAME"))
}
