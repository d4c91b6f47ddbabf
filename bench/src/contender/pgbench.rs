//! PostgreSQL alone: pgbench sends one statement a visit to the app's tables, without an app. It checks nothing.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{Contender, Kind, VISITORS, app};
use crate::{
    load::{Scenario, Tally},
    run::Bench,
    usage,
};

/// What pgbench sends.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// The visits that it stands for.
    pub scenario: Scenario,
    database: &'static str,
    text: &'static str,
}

/// Counts a visit, as the app does for a returning visitor after it has read the session.
pub fn update(bench: &Bench) -> Result<Contender> {
    let (scenario, text) = (Scenario::Returning, include_str!("../../sql/update.sql"));
    contender(bench, "one `update … returning`", Script { scenario, database: "pgbench_update", text })
}

/// Adds a session, as the app does for a new visitor.
pub fn insert(bench: &Bench) -> Result<Contender> {
    let (scenario, text) = (Scenario::New, include_str!("../../sql/insert.sql"));
    contender(bench, "one `insert` of a session", Script { scenario, database: "pgbench_insert", text })
}

/// Creates a database with the app's migrations.
fn contender(bench: &Bench, what: &str, script: Script) -> Result<Contender> {
    bench.database.create(script.database)?;
    let entries = fs::read_dir(bench.project.join("migrations"))?;
    let mut migrations: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    migrations.sort();
    for migration in migrations {
        bench.database.run(script.database, &fs::read_to_string(&migration)?)?;
    }
    bench.database.fill(script.database, app::SEED, bench.sessions.max(VISITORS))?;
    Ok(Contender {
        name: script.database.replace('_', " "),
        about: format!("pgbench -M prepared, {what} a visit"),
        database: Some(script.database.to_owned()),
        kind: Kind::PgBench(script),
    })
}

/// Runs a script for some time, in whole seconds.
pub fn run(bench: &Bench, script: Script, connections: u16, time: Duration) -> Result<Tally> {
    let home = bench.work.join("pgbench");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home)?;
    fs::write(home.join("script.sql"), script.text)?;
    let threads = usage::processors().min(connections.into());
    let mut pgbench = bench.database.client("pgbench", script.database);
    pgbench.current_dir(&home).args(["-n", "-M", "prepared", "-f", "script.sql", "--log"]);
    pgbench.args(["-c", &connections.to_string(), "-j", &threads.to_string()]);
    pgbench.args(["-T", &time.as_secs_f64().ceil().to_string()]);
    let output = pgbench.output().context("PostgreSQL's pgbench is not installed")?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // Such as `tps = 22667.5 (without initial connection time)`.
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let mut times = Vec::new();
    for entry in fs::read_dir(&home)? {
        // A line for each transaction, with its time in microseconds in the third field.
        let lines = fs::read_to_string(entry?.path())?;
        times.extend(lines.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
    }
    times.sort_unstable();
    let rate = rate.context("pgbench printed no rate")?;
    Ok(Tally { rate, visits: times.len() as u64, times, ..Tally::default() })
}
