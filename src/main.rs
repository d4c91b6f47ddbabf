//! The program: runs the server, or checks whether a running instance is ready (`healthcheck`).

#![forbid(unsafe_code)]

use std::process::ExitCode;

use app::{Config, pages::health, server, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            nonblocking_log::print_error(format!("{}: {error:#}", env!("CARGO_PKG_NAME")));
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            let config = Config::from_env()?;
            let _log = telemetry::init(&config);
            server::run(config).await
        }
        Some("healthcheck") => health::check(Config::from_env()?.bind_address),
        Some(_) => anyhow::bail!("unknown argument; the only one is `healthcheck`"),
    }
}
