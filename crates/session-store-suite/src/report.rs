//! Runs the suite, and reports which promises a store keeps.

use std::{fmt, time::Duration};

use crate::{Promise, Subject};

/// Time limit for one promise. A store that hangs breaks it.
const LIMIT: Duration = Duration::from_secs(60);

/// What the suite found about one promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store keeps it.
    Kept,
    /// The store breaks it, in this way.
    Broken(String),
    /// The promise makes no sense for the store. See [`Subject::inapplicable`].
    NotApplicable,
}

/// A promise, and what the suite found about it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The promise.
    pub promise: Promise,
    /// Whether the store makes it.
    pub is_claimed: bool,
    /// Whether the store keeps it.
    pub outcome: Outcome,
}

impl Finding {
    /// Returns the finding in a word or two, such as `kept` or `not claimed`.
    pub fn verdict(&self) -> &'static str {
        match (&self.outcome, self.is_claimed) {
            (Outcome::Kept, true) => "kept",
            (Outcome::Kept, false) => "kept, not claimed",
            (Outcome::Broken(_), true) => "broken",
            (Outcome::Broken(_), false) => "not claimed",
            (Outcome::NotApplicable, _) => "not applicable",
        }
    }
}

/// What the suite found. Prints as one line for each promise.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each promise, in the order of [`Promise::ALL`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Fails if the store breaks a promise that it claims.
    ///
    /// # Panics
    /// Panics with the whole report if a claimed promise is broken.
    #[track_caller]
    pub fn assert_claims(&self) {
        let is_broken = |finding: &Finding| finding.verdict() == "broken";
        assert!(!self.findings.iter().any(is_broken), "the store breaks promises that it claims:\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            write!(formatter, "{:>17}  {}", finding.verdict(), finding.promise.sentence())?;
            match &finding.outcome {
                Outcome::Broken(why) => writeln!(formatter, " ({why})")?,
                Outcome::Kept | Outcome::NotApplicable => writeln!(formatter)?,
            }
        }
        Ok(())
    }
}

/// Tests all promises on a store, one after the other.
pub async fn run(subject: &impl Subject) -> Report {
    let mut findings = Vec::new();
    for promise in Promise::ALL {
        let is_claimed = !subject.unclaimed().contains(&promise);
        let outcome = if subject.inapplicable().contains(&promise) {
            Outcome::NotApplicable
        } else {
            match tokio::time::timeout(LIMIT, promise.check(subject)).await {
                Ok(Ok(())) => Outcome::Kept,
                Ok(Err(why)) => Outcome::Broken(format!("{why:#}")),
                Err(_) => Outcome::Broken(format!("no result within {LIMIT:?}")),
            }
        };
        findings.push(Finding { promise, is_claimed, outcome });
    }
    Report { findings }
}
