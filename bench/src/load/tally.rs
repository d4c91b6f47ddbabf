//! What came of the load.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Instant,
};

use hdrhistogram::Histogram;

/// Counts of one measurement. Only what is answered within its window counts as throughput; errors count always.
#[derive(Debug)]
pub struct Tally {
    begin: Instant,
    end: Instant,
    answers: Cell<u64>,
    all_answers: Cell<u64>,
    errors: RefCell<BTreeMap<&'static str, u64>>,
    microseconds: RefCell<Histogram<u32>>,
}

impl Tally {
    pub(super) fn new(begin: Instant, end: Instant) -> Self {
        Tally {
            begin,
            end,
            answers: Cell::default(),
            all_answers: Cell::default(),
            errors: RefCell::default(),
            microseconds: RefCell::new(
                Histogram::new_with_bounds(1, 60_000_000, 3).expect("these are bounds of a histogram"),
            ),
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.end
    }

    pub(super) fn answer(&self, asked: Instant, answered: Instant) {
        self.all_answers.set(self.all_answers.get() + 1);
        if (self.begin..self.end).contains(&answered) {
            self.answers.set(self.answers.get() + 1);
            let time = answered.duration_since(asked).as_micros();
            self.microseconds.borrow_mut().saturating_record(u64::try_from(time).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn error(&self, what: &'static str) {
        *self.errors.borrow_mut().entry(what).or_default() += 1;
    }

    /// Counts what another thread has counted in the same window.
    pub(super) fn add(&mut self, other: Tally) {
        *self.answers.get_mut() += other.answers.get();
        *self.all_answers.get_mut() += other.all_answers.get();
        for (what, count) in other.errors.into_inner() {
            *self.errors.get_mut().entry(what).or_default() += count;
        }
        let times = self.microseconds.get_mut().add(other.microseconds.into_inner());
        times.expect("both have the same bounds");
    }

    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        self.answers.get() as f64 / (self.end - self.begin).as_secs_f64()
    }

    /// Right answers within the window.
    pub fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// Right answers, those before the window and the last ones after it included.
    pub fn all_answers(&self) -> u64 {
        self.all_answers.get()
    }

    /// What went wrong, and how often.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.borrow().iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
    }

    /// The time in milliseconds within which this share of the answers came; `1.0` for the slowest.
    pub fn quantile(&self, share: f64) -> f64 {
        self.microseconds.borrow().value_at_quantile(share) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_threads_have_counted_makes_one_tally() {
        let begin = Instant::now();
        let tally = || Tally::new(begin, begin + Duration::from_secs(1));
        let within = begin + Duration::from_millis(500);
        let (mut one, other) = (tally(), tally());
        one.answer(within - Duration::from_millis(2), within);
        one.error("a wrong count");
        other.answer(within - Duration::from_millis(8), within);
        other.answer(begin, begin + Duration::from_secs(2));
        other.error("a wrong count");
        other.error("no answer");

        one.add(other);

        assert_eq!((one.answers(), one.all_answers(), one.rate()), (2, 3, 2.0));
        assert_eq!(
            one.errors().into_iter().collect::<Vec<_>>(),
            [("a wrong count".to_owned(), 2), ("no answer".to_owned(), 1)]
        );
        assert!((7.9..8.1).contains(&one.quantile(1.0)), "{}", one.quantile(1.0));
    }
}
