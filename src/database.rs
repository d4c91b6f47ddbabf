//! The pool of connections, and the schema.

use std::{io::ErrorKind, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::config::Config;

/// The schema, from `migrations/`, compiled into the program.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a request waits for a connection, and then for a statement or a lock, before it is answered 503. Below
/// [`crate::middleware::deadline::DEADLINE`], so that it is PostgreSQL that ends a slow statement, and not we who
/// abandon it.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A connection idle for so long may have been cut by a firewall or a restart, and is tried before it is used.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(1);

/// How long a connection has to answer when it is tried. Of one whose packets get lost we would hear nothing for a
/// quarter of an hour.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the migrator waits for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A pool that connects when it is first used, so that the application starts without its database.
pub fn pool(config: &Config) -> PgPool {
    PgPoolOptions::new()
        .max_connections(config.database_max_connections)
        .acquire_timeout(STATEMENT_TIMEOUT)
        // By default every acquire pings, without a time limit, which also doubles the round trips of a visit.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < PING_AFTER || answers(connection).await) })
        })
        // sqlx pings what comes back, again without a limit: a connection that does not answer would be missing in the
        // pool until TCP gives it up. A request cut off by its deadline leaves such a one.
        .after_release(|connection, _| Box::pin(async move { Ok(answers(connection).await) }))
        .connect_lazy_with(request_options(config))
}

/// Whether a connection still works, asked of the server.
pub(crate) async fn answers(connection: &mut PgConnection) -> bool {
    matches!(tokio::time::timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

/// Brings the schema up to date, on a connection of its own: a second instance that starts at the same time waits on
/// the migrator's lock, for longer than a request's statement may take.
///
/// # Errors
/// The database is away, or a migration that has been applied is not the one compiled in.
pub async fn migrate(config: &Config) -> Result<(), MigrateError> {
    let options = options(config);
    let connect = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options));
    let mut connection = connect.await.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn options(config: &Config) -> PgConnectOptions {
    config.database_url.clone().application_name(env!("CARGO_PKG_NAME"))
}

fn request_options(config: &Config) -> PgConnectOptions {
    let timeout = format!("{}ms", STATEMENT_TIMEOUT.as_millis());
    options(config).options([("statement_timeout", &timeout), ("lock_timeout", &timeout)])
}
