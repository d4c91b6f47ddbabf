//! From the start of the program to the first page.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::Bench;
use crate::{contender::app, report::median};

const STARTS: usize = 11;

const LONGEST: Duration = Duration::from_secs(20);

/// The first start makes the tables, too. The database runs all the time.
pub fn run(bench: &Bench<'_>) -> Result<bool> {
    bench.database.create("app_cold")?;
    let url = bench.database.url("app_cold");
    let program = app::program(bench.app, app::QUIET);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let mut running = program.launch("app cold", bench.place, Some(&url))?;
        while !running.answers("/") {
            ensure!(begin.elapsed() < LONGEST, "the app does not start");
            thread::sleep(Duration::from_micros(500));
        }
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        running.stop()?;
    }
    let first = times.remove(0);
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!("## Cold start\n");
    println!(
        "to the first page, with the tables yet to be made: {first:.0} ms; with them: {:.0} ms (the slowest of {}: {slowest:.0} ms)\n",
        median(times.clone()).unwrap_or_default(),
        times.len()
    );
    Ok(true)
}
