//! The program: serves, or asks a running instance whether it is ready (`healthcheck`).

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
            eprintln!("{}: {error:#}", env!("CARGO_PKG_NAME"));
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    match std::env::args().nth(1).as_deref() {
        None => {
            telemetry::init(&config);
            server::run(config).await
        }
        Some("healthcheck") => health::check(config.bind_address),
        Some(_) => anyhow::bail!("the only argument is `healthcheck`"),
    }
}
