//! Listens, serves, and stops: without losing a request that a load balancer has sent.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use actix_web::{HttpServer, dev::ServerHandle, rt, web::Data};
use anyhow::Context;
use sqlx::migrate::MigrateError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Config, Dependencies, app, database, session::sweep};

/// Between SIGTERM and the closing of the listener: time for a load balancer to see that `/health/ready` fails.
const LINGER: Duration = Duration::from_secs(2);

/// For the requests still under way when the listener is closed.
const GRACE_SECONDS: u64 = 5;

/// Between two attempts to migrate a database that is away.
const RETRY: Duration = Duration::from_millis(500);

/// Whether the application can serve pages: false before the schema is up to date and from the moment it is told to stop.
#[derive(Debug, Default)]
pub struct Readiness {
    migrated: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Whether pages can be served, as far as this process knows.
    pub fn is_ready(&self) -> bool {
        self.migrated.load(Ordering::Relaxed) && !self.is_stopping()
    }

    /// Whether the process has been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Says that the schema is up to date.
    pub fn set_migrated(&self) {
        self.migrated.store(true, Ordering::Relaxed);
    }
}

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

    let server = HttpServer::new(move || app(&dependencies))
        .disable_signals()
        .shutdown_timeout(GRACE_SECONDS)
        .bind(config.bind_address)
        .with_context(|| format!("BIND_ADDRESS: {} can't be listened on", config.bind_address))?;
    announce(&server.addrs());
    let server = server.run();
    rt::spawn(stop_on_signal(server.handle(), readiness.clone())?);

    let stop = CancellationToken::new();
    let background =
        rt::spawn(migrate_then_sweep(config, pool.clone(), readiness, server.handle(), stop.clone()));
    server.await?;
    stop.cancel();
    let outcome = background.await?;
    pool.close().await;
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
    pool: Data<sqlx::PgPool>,
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
    sweep::run(pool.get_ref().clone(), config.session_max_age, stop).await;
    Ok(())
}

async fn migrate(config: &Config) -> Result<(), MigrateError> {
    loop {
        match database::migrate(config).await {
            Err(error @ (MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))) => {
                tracing::warn!(%error, "can't migrate the database yet; trying again");
                tokio::time::sleep(RETRY).await;
            }
            Ok(()) => {
                tracing::info!("the database's schema is up to date");
                return Ok(());
            }
            mismatch => return mismatch,
        }
    }
}

fn stop_on_signal(
    server: ServerHandle,
    readiness: Data<Readiness>,
) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let lingers = first_of(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping");
        readiness.stopping.store(true, Ordering::Relaxed);
        let stop = async {
            if lingers {
                tokio::time::sleep(LINGER).await;
            }
            server.stop(true).await;
        };
        tokio::select! {
            () = stop => {}
            _ = first_of(&mut terminate, &mut interrupt) => std::process::exit(130),
        }
    })
}

/// Whether the signal was SIGTERM.
async fn first_of(terminate: &mut Signal, interrupt: &mut Signal) -> bool {
    tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => false,
    }
}
