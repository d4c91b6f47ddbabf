//! The results as a Markdown page.

use std::fmt::Write;

use super::{Results, Row};
use crate::measure::Figure;

/// The columns, with their number of decimal places.
const COLUMNS: [(&str, Figure, usize); 14] = [
    ("visits/s", Figure::Rate, 0),
    ("p50 ms", Figure::P50, 2),
    ("p99 ms", Figure::P99, 2),
    ("max ms", Figure::Max, 1),
    ("µs CPU: server", Figure::ServerCpu, 1),
    ("store", Figure::StoreCpu, 1),
    ("both", Figure::BothCpu, 1),
    ("load", Figure::LoadCpu, 1),
    ("MiB", Figure::Memory, 1),
    ("statements", Figure::Statements, 2),
    ("HOT %", Figure::Hot, 1),
    ("bytes: growth", Figure::Growth, 1),
    ("WAL", Figure::Wal, 0),
    ("others %", Figure::Others, 0),
];

/// Returns the whole page.
pub(super) fn page(results: &Results) -> String {
    let list = |pairs: &[(String, String)]| -> String {
        pairs.iter().map(|(name, value)| format!("- **{name}**: {value}\n")).collect()
    };
    let environment = match results.environment.as_slice() {
        [] => String::new(),
        variables => format!(" The app had {}.", variables.join(", ")),
    };
    format!(
        "# Visits per second\n\nMade by `cargo dev lab bench` on {}, at {}.\n\n\
         <picture>\n<source media=\"(prefers-color-scheme: dark)\" srcset=\"chart-dark.svg\">\n\
         <img alt=\"Visits per second, as in the tables below\" src=\"chart-light.svg\">\n</picture>\n\n\
         {}## Conditions\n\n[The README](../README.md) says how it was measured and what the columns mean.\n\
         {} sessions in each table, {} rounds.{environment}\n\n{}\n\
         ## The machine\n\n{}{}",
        results.date,
        results.commit,
        tables(results),
        results.sessions,
        results.rounds,
        list(&results.contenders),
        list(&results.about),
        problems(results).iter().map(|problem| format!("\n{problem}\n")).collect::<String>(),
    )
}

/// Returns the problems that make the results less reliable.
pub(super) fn problems(results: &Results) -> Vec<String> {
    let wrong = results.measurements.iter().filter(|one| !one.errors.is_empty());
    let missing = results.missing.iter().map(|(name, why)| format!("MISSING: {name}: {why}"));
    wrong
        .map(|one| format!("WRONG RESPONSES, so these figures are meaningless: {one}"))
        .chain(missing)
        .collect()
}

/// Returns a table for each load.
pub(super) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for rows in results.summary.chunk_by(|one, next| one.cell == next.cell) {
        let _ = writeln!(text, "## {}\n\n{}", rows[0].cell, table(results, rows));
    }
    text
}

/// Returns a Markdown table that also reads well in a terminal. All columns except the first are right-aligned.
fn table(results: &Results, rows: &[Row]) -> String {
    let first = results.contenders.first().map_or("", |(name, _)| name);
    let mut lines = vec![vec![String::new(), format!("{first} is")]];
    lines[0].extend(COLUMNS.map(|(heading, ..)| heading.to_owned()));
    for row in rows {
        let errors = if row.errors > 0 { format!(" ({} WRONG)", row.errors) } else { String::new() };
        let ratio = row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}×"));
        let mut line = vec![format!("{}{errors}", row.contender), ratio];
        for (_, figure, decimals) in COLUMNS {
            let value = row.figures.get(&figure);
            line.push(value.map_or("–".to_owned(), |value| format!("{value:.decimals$}")));
        }
        lines.push(line);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len() + 2).map(width).collect();
    let rule = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width),
        _ => "-".repeat(width - 1) + ":",
    });
    lines.insert(1, rule.collect());
    let mut text = String::new();
    for line in lines {
        let _ = write!(text, "| {:width$} |", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(widths.iter().copied()).skip(1) {
            let _ = write!(text, " {cell:>width$} |");
        }
        text.push('\n');
    }
    text
}
