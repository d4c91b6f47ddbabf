//! Runs the benchmark.

use std::{env, fs, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result};
use sysinfo::{Cpu, System};

use crate::contender::{self, Contender};
use crate::measure::{Cell, Measurement, measure};
use crate::report::{self, Results};
use crate::{args::Plan, database::Database, load::Scenario, usage};

/// What every contender needs.
#[derive(Debug)]
pub struct Bench {
    /// The root of the workspace.
    pub project: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// Where data, logs and the results of incomplete runs go.
    pub work: PathBuf,
    /// Number of sessions in each table.
    pub sessions: usize,
    /// The PostgreSQL server, in which each contender has a database.
    pub database: Database,
}

/// Measures everything. Returns whether all responses were correct and the app was at least as fast as
/// `--at-least` requires.
pub async fn run(plan: &Plan) -> Result<bool> {
    let program = env::current_exe()?;
    // This program is target/release/bench.
    let target = program.ancestors().nth(2).context("this program is not in cargo's target directory")?;
    let work = target.join("bench");
    fs::create_dir_all(&work)?;
    let bench = Bench {
        project: dev::project()?,
        target: target.to_owned(),
        database: Database::start(&work.join("postgres"))?,
        work,
        sessions: plan.sessions,
    };
    let (mut contenders, missing) = contender::start_all(plan, &bench).await?;
    let measurements = measure_all(plan, &bench, &mut contenders).await?;
    let names: Vec<_> = contenders.iter().map(|one| (one.name.to_owned(), one.about.clone())).collect();
    let commit = ["describe", "--always", "--dirty", "--abbrev=10"];
    let results = Results {
        date: first_line("date", &["-u", "+%Y-%m-%d"]),
        commit: first_line("git", &commit),
        about: describe(&bench)?,
        summary: report::rows(&measurements, &names),
        contenders: names,
        missing,
        sessions: plan.sessions,
        rounds: plan.rounds(),
        environment: plan.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        measurements,
    };
    let is_good = report::publish(&results, plan, &bench)?;
    if plan.statements {
        bench.database.print_statements()?;
    }
    drop(contenders);
    bench.database.remove()?;
    Ok(is_good)
}

/// Returns what the results depend on: the machine, and the versions of the programs.
fn describe(bench: &Bench) -> Result<Vec<(String, String)>> {
    let system = System::new_all();
    let mut about: Vec<_> = [
        ("processor", system.cpus().first().map_or("", Cpu::brand).to_owned()),
        ("processors", usage::processors().to_string()),
        ("memory", format!("{} MiB", system.total_memory() / 1024 / 1024)),
        ("system", first_line("uname", &["-srm"])),
        ("rustc", first_line("rustc", &["--version"])),
        ("node", first_line("node", &["--version"])),
        ("redis", first_line("redis-server", &["--version"])),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    about.extend(bench.database.description()?);
    about.retain(|(_, value)| !value.is_empty());
    Ok(about)
}

/// Returns the first line that a program prints, or an empty string.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Measures all contenders in turn, round after round. Each round begins with a different contender.
async fn measure_all(plan: &Plan, bench: &Bench, contenders: &mut [Contender]) -> Result<Vec<Measurement>> {
    let mut scenarios = plan.scenarios.clone();
    // Returning visitors come before new ones, which add rows. Rare visitors come last, because they change the table.
    scenarios.sort();
    scenarios.dedup();
    let (mut cells, count) = (Vec::new(), contenders.len());
    for scenario in scenarios {
        for round in 0..plan.rounds() {
            let loads = plan.connections().into_iter();
            cells.extend(loads.map(|connections| (round, Cell { scenario, connections })));
        }
    }
    let (begin, mut measurements) = (Instant::now(), Vec::new());
    for (done, &(round, cell)) in cells.iter().enumerate() {
        // After a checkpoint, PostgreSQL writes each page to its log in full the first time it changes. All
        // contenders should bear this cost equally.
        bench.database.run("postgres", "checkpoint")?;
        for n in 0..count {
            let contender = &mut contenders[(n + usize::from(round)) % count];
            if cell.scenario == Scenario::Rare && !contender.is_app() {
                continue;
            }
            let window = plan.window(cell.connections);
            let measurement = measure(bench, contender, cell, round + 1, window).await;
            let measurement = measurement.context(contender.name)?;
            eprintln!("{measurement}");
            measurements.push(measurement);
        }
        let (all, done) = (cells.len(), done + 1);
        let left = begin.elapsed().as_secs_f64() / done as f64 * (all - done) as f64;
        let bar = "█".repeat(40 * done / all);
        eprintln!("{bar:░<40} {left:.0} s left");
    }
    Ok(measurements)
}
