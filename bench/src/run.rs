//! A measurement from its beginning to its end.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    account::{self, Account},
    args::Plan,
    contender::{Contender, Place, app, express, pgbench, rust_peers},
    database::Database,
    extra::Bench,
    load::Scenario,
    machine,
    measure::{Cell, DISTURBANCE, Measurement, Stage},
    report::{self, Results},
    usage,
};

/// Those who take part, and those who can't, with the reason.
struct Cast {
    contenders: Vec<Contender>,
    missing: Vec<(String, String)>,
}

/// Measures; says whether every answer was right.
pub fn run(plan: &Plan) -> Result<bool> {
    let place = place()?;
    let begin = Instant::now();
    let apps = match plan.apps.is_empty() {
        true => vec![app::build(&place)?],
        false => plan.apps.clone(),
    };
    let database = Database::start(&place.work.join("postgres"))?;
    let about = machine::describe(&place.work, &database)?;
    let mut is_right = true;
    if !plan.scenarios.is_empty() {
        let cast = assemble(plan, &place, &database, &apps)?;
        let results = compare(plan, &place, &database, cast, about)?;
        is_right = report::publish(&results, plan, &place)?;
    }
    let bench = Bench { plan, place: &place, database: &database, app: &apps[0] };
    for extra in &plan.extras {
        is_right &= extra.run(&bench)?;
    }
    if plan.statements {
        report::statements(&database)?;
    }
    database.remove()?;
    eprintln!("took {:.0} s, with all building and starting", begin.elapsed().as_secs_f64());
    Ok(is_right)
}

fn place() -> Result<Place> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = env::current_exe()?;
    // target/release/bench
    let target = program.ancestors().nth(2).context("this program lies in cargo's target directory")?;
    let place = Place {
        project: here.parent().unwrap_or(here).to_owned(),
        target: target.to_owned(),
        work: target.join("bench"),
    };
    fs::create_dir_all(&place.work)?;
    Ok(place)
}

/// The app first: the others are held against it.
fn assemble(plan: &Plan, place: &Place, database: &Database, apps: &[PathBuf]) -> Result<Cast> {
    let mut cast = Cast { contenders: Vec::new(), missing: Vec::new() };
    let sessions = plan.sessions;
    let start = |name: &str, file: &Path, level| {
        app::start(name, file, level, &plan.environment, place, database, app::fill(sessions))
    };
    for (n, file) in apps.iter().enumerate().filter(|_| plan.wants("app")) {
        let name = if n == 0 { "app".to_owned() } else { format!("app {}", n + 1) };
        // Without the app there is nothing to measure.
        cast.contenders.push(start(&name, file, app::QUIET)?);
    }
    if plan.wants("log") && plan.connections.contains(&64) {
        let talkative = start("app, log on", &apps[0], app::TALKATIVE).map(|mut contender| {
            if let Some(server) = contender.as_server() {
                server.only_at = vec![64];
            }
            contender
        });
        cast.add("app, log on", talkative);
    }
    if plan.wants("express") {
        cast.add("express", express::start(place, database, sessions));
    }
    if plan.wants("axum") {
        cast.add("axum", rust_peers::axum(place, database, sessions));
    }
    if plan.wants("redis") {
        cast.add("redis", rust_peers::redis(place, database, sessions));
    }
    if plan.wants("pgbench") {
        match pgbench::assemble(place, database, sessions) {
            Ok(scripts) => cast.contenders.extend(scripts),
            Err(error) => cast.miss("pgbench", &error),
        }
    }
    Ok(cast)
}

impl Cast {
    fn add(&mut self, name: &str, contender: Result<Contender>) {
        match contender {
            Ok(contender) => self.contenders.push(contender),
            Err(error) => self.miss(name, &error),
        }
    }

    fn has_failed(&self, name: &str) -> bool {
        self.missing.iter().any(|(missing, _)| missing == name)
    }

    fn miss(&mut self, name: &str, error: &anyhow::Error) {
        eprintln!("MISSING: {name}: {error:#}");
        self.missing.push((name.to_owned(), format!("{error:#}")));
    }
}

fn compare(
    plan: &Plan,
    place: &Place,
    database: &Database,
    mut cast: Cast,
    about: Vec<(String, String)>,
) -> Result<Results> {
    let mut measurements = Vec::new();
    // New visitors add rows: those who return come first, while there are as many sessions as was said.
    for scenario in [Scenario::Returning, Scenario::New] {
        if !plan.scenarios.contains(&scenario) {
            continue;
        }
        for round in 1..=plan.rounds {
            for &connections in &plan.connections {
                let cell = Cell { scenario, connections };
                let stage = Stage { place, database, window: plan.window(connections) };
                measurements.extend(all_in_turn(&stage, &mut cast, cell, round, plan.calm)?);
            }
        }
    }
    let stage = Stage { place, database, window: plan.window(64) };
    Ok(Results {
        about,
        contenders: cast.contenders.iter().map(|one| (one.name.clone(), one.about.clone())).collect(),
        accounts: accounts(&stage, plan, &mut cast.contenders),
        missing: cast.missing,
        sessions: plan.sessions,
        rounds: plan.rounds,
        calm: plan.calm,
        environment: plan.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        measurements,
    })
}

/// Everyone, under the same load, one after the other; another one begins in each round.
fn all_in_turn(
    stage: &Stage<'_>,
    cast: &mut Cast,
    cell: Cell,
    round: usize,
    calm: bool,
) -> Result<Vec<Measurement>> {
    stage.database.checkpoint()?;
    let mut measured = Vec::new();
    let count = cast.contenders.len();
    for n in 0..count {
        let contender = &mut cast.contenders[(n + round - 1) % count];
        let name = contender.name.clone();
        if !contender.takes_part(cell.scenario, cell.connections) || cast.has_failed(&name) {
            continue;
        }
        let contender = &mut cast.contenders[(n + round - 1) % count];
        let outcome = calm_down(calm, || stage.measure(contender, cell, round));
        match outcome {
            Ok(measurement) => {
                eprintln!("{}", report::line(&measurement));
                measured.push(measurement);
            }
            Err(error) => cast.miss(&name, &error),
        }
    }
    Ok(measured)
}

/// Measures; and again, where it is wished, while other programs disturb: they decide what counts, not the figures.
fn calm_down(calm: bool, mut measure: impl FnMut() -> Result<Measurement>) -> Result<Measurement> {
    for _ in 0..if calm { 20 } else { 0 } {
        let begin = Instant::now();
        while usage::share_busy() > DISTURBANCE && begin.elapsed() < Duration::from_secs(30) {}
        let measurement = measure()?;
        if !measurement.is_disturbed() {
            return Ok(measurement);
        }
    }
    measure()
}

fn accounts(stage: &Stage<'_>, plan: &Plan, contenders: &mut [Contender]) -> Vec<Account> {
    let mut accounts = Vec::new();
    for contender in contenders {
        for &scenario in &plan.scenarios {
            let cell = account::cell(scenario, &plan.connections);
            if !contender.takes_part(scenario, cell.connections) {
                continue;
            }
            match account::account(stage, contender, cell) {
                Ok(account) => accounts.extend(account),
                Err(error) => eprintln!("can't count what {} asks of PostgreSQL: {error:#}", contender.name),
            }
        }
    }
    accounts
}
