//! The results: medians over all rounds, ratios within each round, and the tables and charts that show them.

mod chart;
mod markdown;
mod summary;

use std::fs;

use anyhow::{Context, Result};

use crate::{args::Plan, contender::OTHER_BUILD, measure::Measurement, run::Bench};

pub use summary::{Row, rows};

/// What the page and the charts show.
#[derive(Clone, Debug)]
pub struct Results {
    pub date: String,
    pub commit: String,
    /// The machine, and the versions of the programs.
    pub about: Vec<(String, String)>,
    /// The names and descriptions of the contenders. The others are compared with the first one.
    pub contenders: Vec<(String, String)>,
    /// The contenders that could not take part, and why.
    pub missing: Vec<(String, String)>,
    /// Number of sessions in each table.
    pub sessions: usize,
    pub rounds: u16,
    /// The variables that `--env` set.
    pub environment: Vec<String>,
    pub summary: Vec<Row>,
    pub measurements: Vec<Measurement>,
}

/// Prints the tables and writes all files. Returns whether all responses were correct and the app was at
/// least as fast as `--at-least` requires.
///
/// Only a complete measurement replaces the committed results.
pub fn publish(results: &Results, plan: &Plan, bench: &Bench) -> Result<bool> {
    let directory = match plan.is_complete() {
        true => bench.project.join("lab/bench/results"),
        false => bench.work.join("results"),
    };
    fs::create_dir_all(&directory)?;
    for (name, text) in [
        ("RESULTS.md", markdown::page(results)),
        ("chart-light.svg", chart::draw(&results.summary, chart::LIGHT)),
        ("chart-dark.svg", chart::draw(&results.summary, chart::DARK)),
    ] {
        fs::write(directory.join(name), text).with_context(|| format!("can't write {name}"))?;
    }
    let slow = too_slow(&results.summary, plan.at_least);
    let problems: String =
        markdown::problems(results).iter().chain(&slow).map(|line| format!("{line}\n")).collect();
    println!("{}{problems}Written to {}", markdown::tables(results), directory.display());
    Ok(slow.is_empty() && results.measurements.iter().all(|one| one.errors.is_empty()))
}

/// Returns a line for each load under which the app is too slow compared with the other build.
fn too_slow(rows: &[Row], at_least: Option<f64>) -> Vec<String> {
    let line = |row: &Row| {
        let is_slow = row.contender == OTHER_BUILD && row.ratio? < at_least?;
        is_slow.then(|| format!("TOO SLOW: {:.2} × the other build: {}", row.ratio.unwrap_or(0.0), row.cell))
    };
    rows.iter().filter_map(line).collect()
}
