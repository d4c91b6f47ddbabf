//! `cargo dev`: the app and its database in one command, without any setting up.

#![forbid(unsafe_code)]

mod cli;

use std::{env, process::ExitCode};

use anyhow::Result;

const USAGE: &str = "\
cargo dev                    run the app, with a private PostgreSQL kept in .postgres/
cargo dev prepare            renew .sqlx, against which builds check the queries
cargo dev prepare --check    only say whether .sqlx is fresh, by the exit code
cargo dev psql [arguments]   open a shell on the database of `cargo dev`
cargo dev screenshots        make the README's pictures anew, with Chromium
cargo dev fetch              download PostgreSQL, where none is installed
cargo dev help               show this
";

fn main() -> ExitCode {
    let arguments = env::args().skip(1).collect::<Vec<_>>();
    let words = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let outcome = match *words.as_slice() {
        [] => cli::run::run(),
        ["prepare"] => cli::prepare::renew(),
        ["prepare", "--check"] => cli::prepare::check(),
        ["psql", ref arguments @ ..] => cli::psql::psql(arguments),
        ["screenshots"] => cli::screenshots::make(),
        ["fetch"] => cli::fetch::fetch(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("unknown: cargo dev {}\n\n{USAGE}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    exit_code(outcome)
}

fn exit_code(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}
