//! Visits, while a great many ended sessions are swept away.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{BUSY, Bench, is_right};
use crate::{
    contender::app,
    report::{line, median},
};

const ENDED: usize = 1_000_000;

/// The app sweeps about once a minute; a million rows take it a while.
const LONGEST: Duration = Duration::from_secs(600);

/// Sessions that ended an hour ago, and their users.
const FILL: &str = "\
insert into users (id, first_visit_at, last_visit_at)
select lpad(to_hex(n + 100000000), 32, '0')::uuid, now() - interval '2 hours', now() - interval '2 hours'
from generate_series(1, :n) as n;
insert into sessions (id, state, created_at, expires_at)
select
    sha256(int4send(n + 100000000)),
    json_build_object('user_id', lpad(to_hex(n + 100000000), 32, '0')::uuid),
    now() - interval '2 hours',
    now() - interval '1 hour'
from generate_series(1, :n) as n;
vacuum analyze;
checkpoint";

/// Compares the seconds in which rows were swept with those before and after.
pub fn run(bench: &Bench<'_>) -> Result<bool> {
    ensure!(bench.database.counts_statements, "this needs pg_stat_statements");
    let stage = bench.stage(Duration::from_secs(1));
    let mut contender = bench.start("app sweep", app::fill(bench.plan.sessions))?;
    eprintln!("adding {ENDED} ended sessions");
    bench.database.run("app_sweep", &FILL.replace(":n", &ENDED.to_string()))?;

    let (mut calm, mut sweeping, mut slowest) = (Vec::new(), Vec::new(), 0.0_f64);
    let (mut right, mut gone, begin) = (true, swept(bench)?, Instant::now());
    let already = gone;
    // A few seconds more, when all is done, for comparison.
    let mut calm_after = 0;
    while calm_after < 10 && begin.elapsed() < LONGEST {
        let measurement = stage.measure(&mut contender, BUSY, calm.len() + sweeping.len() + 1)?;
        let now_gone = swept(bench)?;
        eprintln!("{}  {:.0} swept", line(&measurement), now_gone - gone);
        right &= is_right(&measurement);
        if now_gone > gone {
            sweeping.push(measurement.rate);
            slowest = slowest.max(measurement.max);
        } else {
            calm.push(measurement.rate);
            calm_after += usize::from(now_gone >= ENDED as f64);
        }
        gone = now_gone;
    }
    let (swept_seconds, calm_seconds) = (sweeping.len(), calm.len());
    let (with, without) = (median(sweeping).unwrap_or(f64::NAN), median(calm).unwrap_or(f64::NAN));
    println!("## The sweep\n");
    println!(
        "{without:.0} visits/s in {calm_seconds} measurements without a sweep, {with:.0} in {swept_seconds} with one: {:.1} %",
        with / without * 100.0
    );
    println!(
        "{:.0} sessions were swept meanwhile, {already:.0} before; the slowest answer took {slowest:.1} ms\n",
        gone - already
    );
    Ok(right)
}

fn swept(bench: &Bench<'_>) -> Result<f64> {
    bench.database.number(
        "postgres",
        "select sum(rows) from pg_stat_statements join pg_database on pg_database.oid = dbid \
         where datname = 'app_sweep' and query ~* '^\\s*(with [^;]*)?delete from sessions'",
    )
}
