//! Runs the HTTP server, and stops it without losing a request.

mod stop;

use std::{sync::atomic::Ordering, time::Duration};

use actix_web::{rt, web::Data};
use anyhow::Context;
use http_server::{HttpServer, Limits, RequestLimits, Stopper};
use sqlx::PgPool;

use crate::{Config, Dependencies, app, database, metrics, sweep};

pub use stop::Readiness;

/// Limits on connections.
const LIMITS: Limits = Limits {
    // Up to 128 KiB of memory each, while its head arrives.
    connections: 2_048,
    head: Duration::from_secs(5),
    // Load balancers must close it first, usually after 60 s. Otherwise, they might send the next request just as the app
    // closes it.
    keep_alive: Duration::from_secs(75),
    stall: Duration::from_secs(10),
    grace: stop::GRACE,
};

/// How large a request may be. Before that, actix-http enforces its own, higher limits.
pub(crate) const REQUEST_LIMITS: RequestLimits = RequestLimits {
    // RFC 9110 recommends at least 8,000.
    uri: 8 * 1024,
    // A browser behind two proxies sends about thirty.
    headers: 64,
    // Browsers accept cookies of up to 4 KiB each.
    head: 32 * 1024,
    body: Duration::from_secs(5),
};

/// Maximum length of a body, in bytes. Plenty for forms; raise it for uploads.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// Serves until SIGTERM or SIGINT (Ctrl-C). A second signal ends the process at once.
///
/// # Errors
/// Returns an error if the address is taken, or if the database schema doesn't match this build's migrations.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tracing::info!(?config, "starting");
    let dependencies = Dependencies::new(config.clone(), database::pool(&config));
    let config = dependencies.config.clone();
    if let Some(address) = config.metrics_address {
        let address = metrics::serve(address, &dependencies)
            .with_context(|| format!("METRICS_ADDRESS: can't listen on {address}"))?;
        tracing::info!("metrics are at http://{address}/metrics");
    }
    let readiness = dependencies.readiness.clone();
    let pool = dependencies.pool.clone();

    let app = move || app::build(&dependencies, &app::routes);
    let HttpServer { server, address, stopper } =
        HttpServer::bind(config.bind_address, config.workers, LIMITS, app)
            .with_context(|| format!("BIND_ADDRESS: can't listen on {}", config.bind_address))?;
    let stopping = readiness.clone();
    let before = move || stopping.stopping.store(true, Ordering::Relaxed);
    rt::spawn(stopper.clone().stop_on_signal(stop::LINGER, before));
    tracing::info!("listening on http://{address}");
    let background = rt::spawn(migrate_then_sweep(config, pool.clone(), readiness.clone(), stopper));

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
    server: Stopper,
) -> anyhow::Result<()> {
    let mut attempts = 0_u64;
    while let Err(error) = database::migrate(&config).await {
        if !database::is_temporary(&error) {
            server.abort().await;
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
