//! Runs the HTTP server, and stops it without losing a request.

use std::net::{SocketAddr, TcpListener};
use std::{io, sync::atomic::Ordering, time::Duration};

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpServer, dev::Server, rt};
use anyhow::Context;
use socket2::{Domain, Socket, Type};
use sqlx::migrate::MigrateError;
use tokio::signal::unix::{SignalKind, signal};

use crate::limits::{GRACE, HEAD_TIME, KEEP_ALIVE, LINGER, MAX_CONNECTIONS, RECEIVE_BUFFER};
use crate::{
    Config, Dependencies, Pages, app, database, metrics, readiness::Readiness, sweep::sweep_forever,
};

/// Starts listening. The server runs while it is awaited, and stops gracefully when `stop` completes.
///
/// # Errors
/// Returns an error if the address can't be used.
pub fn start(
    dependencies: &Dependencies,
    routes: impl Fn(&mut ServiceConfig, &Pages) + Clone + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<(Server, SocketAddr)> {
    let config = dependencies.config.clone();
    let dependencies = dependencies.clone();
    let server = HttpServer::new(move || app::build(&dependencies, &routes))
        .workers(config.workers)
        .max_connections(MAX_CONNECTIONS.div_ceil(config.workers))
        .client_request_timeout(HEAD_TIME)
        .keep_alive(KEEP_ALIVE)
        .shutdown_signal(stop)
        .shutdown_timeout(GRACE.as_secs())
        .listen(listener(config.bind_address)?)?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

/// Listens with a small receive buffer, which every connection inherits. If a client sends requests and reads no
/// responses, actix-http keeps the requests in memory. With the kernel's default buffer, that is 14 MiB per connection.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Serves until SIGTERM or SIGINT (Ctrl-C). A second signal ends the process immediately.
///
/// # Errors
/// Returns an error if the address is taken, or if the database schema doesn't match this build's migrations.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tracing::info!(?config, "starting");
    // On a developer's machine, a new secret is normal.
    if let Some(file) = &config.session_secret.created
        && config.cookie_secure
    {
        tracing::warn!(?file, "created a new session secret, so existing cookies are invalid");
    }
    let dependencies = Dependencies::new(config.clone(), database::pool(&config));
    if let Some(address) = config.metrics_address {
        metrics::serve(address, dependencies.pool.clone(), dependencies.readiness.clone())
            .with_context(|| format!("METRICS_ADDRESS: can't listen on {address}"))?;
        tracing::info!("metrics are at http://{address}/metrics");
    }
    let (server, address) = start(&dependencies, app::routes, stop_signal(dependencies.readiness.clone()))
        .with_context(|| format!("BIND_ADDRESS: can't listen on {}", config.bind_address))?;
    tracing::info!("listening on http://{address}");

    let handle = server.handle();
    let mut server = rt::spawn(server);
    tokio::select! {
        stopped = &mut server => stopped??,
        error = migrate_then_sweep(&dependencies) => {
            handle.stop(false).await;
            return Err(error).context("the database schema doesn't match this build's migrations");
        }
    }
    if tokio::time::timeout(Duration::from_secs(1), dependencies.pool.close()).await.is_err() {
        tracing::warn!("the database connections did not close in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Completes immediately after SIGINT. After SIGTERM, waits for [`LINGER`] first. While it waits, the app still serves
/// requests, but isn't ready.
fn stop_signal(readiness: Data<Readiness>) -> impl Future<Output = ()> + Send {
    // Registered before the first await, because an unhandled signal would kill the process.
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    async move {
        let linger = tokio::select! {
            _ = terminate.recv() => LINGER,
            _ = interrupt.recv() => Duration::ZERO,
        };
        tracing::info!("stopping");
        readiness.stopping.store(true, Ordering::Relaxed);
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            std::process::exit(130); // The status that shells report after Ctrl-C.
        });
        tokio::time::sleep(linger).await;
    }
}

/// Migrates the database, and then deletes expired rows in the background. Until the schema is up to date, pages fail
/// with 503. Returns only if the schema doesn't match.
async fn migrate_then_sweep(dependencies: &Dependencies) -> MigrateError {
    if let Err(error) = database::migrate_when_reachable(&dependencies.config).await {
        return error;
    }
    dependencies.readiness.migrated.store(true, Ordering::Relaxed);
    sweep_forever(&dependencies.config, &dependencies.pool).await
}
