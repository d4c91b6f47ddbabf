//! The program. Without a command, it serves the app.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use app::{Config, cli::Command, log, server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    let outcome = match Command::of_this_process() {
        Command::Serve => serve().await,
        command => command.run().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", env!("CARGO_PKG_NAME"));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let _log = log::init(&config);
    server::run(config).await
}
