//! The few figures that the README shows, between its two marks.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

use super::{Table, Written, markdown::headline, summary::Row};
use crate::{load::Scenario, measure::Cell};

const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->";

/// Puts them there, in place of the last ones.
pub fn update(readme: &Path, written: &Written<'_>) -> Result<()> {
    let text = fs::read_to_string(readme).context("can't read the README")?;
    let fresh = between_marks(&text, &figures(written)).context("the README has no marks for the figures")?;
    fs::write(readme, fresh).context("can't write the README")
}

fn between_marks(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{figures}{END}{after}"))
}

fn figures(written: &Written<'_>) -> String {
    let results = written.results;
    let connections = headline(&written.summary.iter().map(|row| row.cell.connections).collect::<Vec<_>>());
    let mut table = Table::new(&[
        &format!("{connections} connections"),
        "returning visits/s",
        "the app is",
        "p50 / p99 ms",
        "new visits/s",
        "the app is",
        "p50 / p99 ms",
    ]);
    for (name, _) in &results.contenders {
        let mut row = vec![name.clone()];
        for scenario in [Scenario::Returning, Scenario::New] {
            row.extend(of_scenario(written, name, Cell { scenario, connections }));
        }
        table.row(row);
    }
    let machine = |wanted: &str| {
        let found = results.about.iter().find(|(name, _)| name == wanted);
        found.map_or("?", |(_, value)| value.as_str())
    };
    let mut text = String::from(
        "<picture>\n<source media=\"(prefers-color-scheme: dark)\" srcset=\"bench/results/chart-dark.svg\">\n\
         <img alt=\"Visits a second, as in the table below\" src=\"bench/results/chart-light.svg\">\n</picture>\n\n",
    );
    let _ = write!(
        text,
        "{table}\n{} sessions in each table; load, server and PostgreSQL share {} processors ({}), so compare the ratios\n\
         (each is the median of those within a round).\n\
         Who is who, every other figure and how they were taken: [bench/results/RESULTS.md](bench/results/RESULTS.md).\n\
         `cargo bench-visits` takes them anew, on your machine, in about 5 minutes.\n",
        results.sessions,
        machine("processors"),
        machine("processor"),
    );
    text
}

fn of_scenario(written: &Written<'_>, name: &str, cell: Cell) -> [String; 3] {
    let found = written.summary.iter().find(|row: &&Row| row.contender == name && row.cell == cell);
    let ratio = written.ratios.iter().find(|ratio| ratio.to == name && ratio.cell == cell);
    match found {
        None => Default::default(),
        Some(row) => [
            format!("{:.0}", row.rate),
            ratio.map_or(String::new(), |ratio| format!("{:.1}×", ratio.rate)),
            format!("{:.1} / {:.1}", row.p50, row.p99),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = format!("# Title\n{BEGIN}old\n{END}\nmore\n");

        let fresh = between_marks(&text, "new\n").unwrap();

        assert_eq!(fresh, format!("# Title\n{BEGIN}new\n{END}\nmore\n"));
        assert_eq!(between_marks(&fresh, "new\n").unwrap(), fresh);
    }
}
