//! What came of the load.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

/// Counts of one measurement. Only what is answered within its window counts as throughput; errors count always.
#[derive(Debug)]
pub struct Tally {
    started: Instant,
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
            started: Instant::now(),
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

    pub(super) fn since_start(&self) -> Duration {
        self.started.elapsed()
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
