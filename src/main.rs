//! The program: runs the server, or checks whether a running instance is ready (`healthcheck`).

#![forbid(unsafe_code)]

use std::process::ExitCode;

use app::{Config, log, pages::health, server};

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
    match std::env::args().nth(1).as_deref() {
        None => {
            let config = Config::from_env()?;
            let _log = log::init(&config);
            server::run(config).await
        }
        Some("healthcheck") => health::check(Config::from_env()?.bind_address),
        Some(_) => anyhow::bail!("unknown argument; the only one is `healthcheck`"),
    }
}
