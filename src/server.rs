//! Runs the HTTP server, and stops it without losing a request.

use std::{io, net::SocketAddr, sync::atomic::Ordering, time::Duration};

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpServer, dev::Server};
use anyhow::Context;
use socket2::{Domain, Socket, Type};
use tokio::signal::unix::{SignalKind, signal};

use crate::limits::{GRACE, HEAD_TIME, KEEP_ALIVE, LINGER, MAX_CONNECTIONS, RECEIVE_BUFFER};
use crate::{Config, Dependencies, Pages, app, database, metrics};
use crate::{readiness::Readiness, sweep::sweep_forever};

/// Starts listening. The server runs while it is awaited, and stops gracefully when `stop` completes.
pub fn start(
    dependencies: &Dependencies,
    routes: impl Fn(&mut ServiceConfig, &Pages) + Clone + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<(Server, SocketAddr)> {
    let (config, dependencies) = (dependencies.config.clone(), dependencies.clone());
    // Every connection inherits this small receive buffer. actix-http keeps the requests of a client that reads no
    // responses in memory. With the kernel's default buffer, they use 14 MiB per connection.
    let socket = Socket::new(Domain::for_address(config.bind_address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&config.bind_address.into())?;
    socket.listen(1024)?;
    let server = HttpServer::new(move || app::build(&dependencies, &routes))
        .workers(config.workers as usize)
        .max_connections(MAX_CONNECTIONS.div_ceil(config.workers as usize))
        .client_request_timeout(HEAD_TIME)
        .keep_alive(KEEP_ALIVE)
        .shutdown_signal(stop)
        .shutdown_timeout(GRACE.as_secs())
        .listen(socket.into())?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

/// Serves until SIGTERM or SIGINT (Ctrl-C). A second signal ends the process immediately.
pub async fn run(config: Config) -> anyhow::Result<()> {
    tracing::info!(?config, "starting");
    // On a developer's machine, a new secret is normal.
    if let Some(file) = config.session_secret.created.as_ref().filter(|_| config.cookie_secure) {
        tracing::warn!(?file, "created a new session secret, so existing cookies are invalid");
    }
    let dependencies = Dependencies::new(config.clone(), database::pool(&config));
    if let Some(address) = config.metrics_address {
        metrics::serve(address, dependencies.pool.clone(), dependencies.readiness.clone())
            .with_context(|| format!("METRICS_ADDRESS: can't listen on {address}"))?;
        tracing::info!("metrics are at http://{address}/metrics");
    }
    let (mut server, address) =
        start(&dependencies, app::routes, stop_signal(dependencies.readiness.clone()))
            .with_context(|| format!("BIND_ADDRESS: can't listen on {}", config.bind_address))?;
    tracing::info!("listening on http://{address}");

    tokio::select! {
        stopped = &mut server => stopped?,
        failed = migrate_then_sweep(&dependencies) => failed?,
    }
    if tokio::time::timeout(Duration::from_secs(1), dependencies.pool.close()).await.is_err() {
        tracing::warn!("the database connections did not close in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Completes immediately after SIGINT. After SIGTERM, waits for [`LINGER`] first, while the app serves but isn't ready.
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

/// Migrates the database, and then deletes expired rows forever. Returns only if the schema doesn't match.
async fn migrate_then_sweep(dependencies: &Dependencies) -> anyhow::Result<()> {
    let migrated = database::migrate_when_reachable(&dependencies.config).await;
    migrated.context("the database schema doesn't match this build's migrations")?;
    dependencies.readiness.migrated.store(true, Ordering::Relaxed);
    sweep_forever(&dependencies.config, &dependencies.pool).await
}
