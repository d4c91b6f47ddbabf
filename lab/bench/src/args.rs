//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum, value_parser};

use crate::load::Scenario;

/// Measures how many visits per second the app and its peers serve.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "cargo dev lab bench")]
pub struct Plan {
    /// The visitors to measure
    #[arg(value_enum, default_values_t = [Scenario::Returning, Scenario::New, Scenario::Rare])]
    pub scenarios: Vec<Scenario>,
    /// Takes about a minute: half a second each with 1 and 64 connections, in one round, or seven with --compare
    #[arg(long)]
    quick: bool,
    /// Measures only these contenders
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Name>,
    /// Measures a second build of the app in the same rounds, by default without peers
    #[arg(long, value_name = "PROGRAM")]
    pub compare: Option<PathBuf>,
    /// Fails if the app's rate is below this share of the other build's, such as 0.9
    #[arg(long, requires = "compare", value_name = "RATIO")]
    pub at_least: Option<f64>,
    /// Sets an environment variable for the app, but not for the build of --compare; may be repeated
    #[arg(long, value_parser = variable, value_name = "NAME=VALUE")]
    pub env: Vec<(String, String)>,
    /// [default: 1,16,64,256]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS", value_parser = value_parser!(u16).range(1..=256))]
    connections: Vec<u16>,
    /// [default: 3]
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Length of a measurement [default: 2 at 64 connections, otherwise 1]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    window: Option<Duration>,
    /// Number of sessions in each table
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER")]
    pub sessions: usize,
    /// Also prints what each SQL statement costs PostgreSQL
    #[arg(long)]
    pub statements: bool,
}

/// A contender on the command line.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Name {
    App,
    /// Express with connect-pg-simple, as one process and as a cluster
    Express,
    /// axum with tower-sessions in PostgreSQL, at its defaults and tuned
    Axum,
    /// Actix with actix-session and a Redis server that syncs each write
    Redis,
    /// The app with its sessions in Redis, in memory and in cookies
    Stores,
    /// The two statements of a visit behind plain Actix, without a session layer
    Bound,
}

impl Plan {
    /// Returns whether this contender takes part.
    pub fn wants(&self, name: Name) -> bool {
        match self.only.as_slice() {
            [] => self.compare.is_none() || name == Name::App,
            only => only.contains(&name),
        }
    }

    pub fn connections(&self) -> Vec<u16> {
        match self.connections.as_slice() {
            [] if self.quick => vec![1, 64],
            [] => vec![1, 16, 64, 256],
            given => given.to_vec(),
        }
    }

    pub fn rounds(&self) -> u16 {
        self.rounds.unwrap_or(match (self.quick, &self.compare) {
            (true, Some(_)) => 7,
            (true, None) => 1,
            (false, _) => 3,
        })
    }

    /// Returns for how long responses are counted.
    pub fn window(&self, connections: u16) -> Duration {
        self.window.unwrap_or(Duration::from_millis(match (self.quick, connections) {
            (true, _) => 500,
            (false, 64) => 2000,
            (false, _) => 1000,
        }))
    }

    /// Returns whether the results may be committed. They may if the run had no options, except for more rounds.
    pub fn is_complete(&self) -> bool {
        self.rounds() >= 3 && *self == Plan { rounds: self.rounds, ..Plan::parse_from([""]) }
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (0.3..=60.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or("must be 0.3 to 60")
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_run_replaces_the_committed_results() {
        let plan = |line: &str| Plan::try_parse_from(["bench"].into_iter().chain(line.split(' '))).unwrap();

        assert!(plan("--rounds 5").is_complete() && plan("returning new rare").is_complete());
        for line in ["--quick", "new", "--rounds 1", "--only app", "--compare x", "--env A=b"] {
            assert!(!plan(line).is_complete(), "{line}");
        }
    }
}
