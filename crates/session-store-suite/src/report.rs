//! Runs the suite and reports which guarantees a store keeps.

use std::{fmt, time::Duration};

use tokio::time::timeout;

use crate::{Subject, checks::guarantees};

/// Time limit for one guarantee. If the store hangs, it breaks the guarantee.
const LIMIT: Duration = Duration::from_secs(60);

/// The result for one guarantee.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The guarantee's name, for [`Subject::unclaimed`] and [`Subject::inapplicable`].
    pub name: &'static str,
    /// The guarantee as a sentence.
    pub sentence: &'static str,
    /// `kept`, `kept, not claimed`, `broken`, `not claimed` or `not applicable`.
    pub verdict: &'static str,
    /// How the store breaks the guarantee, or an empty string.
    pub reason: String,
}

/// The results for all guarantees. `Display` prints one line for each.
#[derive(Clone, Debug)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Checks that the store keeps all guarantees that it claims.
    ///
    /// # Panics
    /// Panics with the whole report if it doesn't.
    #[track_caller]
    pub fn assert_claims(&self) {
        let is_broken = self.0.iter().any(|finding| finding.verdict == "broken");
        assert!(!is_broken, "the store breaks guarantees that it claims:\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { name, sentence, verdict, reason } in &self.0 {
            let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            writeln!(formatter, "{verdict:>17}  {name}: {sentence}{reason}")?;
        }
        Ok(())
    }
}

/// Checks all guarantees of a store, one after another.
///
/// # Panics
/// Panics if the subject lists a guarantee that doesn't exist.
pub async fn run<S: Subject>(subject: &S) -> Report {
    let guarantees = guarantees::<S>();
    let (unclaimed, skipped) = (subject.unclaimed(), subject.inapplicable());
    for name in unclaimed.iter().chain(skipped) {
        assert!(guarantees.iter().any(|(known, ..)| known == name), "there is no guarantee {name:?}");
    }
    let mut findings = Vec::new();
    for (name, sentence, check) in guarantees {
        let is_claimed = !unclaimed.contains(&name);
        let broken = if is_claimed { "broken" } else { "not claimed" };
        let result = if skipped.contains(&name) { None } else { Some(timeout(LIMIT, check(subject)).await) };
        let (verdict, reason) = match result {
            None => ("not applicable", String::new()),
            Some(Ok(Ok(()))) => (if is_claimed { "kept" } else { "kept, not claimed" }, String::new()),
            Some(Ok(Err(error))) => (broken, format!("{error:#}")),
            Some(Err(_)) => (broken, format!("no result within {LIMIT:?}")),
        };
        findings.push(Finding { name, sentence, verdict, reason });
    }
    Report(findings)
}
