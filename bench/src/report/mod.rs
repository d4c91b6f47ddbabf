//! What came out: medians over the rounds, ratios within them, and their tables, files and charts.

mod chart;
mod markdown;
mod readme;
mod summary;
mod table;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    account::Account,
    args::Plan,
    contender::Place,
    database::Database,
    measure::{DISTURBANCE, Measurement},
};

pub use summary::median;
pub use table::Table;

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The machine, and the versions.
    pub about: Vec<(String, String)>,
    /// Names, and what they are.
    pub contenders: Vec<(String, String)>,
    /// Who could not take part, and why.
    pub missing: Vec<(String, String)>,
    /// How many sessions each table had.
    pub sessions: usize,
    /// How often everyone was measured under each load.
    pub rounds: usize,
    /// What the app was told besides.
    pub environment: Vec<String>,
    /// Whether measurements that other programs disturbed were taken again.
    pub calm: bool,
    /// All of them.
    pub measurements: Vec<Measurement>,
    /// What a visit asks of PostgreSQL.
    pub accounts: Vec<Account>,
}

/// What is written as JSON: from it alone, tables and charts are made.
#[derive(Debug, Serialize)]
struct Written<'a> {
    date: String,
    commit: String,
    #[serde(flatten)]
    results: &'a Results,
    summary: Vec<summary::Row>,
    ratios: Vec<summary::Ratio>,
}

/// Prints the tables, and writes them, the JSON and the charts; says whether every answer was right.
///
/// The committed results, and the figures in the README, are written by the complete measurement only.
pub fn publish(results: &Results, plan: &Plan, place: &Place) -> Result<bool> {
    let written = Written {
        date: output("date", &["-u", "+%Y-%m-%d"], place),
        commit: output("git", &["describe", "--always", "--dirty", "--abbrev=10"], place),
        summary: summary::rows(results),
        ratios: summary::ratios(results),
        results,
    };
    let directory = directory(plan, place);
    fs::create_dir_all(&directory)?;
    let write = |name: &str, text: String| {
        fs::write(directory.join(name), text).with_context(|| format!("can't write {name}"))
    };
    write("results.json", serde_json::to_string_pretty(&written)? + "\n")?;
    write("RESULTS.md", markdown::page(&written))?;
    write("chart-light.svg", chart::draw(&written, chart::LIGHT))?;
    write("chart-dark.svg", chart::draw(&written, chart::DARK))?;
    println!("{}", markdown::tables(&written));
    let complaints = complaints(results);
    println!("{complaints}");
    println!("Written to {}", directory.display());
    let is_right = results.measurements.iter().all(|one| one.errors.is_empty());
    if is_right && plan.is_complete {
        readme::update(&place.project.join("README.md"), &written)?;
    }
    Ok(is_right)
}

fn directory(plan: &Plan, place: &Place) -> PathBuf {
    match plan.is_complete {
        true => place.project.join("bench/results"),
        false => place.work.join("results"),
    }
}

/// What makes the figures worth less than they look.
fn complaints(results: &Results) -> String {
    let mut lines = Vec::new();
    for one in results.measurements.iter().filter(|one| !one.errors.is_empty()) {
        lines.push(format!("ERRORS: {}: {:?}: THESE FIGURES ARE WORTH NOTHING", line(one), one.errors));
    }
    for (name, why) in &results.missing {
        lines.push(format!("MISSING: {name}: {why}"));
    }
    let disturbed = results.measurements.iter().filter(|one| one.is_disturbed()).count();
    if disturbed > 0 {
        lines.push(format!(
            "DISTURBED: in {disturbed} of {} measurements, other programs of this machine took more than {:.0} % of its processors",
            results.measurements.len(),
            DISTURBANCE * 100.0
        ));
    }
    lines.join("\n")
}

/// A measurement in a line.
pub fn line(one: &Measurement) -> String {
    let errors: u64 = one.errors.values().sum();
    format!(
        "round {} · {:9} · {:3} connections · {:24} {:>8.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  max {:>7.1} ms{}{}",
        one.round,
        one.cell.scenario.name(),
        one.cell.connections,
        one.contender,
        one.rate,
        one.p50,
        one.p99,
        one.max,
        if errors > 0 { format!("  {errors} ERRORS {:?}", one.errors) } else { String::new() },
        match one.strangers {
            Some(share) if one.is_disturbed() => format!("  (other programs: {:.0} %)", share * 100.0),
            _ => String::new(),
        },
    )
}

/// Prints what each statement of each database has cost.
pub fn statements(database: &Database) -> Result<()> {
    if !database.counts_statements {
        println!("this PostgreSQL has no pg_stat_statements");
        return Ok(());
    }
    let rows = database.rows(
        "postgres",
        "select datname, calls, rows, round((total_exec_time / calls)::numeric, 4), round(total_exec_time::numeric), \
         wal_bytes / calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 110) \
         from pg_stat_statements join pg_database on pg_database.oid = dbid \
         where datname <> 'postgres' and calls > 1000 order by datname, total_exec_time desc",
    )?;
    let mut table =
        Table::new(&["database", "calls", "rows", "ms a call", "ms in all", "WAL bytes a call", "statement"]);
    for row in rows {
        table.row(row);
    }
    println!("{table}");
    Ok(())
}

fn output(program: &str, arguments: &[&str], place: &Place) -> String {
    let output = Command::new(program).args(arguments).current_dir(&place.project).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
