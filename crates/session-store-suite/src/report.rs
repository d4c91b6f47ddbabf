//! Runs the suite and reports which guarantees a store keeps.

use std::{fmt, time::Duration};

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
    /// Fails if the store breaks a guarantee that it claims.
    ///
    /// # Panics
    /// Panics with the whole report if a claimed guarantee is broken.
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
    let (unclaimed, inapplicable) = (subject.unclaimed(), subject.inapplicable());
    for name in unclaimed.iter().chain(inapplicable) {
        assert!(guarantees.iter().any(|(known, ..)| known == name), "there is no guarantee {name:?}");
    }
    let mut findings = Vec::new();
    for (name, sentence, check) in guarantees {
        if inapplicable.contains(&name) {
            findings.push(Finding { name, sentence, verdict: "not applicable", reason: String::new() });
            continue;
        }
        let reason = match tokio::time::timeout(LIMIT, check(subject)).await {
            Ok(checked) => checked.err().map(|error| format!("{error:#}")),
            Err(_) => Some(format!("no result within {LIMIT:?}")),
        };
        let verdict = match (&reason, unclaimed.contains(&name)) {
            (None, false) => "kept",
            (None, true) => "kept, not claimed",
            (Some(_), false) => "broken",
            (Some(_), true) => "not claimed",
        };
        findings.push(Finding { name, sentence, verdict, reason: reason.unwrap_or_default() });
    }
    Report(findings)
}
