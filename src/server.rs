//! Listens, serves, and stops: without losing a request that a load balancer has sent.

pub mod connections;
mod stop;

use std::{net::SocketAddr, time::Duration};

use actix_web::{HttpServer, dev::ServerHandle, rt, web::Data};
use anyhow::Context;
use sqlx::{PgPool, migrate::MigrateError};
use tokio_util::sync::CancellationToken;

use crate::{Config, Dependencies, app, database, session::sweep};
use connections::Connections;
pub use stop::Readiness;

/// For the head of a connection's first request; then it is answered 408.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the common load balancers keep an idle connection (60 s): they are to close it, not we, who might do so
/// just when they send a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections at once, over all workers. Each takes two file descriptors ([`connections`]), and up to 128 KiB while its
/// head arrives: 256 MiB, if all of them mean ill.
const MAX_CONNECTIONS: usize = 2_048;

/// Between two attempts to migrate a database that is away.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// For the connections to the database to close: each is sent a word of farewell, which may not get through.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until a signal: SIGTERM lingers for a load balancer's sake, SIGINT (Ctrl-C) does not, and a second one of
/// either ends the process at once.
///
/// # Errors
/// The address can't be listened on, the session's secret can't be used, or the database has a schema that is not this
/// program's.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tracing::info!(?config, "starting");
    let pool = database::pool(&config);
    let dependencies = Dependencies::new(config, pool)?;
    let config = dependencies.config.clone();
    let readiness = dependencies.readiness.clone();
    let pool = dependencies.pool.clone();

    let connections = Connections::default();
    let watched = connections.clone();
    let workers = config.workers;
    let server = HttpServer::new(move || app(&dependencies))
        .on_connect(move |socket, data| watched.watch(socket, data))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .workers(workers)
        .max_connections(MAX_CONNECTIONS.div_ceil(workers))
        .disable_signals()
        .shutdown_timeout(stop::GRACE.as_secs())
        .bind(config.bind_address)
        .with_context(|| format!("BIND_ADDRESS: {} can't be listened on", config.bind_address))?;
    announce(&server.addrs());
    let server = server.run();
    rt::spawn(stop::on_signal(server.handle(), readiness.clone())?);
    let watch = rt::spawn(connections.close_idle(KEEP_ALIVE + HEAD_TIMEOUT));

    let stop = CancellationToken::new();
    let background =
        rt::spawn(migrate_then_sweep(config, pool.clone(), readiness, server.handle(), stop.clone()));
    server.await?;
    watch.abort();
    stop.cancel();
    let outcome = background.await?;
    if tokio::time::timeout(CLOSE_TIMEOUT, pool.close()).await.is_err() {
        tracing::warn!("the database does not let go of its connections");
    }
    tracing::info!("stopped");
    outcome
}

fn announce(addresses: &[SocketAddr]) {
    for address in addresses {
        tracing::info!("listening on http://{address}");
    }
}

/// The database may come later than the application: until it does, pages answer 503.
async fn migrate_then_sweep(
    config: Data<Config>,
    pool: Data<PgPool>,
    readiness: Data<Readiness>,
    server: ServerHandle,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    match stop.run_until_cancelled(migrate(&config)).await {
        None => return Ok(()),
        Some(Ok(())) => readiness.set_migrated(),
        Some(Err(error)) => {
            server.stop(false).await;
            return Err(error).context("the database's schema is not this program's");
        }
    }
    sweep::run(pool.get_ref().clone(), config.session_max_age, sweep::INTERVAL, stop).await;
    Ok(())
}

async fn migrate(config: &Config) -> Result<(), MigrateError> {
    let mut attempts = 0_u64;
    loop {
        attempts += 1;
        match database::migrate(config).await {
            Err(error @ (MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))) => {
                // Twice a second would fill the log of a long outage.
                if attempts.is_power_of_two() {
                    tracing::warn!(%error, attempts, "can't migrate the database yet; trying again");
                }
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            Ok(()) => {
                tracing::info!("the database's schema is up to date");
                return Ok(());
            }
            mismatch => return mismatch,
        }
    }
}
