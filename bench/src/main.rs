//! `cargo bench-visits`: how many visits a second the app answers, beside its peers and beside PostgreSQL itself.
//!
//! One command, no configuration. It starts a PostgreSQL of its own, at its defaults, the app in release mode, and
//! whichever peers this machine can run; sends everyone the same load in turn, round after round; and checks every answer.
//!
//! - [`args`] says what can be measured; [`run`](mod@run) does it in order; [`extra`] holds what is not in the
//!   five minutes.
//! - [`contender`] builds, starts and fills whoever is measured; [`database`] is what they keep their sessions in.
//! - [`load`] asks and checks; [`measure`] looks at everything else meanwhile; [`account`] counts what PostgreSQL does.
//! - [`report`] makes medians, ratios, tables and charts of it.

#![forbid(unsafe_code)]

mod account;
mod args;
mod contender;
mod database;
mod extra;
mod load;
mod machine;
mod measure;
mod relay;
mod report;
mod run;
mod usage;

use std::{env, process::ExitCode};

use args::Plan;

fn main() -> ExitCode {
    match Plan::from_args(env::args().skip(1)) {
        Ok(None) => {
            print!("{}", args::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Some(plan)) => match run::run(&plan) {
            Ok(true) => ExitCode::SUCCESS,
            // Said loudly in the report.
            Ok(false) => ExitCode::FAILURE,
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("cargo bench-visits: {error:#}");
    ExitCode::FAILURE
}
