//! Medians and ratios.

use std::collections::BTreeMap;

use crate::measure::{Cell, Figure, Figures, Measurement};

/// One contender under one load.
#[derive(Clone, Debug)]
pub struct Row {
    pub contender: String,
    pub cell: Cell,
    /// The first contender's rate divided by this one's. The ratio is calculated per round, and this is the median.
    pub ratio: Option<f64>,
    /// The medians over all rounds, except for the slowest response and the memory, which are maximums.
    pub figures: Figures,
    /// Number of wrong responses in all rounds.
    pub errors: u64,
}

/// Returns a row for each load and contender.
pub fn rows(measurements: &[Measurement], contenders: &[(String, String)]) -> Vec<Row> {
    let mut cells: Vec<Cell> = measurements.iter().map(|one| one.cell).collect();
    cells.sort();
    cells.dedup();
    let mut rows = Vec::new();
    for cell in cells {
        let of = |name: &str| -> Vec<&Measurement> {
            measurements.iter().filter(|one| one.contender == name && one.cell == cell).collect()
        };
        for (n, (name, _)) in contenders.iter().enumerate() {
            let ratios = if n == 0 { Vec::new() } else { ratios(&of(&contenders[0].0), &of(name)) };
            rows.extend(row(&of(name), ratios));
        }
    }
    rows
}

fn row(rounds: &[&Measurement], ratios: Vec<f64>) -> Option<Row> {
    let first = rounds.first()?;
    let mut values = BTreeMap::<Figure, Vec<f64>>::new();
    for (&figure, &value) in rounds.iter().flat_map(|one| &one.figures) {
        values.entry(figure).or_default().push(value);
    }
    let combine = |(figure, values): (Figure, Vec<f64>)| match figure {
        Figure::Max | Figure::Memory => Some((figure, values.into_iter().reduce(f64::max)?)),
        _ => Some((figure, median(values)?)),
    };
    Some(Row {
        contender: first.contender.clone(),
        cell: first.cell,
        ratio: median(ratios),
        figures: values.into_iter().filter_map(combine).collect(),
        errors: rounds.iter().flat_map(|one| one.errors.values()).sum(),
    })
}

/// Returns the ratio of the rates for each round in which both were measured.
fn ratios(first: &[&Measurement], other: &[&Measurement]) -> Vec<f64> {
    let rate = |one: &Measurement| one.figures.get(&Figure::Rate).copied().filter(|&rate| rate > 0.0);
    let ratio = |one: &&Measurement| {
        let same_round = other.iter().find(|other| other.round == one.round)?;
        Some(rate(one)? / rate(same_round)?)
    };
    first.iter().filter_map(ratio).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    Some(f64::midpoint(values[(values.len() - 1) / 2], upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Scenario;

    #[test]
    fn ratios_are_computed_within_each_round() {
        let one = |round, rate| Measurement {
            contender: String::new(),
            cell: Cell { scenario: Scenario::New, connections: 1 },
            round,
            errors: BTreeMap::new(),
            figures: [(Figure::Rate, rate)].into(),
        };
        // The machine gets slower from round to round.
        let (app, peer) = ([one(1, 900.0), one(2, 400.0), one(3, 110.0)], [one(1, 300.0), one(3, 100.0)]);

        let ratios = ratios(&app.iter().collect::<Vec<_>>(), &peer.iter().collect::<Vec<_>>());

        assert_eq!(ratios, [3.0, 1.1]);
        assert_eq!(
            (median(vec![9.0, 1.0, 5.0]), median(vec![4.0, 1.0]), median(vec![])),
            (Some(5.0), Some(2.5), None)
        );
    }
}
