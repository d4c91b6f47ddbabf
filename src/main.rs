//! The program. Without a command, it serves the app.

#![forbid(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    let Err(error) = app::cli::run().await else { return ExitCode::SUCCESS };
    eprintln!("{}: {error:#}", env!("CARGO_PKG_NAME"));
    ExitCode::FAILURE
}
