//! `cargo dev`: runs the app with a private PostgreSQL server, and has other commands for developers.

#![forbid(unsafe_code)]

mod cli;

use std::env;

use anyhow::{Result, bail};

const USAGE: &[&str] = &[
    "cargo dev                       run the app, with a private PostgreSQL server in .postgres/",
    "cargo dev --watch               run the app; after each change, rebuild it and reload the page",
    "cargo dev psql [arguments]      open a shell on that database",
    "cargo dev prepare [--check]     update .sqlx, which builds use to check the SQL, or only verify it",
    "cargo dev browser [arguments]   run the browser tests, and pass the arguments to `cargo test`",
    "cargo dev lab [NAME]            run a long test, such as chaos; without a name, list them", // demo
    "cargo dev rename NAME           rename the app",
    "cargo dev without accounts      remove the accounts from the app", // accounts
    "cargo dev without demo          remove the pages about visits, and everything that explains them", // demo
    "cargo dev help                  show this",
];

fn main() -> Result<()> {
    let words = env::args().skip(1).collect::<Vec<_>>();
    let here = env::current_dir()?;
    env::set_current_dir(dev::project()?)?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => cli::run::run(false)?,
        ["--watch"] => cli::run::run(true)?,
        ["psql", ref arguments @ ..] => cli::psql(arguments, &here)?,
        ["prepare"] => cli::prepare(false)?,
        ["prepare", "--check"] => cli::prepare(true)?,
        ["browser", ref arguments @ ..] => cli::browser(arguments)?,
        ["lab", ref arguments @ ..] => cli::lab(arguments)?, // demo
        ["rename", name] => cli::rename::rename(name)?,
        ["without", part] => cli::without::take_out(part)?, // accounts, demo
        ["help" | "--help" | "-h"] => println!("{}", USAGE.join("\n")),
        _ => bail!("cargo dev {} is not a command. Usage:\n{}", words.join(" "), USAGE.join("\n")),
    }
    Ok(())
}
