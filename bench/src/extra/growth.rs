//! What a million visits leave behind.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{BUSY, Bench, is_right};
use crate::{
    contender::{Kind, app},
    report::line,
};

const VISITS: u64 = 1_000_000;

const LONGEST: Duration = Duration::from_secs(900);

/// Where the database is asked.
const DATABASE: &str = "app_growth";

/// Compares the tables, with their indexes, before and after.
pub fn run(bench: &Bench<'_>) -> Result<bool> {
    let stage = bench.stage(Duration::from_secs(10));
    let mut contender = bench.start("app growth", app::fill(bench.plan.sessions))?;
    let number = |sql: &str| bench.database.number(DATABASE, sql);
    let size = || number("select sum(pg_total_relation_size(relid)) from pg_stat_user_tables");
    let (before, begin) = (size()?, Instant::now());
    let (mut visits, mut right, mut round) = (0, true, 0);
    while visits < VISITS && begin.elapsed() < LONGEST {
        round += 1;
        let measurement = stage.measure(&mut contender, BUSY, round)?;
        eprintln!("{}", line(&measurement));
        right &= is_right(&measurement);
        visits += measurement.answers;
    }
    let after = size()?;
    // Its connections tell of their updates at their end.
    if let Kind::Server(server) = &mut contender.kind {
        server.running.stop()?;
    }
    let updates = number("select sum(n_tup_upd) from pg_stat_user_tables")?;
    let hot = number("select sum(n_tup_hot_upd) from pg_stat_user_tables")?;
    println!("## Growth\n");
    println!(
        "{visits} visits: the tables grew by {:.0} bytes, {:.2} a visit; {:.2} % of {updates:.0} updates were HOT\n",
        after - before,
        (after - before) / visits as f64,
        hot / updates * 100.0
    );
    Ok(right)
}
