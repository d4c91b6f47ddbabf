//! What is not in the five minutes. A file each; each prints what it found.

mod assets;
mod cold_start;
mod growth;
mod sizes;
mod stalls;
mod sweep;

use std::{path::Path, time::Duration};

use anyhow::Result;

use crate::{
    args::Plan,
    contender::{Contender, Fill, Place, app},
    database::Database,
    load::Scenario,
    measure::{Cell, Measurement, Stage},
};

/// Something else to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Whether many sessions make visits slower.
    Sizes,
    /// Whether sweeping does.
    Sweep,
    /// Whether the tables grow.
    Growth,
    /// What the app costs where it has nothing to do.
    Assets,
    /// How soon it serves.
    ColdStart,
    /// Whether a checkpoint makes anybody wait.
    Stalls,
}

/// What all of them work with.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// What the command line said.
    pub plan: &'a Plan,
    /// Where files are.
    pub place: &'a Place,
    /// The database.
    pub database: &'a Database,
    /// The build of the app.
    pub app: &'a Path,
}

impl Extra {
    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sizes" => Extra::Sizes,
            "sweep" => Extra::Sweep,
            "growth" => Extra::Growth,
            "assets" => Extra::Assets,
            "cold-start" => Extra::ColdStart,
            "stalls" => Extra::Stalls,
            _ => return None,
        })
    }

    /// Measures and prints; says whether every answer was right.
    pub fn run(self, bench: &Bench<'_>) -> Result<bool> {
        match self {
            Extra::Sizes => sizes::run(bench),
            Extra::Sweep => sweep::run(bench),
            Extra::Growth => growth::run(bench),
            Extra::Assets => assets::run(bench),
            Extra::ColdStart => cold_start::run(bench),
            Extra::Stalls => stalls::run(bench),
        }
    }
}

/// The load of the targets: visitors who come back, 64 at once.
const BUSY: Cell = Cell { scenario: Scenario::Returning, connections: 64 };

impl<'a> Bench<'a> {
    fn start(&self, name: &str, fill: Fill) -> Result<Contender> {
        app::start(name, self.app, app::QUIET, &self.plan.environment, self.place, self.database, fill)
    }

    fn stage(&self, usual: Duration) -> Stage<'a> {
        Stage { place: self.place, database: self.database, window: self.plan.window.unwrap_or(usual) }
    }
}

/// Whether every answer was right; if not, says so.
fn is_right(measurement: &Measurement) -> bool {
    if !measurement.errors.is_empty() {
        println!(
            "ERRORS: {}: {:?}: THESE FIGURES ARE WORTH NOTHING",
            measurement.contender, measurement.errors
        );
    }
    measurement.errors.is_empty()
}
