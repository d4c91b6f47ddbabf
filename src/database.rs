//! The pool of connections, and the schema.

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::config::Config;

/// The schema, from `migrations/`, compiled into the program.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a request waits for a connection before it is answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection idle for so long may have been cut by a firewall, and is tried before it is used.
const PING_AFTER: Duration = Duration::from_secs(30);

/// A pool that connects when it is first used, so that the application starts without its database.
pub fn pool(config: &Config) -> PgPool {
    PgPoolOptions::new()
        .max_connections(config.database_max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // By default every acquire pings, which doubles the round trips of a visit.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < PING_AFTER || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(request_options(config))
}

/// Brings the schema up to date, on a connection of its own: a second instance that starts at the same time waits on
/// the migrator's lock, for longer than a request's statement may take.
///
/// # Errors
/// The database is away, or a migration that has been applied is not the one compiled in.
pub async fn migrate(config: &Config) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(&options(config)).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn options(config: &Config) -> PgConnectOptions {
    config.database_url.clone().application_name(env!("CARGO_PKG_NAME"))
}

fn request_options(config: &Config) -> PgConnectOptions {
    options(config).options([("statement_timeout", "2s"), ("lock_timeout", "2s")])
}
