//! The slowest answers, while PostgreSQL makes checkpoints: each as fast as it can, which is harder on visits than those
//! that it makes by itself.

use std::{thread, time::Duration};

use anyhow::Result;

use super::{BUSY, Bench, is_right};
use crate::{
    contender::app,
    report::{Table, line},
};

const ROUNDS: usize = 6;

/// One window with a checkpoint in its middle, one without, and so on.
pub fn run(bench: &Bench<'_>) -> Result<bool> {
    let stage = bench.stage(Duration::from_secs(10));
    let mut contender = bench.start("app stalls", app::fill(bench.plan.sessions))?;
    let mut table = Table::new(&["", "visits/s", "p99 ms", "slowest ms"]);
    let mut right = true;
    for round in 1..=ROUNDS {
        for checkpoint in [false, true] {
            let measurement = thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(stage.window / 2);
                    if checkpoint && let Err(error) = bench.database.checkpoint() {
                        eprintln!("no checkpoint: {error:#}");
                    }
                });
                stage.measure(&mut contender, BUSY, round)
            })?;
            eprintln!("{}", line(&measurement));
            right &= is_right(&measurement);
            table.row(vec![
                if checkpoint { "with a checkpoint" } else { "without" }.to_owned(),
                format!("{:.0}", measurement.rate),
                format!("{:.2}", measurement.p99),
                format!("{:.1}", measurement.max),
            ]);
        }
    }
    println!("## Checkpoints\n\n{table}");
    Ok(right)
}
