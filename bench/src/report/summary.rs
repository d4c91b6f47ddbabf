//! Medians and ratios.

use serde::Serialize;

use super::Results;
use crate::measure::{Cell, Measurement};

/// The medians, over all rounds, of one contender under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The contender's name.
    pub contender: String,
    /// Under what load.
    #[serde(flatten)]
    pub cell: Cell,
    /// Right answers a second.
    pub rate: f64,
    /// In milliseconds.
    pub p50: f64,
    /// In milliseconds.
    pub p99: f64,
    /// The slowest of all rounds, in milliseconds.
    pub max: f64,
    /// Of the server, in microseconds a visit.
    pub server_cpu: Option<f64>,
    /// Of its store, in microseconds a visit.
    pub store_cpu: Option<f64>,
    /// Of the load, in microseconds a visit.
    pub load_cpu: Option<f64>,
    /// The highest of all rounds, in MiB.
    pub memory: Option<f64>,
    /// A visit.
    pub statements: Option<f64>,
    /// Bytes a visit.
    pub growth: Option<f64>,
    /// Bytes a visit.
    pub wal: Option<f64>,
    /// Wrong answers, in all rounds.
    pub errors: u64,
}

/// How the first contender does beside another, within the same rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// The first contender.
    pub of: String,
    /// The other.
    pub to: String,
    /// Under what load.
    #[serde(flatten)]
    pub cell: Cell,
    /// Of the rates: above 1, the first is faster. The median of the rounds.
    pub rate: f64,
    /// The lowest and the highest of the rounds.
    pub rate_range: (f64, f64),
    /// Of the medians of the answers' times: below 1, the first is faster. The median of the rounds.
    pub p50: f64,
}

/// One for each contender and load, in the order in which they were measured first.
pub fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for cell in cells(results) {
        for (name, _) in &results.contenders {
            rows.extend(row(&of(results, name, cell)));
        }
    }
    rows
}

/// The first contender beside each of the others.
pub fn ratios(results: &Results) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    let Some(((first, _), others)) = results.contenders.split_first() else {
        return ratios;
    };
    for cell in cells(results) {
        for (other, _) in others {
            ratios.extend(ratio(&of(results, first, cell), &of(results, other, cell)));
        }
    }
    ratios
}

/// Loads, ordered.
pub fn cells(results: &Results) -> Vec<Cell> {
    let mut cells: Vec<Cell> = results.measurements.iter().map(|one| one.cell).collect();
    cells.sort();
    cells.dedup();
    cells
}

fn of<'a>(results: &'a Results, name: &str, cell: Cell) -> Vec<&'a Measurement> {
    results.measurements.iter().filter(|one| one.contender == name && one.cell == cell).collect()
}

fn row(rounds: &[&Measurement]) -> Option<Row> {
    let first = rounds.first()?;
    let middle = |value: fn(&Measurement) -> f64| median(rounds.iter().map(|one| value(one)).collect());
    let known =
        |value: fn(&Measurement) -> Option<f64>| median(rounds.iter().filter_map(|one| value(one)).collect());
    Some(Row {
        contender: first.contender.clone(),
        cell: first.cell,
        rate: middle(|one| one.rate)?,
        p50: middle(|one| one.p50)?,
        p99: middle(|one| one.p99)?,
        max: rounds.iter().map(|one| one.max).fold(0.0, f64::max),
        server_cpu: known(|one| one.server_cpu),
        store_cpu: known(|one| one.store_cpu),
        load_cpu: known(|one| one.load_cpu),
        memory: rounds.iter().filter_map(|one| one.memory).reduce(f64::max),
        statements: known(|one| one.statements),
        growth: known(|one| one.growth),
        wal: known(|one| one.wal),
        errors: rounds.iter().flat_map(|one| one.errors.values()).sum(),
    })
}

fn ratio(first: &[&Measurement], other: &[&Measurement]) -> Option<Ratio> {
    let pairs: Vec<_> = first
        .iter()
        .filter_map(|one| Some((*one, *other.iter().find(|other| other.round == one.round)?)))
        .collect();
    let rates: Vec<f64> = pairs.iter().map(|(one, other)| one.rate / other.rate).collect();
    let least = rates.iter().copied().reduce(f64::min)?;
    let most = rates.iter().copied().reduce(f64::max)?;
    Some(Ratio {
        of: first.first()?.contender.clone(),
        to: other.first()?.contender.clone(),
        cell: first.first()?.cell,
        rate: median(rates)?,
        rate_range: (least, most),
        p50: median(pairs.iter().map(|(one, other)| one.p50 / other.p50).collect())?,
    })
}

/// The one in the middle, or between the two.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(vec![f64::NAN, 3.0]), Some(3.0));
        assert_eq!(median(vec![]), None);
    }
}
