//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};

use crate::{extra::Extra, load::Scenario};

/// Printed by `--help`.
pub const USAGE: &str = "\
cargo bench-visits [options] [what …]

What, by default `returning new`, about 5 minutes:
  returning    visitors with a cookie, each of whom must be shown their own count plus one
  new          visitors without
Not in the 5 minutes:
  sizes        returning visitors, with 1,000, 100,000 and 1,000,000 sessions in the table
  sweep        returning visitors, while 1,000,000 ended sessions are swept away
  growth       1,000,000 visits: what the tables have grown by
  assets       /static/app.css and /health/live, beside Actix without middleware
  cold-start   from the start of the program to the first page
  stalls       two minutes of visits, with checkpoints in them: the slowest answers

Options:
  --quick                  one round, half a second each, at 1 and 64 connections: about a minute
  --only NAMES             of app, log (the app with its log on), express, axum, redis, pgbench
  --connections NUMBERS    by default 1,16,64,256 (give it after --quick)
  --rounds NUMBER          by default 3
  --window SECONDS         how long answers are counted, by default 2 at 64 connections and 1 else
  --sessions NUMBER        in each table, by default 100000
  --app PATHS              builds of the app, in place of this one; two or more are held against the first
  --env NAME=VALUE         for the app; may be repeated
  --calm                   where other programs disturb, wait and measure again, up to 20 times;
                           goes with the 5 minutes, and makes them more
  --statements             tell what each statement of the app has cost PostgreSQL
";

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who comes, if anybody.
    pub scenarios: Vec<Scenario>,
    /// What else to look at.
    pub extras: Vec<Extra>,
    /// How many come at once.
    pub connections: Vec<usize>,
    /// How often all of this.
    pub rounds: usize,
    /// In place of the usual windows.
    pub window: Option<Duration>,
    /// In each table.
    pub sessions: usize,
    /// Who takes part; empty for all.
    pub only: Vec<String>,
    /// Builds of the app; empty for this one.
    pub apps: Vec<PathBuf>,
    /// For the app.
    pub environment: Vec<(String, String)>,
    /// Whether to wait for the machine's other programs.
    pub calm: bool,
    /// Whether to tell what statements cost.
    pub statements: bool,
    /// Whether this is the measurement whose results are committed.
    pub is_complete: bool,
}

const NAMES: [&str; 6] = ["app", "log", "express", "axum", "redis", "pgbench"];

impl Plan {
    /// Reads the arguments; `None` where help is asked for.
    pub fn from_args(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut plan = Plan { is_complete: true, ..Plan::default() };
        while let Some(argument) = arguments.next() {
            plan.is_complete &= argument == "--calm";
            let mut value = || arguments.next().with_context(|| format!("{argument} takes a value"));
            match argument.as_str() {
                "--help" | "-h" | "help" => return Ok(None),
                "--quick" => {
                    (plan.rounds, plan.window) = (1, Some(Duration::from_millis(500)));
                    plan.connections = vec![1, 64];
                }
                "--only" => plan.only = list(&value()?),
                "--connections" => plan.connections = numbers(&value()?)?,
                "--rounds" => plan.rounds = number(&value()?)?,
                "--window" => plan.window = Some(seconds(&value()?)?),
                "--sessions" => plan.sessions = number(&value()?)?,
                "--app" => plan.apps = list(&value()?).into_iter().map(PathBuf::from).collect(),
                "--env" => plan.environment.push(variable(&value()?)?),
                "--calm" => plan.calm = true,
                "--statements" => plan.statements = true,
                "returning" => plan.scenarios.push(Scenario::Returning),
                "new" => plan.scenarios.push(Scenario::New),
                word => match Extra::named(word) {
                    Some(extra) => plan.extras.push(extra),
                    None => bail!("unknown: {word} (see --help)"),
                },
            }
        }
        plan.settle()?;
        Ok(Some(plan))
    }

    fn settle(&mut self) -> Result<()> {
        if self.scenarios.is_empty() && self.extras.is_empty() {
            self.scenarios = vec![Scenario::Returning, Scenario::New];
        }
        if let Some(unknown) = self.only.iter().find(|name| !NAMES.contains(&name.as_str())) {
            bail!("--only takes {}; not {unknown}", NAMES.join(", "));
        }
        ensure!(self.rounds > 0 && !self.connections.is_empty(), "nothing to measure");
        ensure!(self.connections.iter().all(|n| (1..=256).contains(n)), "--connections takes 1 to 256");
        ensure!(self.rounds <= 100 && self.sessions <= 10_000_000, "this would take days");
        for app in &mut self.apps {
            *app = app.canonicalize().with_context(|| format!("no app at {}", app.display()))?;
        }
        Ok(())
    }

    /// Whether this contender takes part.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }

    /// How long answers are counted.
    pub fn window(&self, connections: usize) -> Duration {
        // The targets are set for 64.
        self.window.unwrap_or(Duration::from_secs(if connections == 64 { 2 } else { 1 }))
    }
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            scenarios: Vec::new(),
            extras: Vec::new(),
            connections: vec![1, 16, 64, 256],
            rounds: 3,
            window: None,
            sessions: 100_000,
            only: Vec::new(),
            apps: Vec::new(),
            environment: Vec::new(),
            calm: false,
            statements: false,
            is_complete: false,
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn numbers(text: &str) -> Result<Vec<usize>> {
    list(text).iter().map(|word| number(word)).collect()
}

fn number(text: &str) -> Result<usize> {
    text.replace('_', "").parse().with_context(|| format!("{text} is no number"))
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().with_context(|| format!("{text} is no number of seconds"))?;
    ensure!((0.1..=600.0).contains(&seconds), "--window takes 0.1 to 600 seconds");
    Ok(Duration::from_secs_f64(seconds))
}

fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').context("--env takes NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Option<Plan>> {
        Plan::from_args(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_the_command_as_it_is_or_with_calm_writes_the_committed_results() {
        assert!(plan("").unwrap().unwrap().is_complete);
        assert!(plan("--calm").unwrap().unwrap().is_complete);
        assert!(!plan("--calm --quick").unwrap().unwrap().is_complete);
        assert!(!plan("--quick").unwrap().unwrap().is_complete);
        assert!(!plan("returning new").unwrap().unwrap().is_complete);
    }

    #[test]
    fn options_and_scenarios_may_be_mixed() {
        let plan = plan("--quick --only app,pgbench --connections 64 returning").unwrap().unwrap();

        assert_eq!(plan.connections, [64]);
        assert_eq!(plan.scenarios, [Scenario::Returning]);
        assert!(plan.wants("pgbench") && !plan.wants("express"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["--only nobody", "--connections 0", "--rounds", "everything", "--window never"] {
            assert!(plan(line).is_err(), "{line}");
        }
    }
}
