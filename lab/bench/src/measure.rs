//! One measurement: one contender under one load.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::Result;
use tokio::time::Instant;

use crate::load::{self, Scenario};
use crate::{contender::Contender, run::Bench};

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub scenario: Scenario,
    pub connections: u16,
}

/// The measured values. They are per visit, unless the name says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Correct responses per second.
    Rate,
    /// Response times in milliseconds.
    P50,
    P99,
    Max,
    /// CPU time in microseconds.
    ServerCpu,
    StoreCpu,
    BothCpu,
    LoadCpu,
    /// Percentage of total CPU time that other programs used.
    Others,
    /// Resident memory of the server in MiB.
    Memory,
    Statements,
    /// Percentage of updates that were HOT, since the database was created.
    Hot,
    /// Growth of the database in bytes, and bytes of the write-ahead log.
    Growth,
    Wal,
}

/// The figures that could be measured.
pub type Figures = BTreeMap<Figure, f64>;

/// The result of one measurement.
#[derive(Clone, Debug)]
pub struct Measurement {
    pub contender: String,
    pub cell: Cell,
    /// Measurements of the same round are compared with each other.
    pub round: u16,
    /// The errors, and how often each occurred.
    pub errors: BTreeMap<String, u64>,
    pub figures: Figures,
}

/// Measures one contender under one load.
///
/// # Errors
/// Returns an error if the contender can't be reached at all. Wrong responses are counted in the measurement.
pub async fn measure(
    bench: &Bench,
    contender: &mut Contender,
    cell: Cell,
    round: u16,
    length: Duration,
) -> Result<Measurement> {
    if let (Scenario::Rare, Some(database)) = (cell.scenario, &contender.database) {
        bench.database.run(database, include_str!("../sql/rare.sql"))?;
    }
    // The load starts before the window in which responses count.
    let begin = Instant::now() + Duration::from_millis(250 + u64::from(cell.connections));
    let window = begin..begin + length;
    let before = counts(bench, contender)?;
    let (parts, watched) = (contender.parts(bench), window.clone());
    let watch = tokio::task::spawn_blocking(move || parts.watch(watched));
    let tally = load::drive(contender.address, cell, window, &mut contender.visitors).await?;
    let mut figures = watch.await?;
    let after = counts(bench, contender)?;

    let visits = tally.times.len() as f64;
    for figure in [Figure::ServerCpu, Figure::StoreCpu, Figure::LoadCpu] {
        *figures.entry(figure).or_default() *= 1e6 / visits;
    }
    figures.insert(Figure::BothCpu, figures[&Figure::ServerCpu] + figures[&Figure::StoreCpu]);
    figures.insert(Figure::Rate, visits / length.as_secs_f64());
    for (figure, share) in [(Figure::P50, 0.5), (Figure::P99, 0.99), (Figure::Max, 1.0)] {
        figures.extend(tally.quantile(share).map(|time| (figure, time)));
    }
    for (&figure, &value) in &after {
        if figure != Figure::Hot {
            let before = before.get(&figure).unwrap_or(&0.0);
            figures.insert(figure, (value - before) / tally.visits as f64);
        } else if cell.scenario != Scenario::New {
            figures.insert(figure, value);
        }
    }
    figures.retain(|_, value| value.is_finite());
    Ok(Measurement { contender: contender.name.to_owned(), cell, round, errors: tally.errors, figures })
}

/// Returns PostgreSQL's own counts for the contender's database.
fn counts(bench: &Bench, contender: &Contender) -> Result<Figures> {
    let Some(name) = &contender.database else { return Ok(Figures::new()) };
    let values = bench.database.rows(name, include_str!("../sql/counts.sql"))?.concat();
    let figures = [Figure::Statements, Figure::Hot, Figure::Growth, Figure::Wal];
    Ok(figures
        .into_iter()
        .zip(values)
        .filter_map(|(figure, text)| Some((figure, text.parse().ok()?)))
        .collect())
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.connections == 1 { "" } else { "s" };
        write!(f, "{:?} visitors, {} connection{plural}", self.scenario, self.connections)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |figure| self.figures.get(&figure).copied().unwrap_or(f64::NAN);
        let (rate, p50, p99) = (figure(Figure::Rate), figure(Figure::P50), figure(Figure::P99));
        write!(f, "round {} · {} · {:15} ", self.round, self.cell, self.contender)?;
        write!(f, "{rate:>8.0}/s  p50 {p50:>6.2} ms  p99 {p99:>6.2} ms")?;
        if self.errors.is_empty() { Ok(()) } else { write!(f, "  WRONG: {:?}", self.errors) }
    }
}
