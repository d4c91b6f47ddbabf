//! Runs the HTTP server, and stops it without losing a request.

mod stop;

use std::{sync::atomic::Ordering, time::Duration};

use actix_web::{HttpServer, dev::ServerHandle, rt, web::Data};
use anyhow::Context;
use idle_connections::Connections;
use sqlx::{PgPool, migrate::MigrateError};

use crate::{Config, Dependencies, app, database, sweep};

pub use stop::Readiness;

/// Time limit for the head of a connection's first request. After that, the response is 408.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which an idle connection is closed. Load balancers must close it first, usually after 60 s. Otherwise,
/// they might send the next request just as the app closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Maximum number of connections across all workers. Each takes two file descriptors ([`idle_connections`]), and up to
/// 128 KiB of memory while its head arrives.
const MAX_CONNECTIONS: usize = 2_048;

/// Serves until SIGTERM or SIGINT (Ctrl-C). A second signal ends the process at once.
///
/// # Errors
/// Returns an error if the address is taken, or if the database schema doesn't match this build's migrations.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tracing::info!(?config, "starting");
    let pool = database::pool(&config);
    let dependencies = Dependencies::new(config, pool);
    let config = dependencies.config.clone();
    let readiness = dependencies.readiness.clone();
    let pool = dependencies.pool.clone();

    let connections = Connections::default();
    let watched = connections.clone();
    let workers = config.workers;
    let server = HttpServer::new(move || app::build(&dependencies, &app::routes))
        .on_connect(move |socket, data| watched.watch(socket, data))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .workers(workers)
        .max_connections(MAX_CONNECTIONS.div_ceil(workers))
        .disable_signals()
        .shutdown_timeout(stop::GRACE.as_secs())
        .bind(config.bind_address)
        .with_context(|| format!("BIND_ADDRESS: can't listen on {}", config.bind_address))?;
    let addresses = server.addrs();
    let server = server.run();
    rt::spawn(stop::on_signal(server.handle(), readiness.clone()));
    for address in addresses {
        tracing::info!("listening on http://{address}");
    }
    rt::spawn(connections.close_idle(KEEP_ALIVE + HEAD_TIMEOUT));
    let background = rt::spawn(migrate_then_sweep(config, pool.clone(), readiness.clone(), server.handle()));

    server.await?;
    if readiness.is_stopping() {
        background.abort();
    } else {
        background.await??;
    }
    if tokio::time::timeout(Duration::from_secs(1), pool.close()).await.is_err() {
        tracing::warn!("the database connections did not close in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Waits for the database. Until it is available, pages answer 503. Stops the server if the schema doesn't match.
async fn migrate_then_sweep(
    config: Data<Config>,
    pool: Data<PgPool>,
    readiness: Data<Readiness>,
    server: ServerHandle,
) -> anyhow::Result<()> {
    let mut attempts = 0_u64;
    while let Err(error) = database::migrate(&config).await {
        if !matches!(error, MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) {
            server.stop(false).await;
            return Err(error).context("the database schema doesn't match this build's migrations");
        }
        attempts += 1;
        // Not on every attempt, because that would flood the log during a long outage.
        if attempts.is_power_of_two() {
            tracing::warn!(%error, attempts, "could not migrate the database; trying again");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    tracing::info!("the database schema is up to date");
    readiness.migrated.store(true, Ordering::Relaxed);
    sweep::run(pool.get_ref().clone(), config.session_max_age, sweep::INTERVAL).await;
    Ok(())
}
