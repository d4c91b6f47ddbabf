//! The program: `actix-postgres-sessions` serves, `actix-postgres-sessions healthcheck` asks one that serves whether it
//! is ready.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use actix_postgres_sessions::{Config, pages::health, server, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actix-postgres-sessions: {error:#}");
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
        Some("healthcheck") => health::check(config.bind_address).await,
        Some(_) => anyhow::bail!("takes no argument, or `healthcheck`"),
    }
}
