//! `cargo dev lab chaos`: three minutes of faults in random order, while visitors load pages, log in, rotate
//! their keys and log out. It prints its seed. `CHAOS_SEED=7` repeats the order of the faults.
//!
//! Three things must always hold. No acknowledged visit is lost or counted twice. An ended session never becomes valid
//! again. Every response arrives within 2.5 seconds, and everything recovers within 5 seconds after a fault ends.

#[allow(dead_code)]
#[path = "../faults/client.rs"]
mod client;
mod faults;
mod proxy;
mod replica;
mod stage;
mod visitor;

use std::time::{Duration, Instant};
use std::{collections::HashMap, env, process::ExitCode, thread};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use stage::Stage;
use visitor::{Load, Seen, Visitor};

const VISITORS: usize = 16;
const LENGTH: Duration = Duration::from_secs(170);
const RECOVERY: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("replica") => replica::serve(),
        // Cargo passes its own arguments, such as `--quiet`.
        _ => run(),
    }
}

fn run() -> ExitCode {
    let seed = env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new();
    let load = Load::new(stage.addresses());
    let begin = Instant::now();

    let seen: Vec<(String, Seen)> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|number| {
                scope.spawn({
                    let load = &load;
                    move || Visitor::new(load, seed ^ number as u64).run()
                })
            })
            .collect();
        let mut faults = Vec::new();
        while begin.elapsed() < LENGTH && load.problem().is_none() {
            thread::sleep(Duration::from_millis(random.random_range(500..1500)));
            if faults.is_empty() {
                faults = faults::ALL.to_vec();
                faults.shuffle(&mut random);
            }
            let (name, cause) = faults.pop().expect("it was just filled");
            load.begin(name);
            let Some(detail) = cause(&mut stage, &load, &mut random) else {
                println!("SKIPPED  {name}: this needs a program or permission that isn't available here");
                continue;
            };
            match load.recovery(RECOVERY) {
                Some(took) => println!(
                    "{:>5.1} s  {name}{detail}: recovered after {took:.1?}",
                    begin.elapsed().as_secs_f64()
                ),
                None => load.violate(&format!("no recovery within {RECOVERY:?}: {}", load.unrecovered())),
            }
        }
        load.stop();
        visitors.into_iter().flat_map(|visitor| visitor.join().expect("a visitor")).collect()
    });

    if load.problem().is_none() {
        compare(&stage, &seen, &load);
    }
    println!("{}", load.summary());
    match load.problem() {
        None => ExitCode::SUCCESS,
        Some(problem) => {
            println!("FAILED  CHAOS_SEED={seed}: {problem}\n{}", stage.logs());
            ExitCode::FAILURE
        }
    }
}

/// Compares the table with what the visitors saw.
fn compare(stage: &Stage, seen: &[(String, Seen)], load: &Load) {
    let rows = stage.sql("select id, visits from visitors");
    let stored: HashMap<&str, u64> = rows
        .lines()
        .filter_map(|row| row.split_once('|'))
        .map(|(id, visits)| (id, visits.parse().expect("a number")))
        .collect();
    for (user, seen) in seen {
        // The first visit adds no row to `visitors`.
        let visits = stored.get(user.as_str()).copied().unwrap_or(1);
        if visits < seen.visits || visits > seen.visits + seen.unknown.len() as u64 {
            load.violate(&format!("{user} has {visits} visits in the table, but the visitor saw {seen:?}"));
        }
    }
    println!("compared {} visitors with {} rows", seen.len(), stored.len());
}
