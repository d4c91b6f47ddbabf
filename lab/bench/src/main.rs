//! `cargo dev lab bench` measures how many visits per second the app serves, compared with its peers.
//!
//! It measures all contenders in turn under the same load, round after round, and checks each response.
//!
//! - [`args`]: what can be measured. [`run`](mod@run): the order in which it happens.
//! - [`contender`]: how each contender is built and started. [`database`]: the PostgreSQL that they use.
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

/// The load is sent from as many threads as there are processors.
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
