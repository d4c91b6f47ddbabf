//! Returning visitors, with few sessions in the table and with many.

use std::time::Duration;

use anyhow::Result;

use super::{BUSY, Bench, is_right};
use crate::{
    contender::{Fill, app},
    report::{Table, line, median},
};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// The same in all sizes: no more than there are sessions in the smallest.
const VISITORS: usize = 512;

/// Each size has a server and a database of its own, measured in turn.
pub fn run(bench: &Bench<'_>) -> Result<bool> {
    let stage = bench.stage(Duration::from_secs(3));
    let mut all = Vec::new();
    for sessions in SIZES {
        eprintln!("filling a table with {sessions} sessions");
        let fill = Fill { visitors: VISITORS, ..app::fill(sessions) };
        all.push((bench.start(&format!("app {sessions}"), fill)?, Vec::new()));
    }
    let mut right = true;
    for round in 1..=bench.plan.rounds {
        bench.database.checkpoint()?;
        for (contender, rates) in &mut all {
            let measurement = stage.measure(contender, BUSY, round)?;
            eprintln!("{}", line(&measurement));
            right &= is_right(&measurement);
            rates.push(measurement.rate);
        }
    }
    let middle = |rates: &[f64]| median(rates.to_vec()).unwrap_or_default();
    let usual = middle(&all[1].1);
    let mut table = Table::new(&["sessions", "visits/s", "of those at 100,000"]);
    for (sessions, (_, rates)) in SIZES.iter().zip(&all) {
        let rate = middle(rates);
        table.row(vec![sessions.to_string(), format!("{rate:.0}"), format!("{:.1} %", rate / usual * 100.0)]);
    }
    println!("## Sessions in the table\n\n{table}");
    Ok(right)
}
