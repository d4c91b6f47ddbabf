//! A run from its beginning to its end.

use std::{env, fs, path::Path, path::PathBuf, time::Instant};

use anyhow::{Context, Result};

use crate::{
    args::{Name, Plan},
    contender::{Contender, app, peers, pgbench},
    database::Database,
    machine,
    measure::{Cell, Measurement, measure},
    report::{self, Results},
};

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
    /// The PostgreSQL in which each contender has a database.
    pub database: Database,
}

/// Measures everything. Returns whether all responses were correct and `--at-least` holds.
pub fn run(plan: &Plan) -> Result<bool> {
    let program = env::current_exe()?;
    // target/release/bench
    let target = program.ancestors().nth(2).context("this program is not in cargo's target directory")?;
    let work = target.join("bench");
    fs::create_dir_all(&work)?;
    let bench = Bench {
        project: Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(""),
        target: target.to_owned(),
        database: Database::start(&work.join("postgres"))?,
        work,
        sessions: plan.sessions,
    };
    let (mut contenders, missing) = assemble(plan, &bench)?;
    let measurements = measure_all(plan, &bench, &mut contenders)?;
    let names: Vec<_> = contenders.iter().map(|one| (one.name.clone(), one.about.clone())).collect();
    let project = bench.project.to_string_lossy();
    let results = Results {
        date: machine::first_line("date", &["-u", "+%Y-%m-%d"]),
        commit: machine::first_line(
            "git",
            &["-C", &project, "describe", "--always", "--dirty", "--abbrev=10"],
        ),
        about: machine::describe(&bench)?,
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

/// Contenders that can't take part, and why.
type Missing = Vec<(String, String)>;

/// Starts everyone. The app comes first: the ratios compare it with the others.
fn assemble(plan: &Plan, bench: &Bench) -> Result<(Vec<Contender>, Missing)> {
    let (mut contenders, mut missing) = (Vec::new(), Vec::new());
    if plan.wants(Name::App) || plan.wants(Name::Log) {
        let file = app::build(bench)?;
        if plan.wants(Name::App) {
            contenders.push(app::start(bench, "app", &file, "warn", &plan.env)?);
        }
        if plan.wants(Name::Log) {
            contenders.push(app::start(bench, "app, log on", &file, "info", &plan.env)?);
        }
    }
    if let Some(file) = &plan.compare {
        let file = file.canonicalize().with_context(|| format!("there is no {}", file.display()))?;
        contenders.push(app::start(bench, app::OTHER_BUILD, &file, "warn", &[])?);
    }
    for (wanted, name, start) in [
        (Name::Express, "express", peers::express as fn(&Bench) -> Result<Contender>),
        (Name::Express, "express cluster", peers::express_cluster),
        (Name::Axum, "axum", peers::axum),
        (Name::Axum, "axum tuned", peers::axum_tuned),
        (Name::Redis, "redis", peers::redis),
        (Name::Bare, "bare", peers::bare),
        (Name::Pgbench, "pgbench update", pgbench::update),
        (Name::Pgbench, "pgbench insert", pgbench::insert),
    ] {
        if plan.wants(wanted) {
            eprintln!("preparing {name}");
            match start(bench) {
                Ok(contender) => contenders.push(contender),
                Err(error) => missing.push((name.to_owned(), format!("{error:#}"))),
            }
        }
    }
    missing.iter().for_each(|(name, why)| eprintln!("MISSING: {name}: {why}"));
    Ok((contenders, missing))
}

/// Measures everyone in turn, round after round. Each round begins with another contender.
fn measure_all(plan: &Plan, bench: &Bench, contenders: &mut [Contender]) -> Result<Vec<Measurement>> {
    let mut scenarios = plan.scenarios.clone();
    // Returning visitors first, because new ones add rows.
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
        bench.database.checkpoint()?;
        for n in 0..count {
            let contender = &mut contenders[(n + usize::from(round)) % count];
            if contender.takes_part(cell.scenario) {
                let window = plan.window(cell.connections);
                let measurement = measure(bench, contender, cell, round + 1, window);
                let measurement = measurement.with_context(|| contender.name.clone())?;
                eprintln!("{measurement}");
                measurements.push(measurement);
            }
        }
        let (all, done) = (cells.len(), done + 1);
        let left = begin.elapsed().as_secs_f64() / done as f64 * (all - done) as f64;
        eprintln!("{done} of {all} done, {left:.0} s left");
    }
    Ok(measurements)
}
