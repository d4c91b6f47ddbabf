//! `cargo dev lab bench` measures how many visits per second the app serves, compared with its peers.
//!
//! It measures all contenders in turn under the same load, round after round, and checks each response.
//!
//! - [`args`]: what can be measured. [`run`](mod@run): the order of the measurements.
//! - [`contender`]: how each contender is built and started. [`database`]: the PostgreSQL server that they use.
//! - [`load`]: the requests and the checks. [`measure`]: one measurement. [`usage`]: CPU time and memory.
//! - [`report`]: medians, ratios, tables, charts.

#![forbid(unsafe_code)]

mod args;
mod contender;
mod database;
mod load;
mod measure;
mod report;
mod run;
mod usage;

use std::process::ExitCode;

use clap::Parser;

/// The load comes from one thread per processor.
#[tokio::main]
async fn main() -> ExitCode {
    match run::run(&args::Plan::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        // The report has already said why.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo dev lab bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
