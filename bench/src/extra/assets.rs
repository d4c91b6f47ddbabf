//! What the app costs where it has nothing to do: a static file and the health check, beside Actix alone.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::{
    contender::{app, rust_peers},
    load::{Ask, Load, drive},
    measure::WARMUP,
    report::{Table, median},
};

const PATHS: [&str; 2] = ["/static/app.css", "/health/live"];

/// In turn, round after round.
pub fn run(bench: &Bench<'_>) -> Result<bool> {
    let mut app = app::program(bench.app, app::QUIET);
    // As many as Actix starts unless told.
    let workers = std::thread::available_parallelism()?.to_string();
    app.environment.push(("WORKERS".to_owned(), workers));
    bench.database.create("app_assets")?;
    let app = app.start("app assets", bench.place, Some(&bench.database.url("app_assets")))?;
    let mut bare = rust_peers::bare(bench.place, bench.database)?;
    let bare = bare.as_server().expect("it is a server").running.address;
    let mut table = Table::new(&["path", "app/s", "bare Actix/s", "app is"]);
    let mut right = true;
    for path in PATHS {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.plan.rounds {
            let window = bench.plan.window.unwrap_or(Duration::from_secs(2));
            let load = Load { ask: Ask::Path(path), connections: 64, warmup: WARMUP, window };
            let tallies = [app.address, bare].map(|address| drive(address, load, &mut Vec::new(), |_, _| {}));
            let [one, other] = tallies;
            let (one, other) = (one?, other?);
            right &= one.errors().is_empty() && other.errors().is_empty();
            ours.push(one.rate());
            theirs.push(other.rate());
            ratios.push(one.rate() / other.rate());
        }
        let middle = |rates: Vec<f64>| median(rates).unwrap_or_default();
        table.row(vec![
            path.to_owned(),
            format!("{:.0}", middle(ours)),
            format!("{:.0}", middle(theirs)),
            format!("{:.2}×", middle(ratios)),
        ]);
    }
    println!("## Where the app has nothing to do\n\n{table}");
    if !right {
        println!("ERRORS: some answers were not 200: THESE FIGURES ARE WORTH NOTHING");
    }
    Ok(right)
}
