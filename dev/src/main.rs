//! `cargo dev`: runs the app with a private PostgreSQL, and other commands for developers.

#![forbid(unsafe_code)]

mod cli;

use std::{env, process::ExitCode};

const USAGE: &str = "\
cargo dev                       run the app, with a private PostgreSQL in .postgres/
cargo dev psql [arguments]      open a shell on that database
cargo dev prepare [--check]     update .sqlx, which builds check the SQL against, or only verify it
cargo dev browser [arguments]   run the browser tests, like `cargo test` with these arguments
cargo dev screenshots           take the README's screenshots
cargo dev rename NAME [TEXT]    give the app a name, and perhaps a description, of its own
cargo dev help                  show this
";

fn main() -> ExitCode {
    let arguments = env::args().skip(1).collect::<Vec<_>>();
    let words = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let outcome = match *words.as_slice() {
        [] => cli::run::run(),
        ["psql", ref arguments @ ..] => cli::psql(arguments),
        ["prepare"] => cli::prepare::renew(),
        ["prepare", "--check"] => cli::prepare::check(),
        ["browser", ref arguments @ ..] => cli::browser::test(arguments),
        ["screenshots"] => cli::browser::screenshots(),
        ["rename", name] => cli::rename::rename(name, None),
        ["rename", name, description] => cli::rename::rename(name, Some(description)),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("unknown command: cargo dev {}\n\n{USAGE}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    if let Err(error) = outcome {
        eprintln!("cargo dev: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
