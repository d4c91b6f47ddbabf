//! Tests that no acknowledged visit is lost, no matter how often the database is killed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{collections::HashMap, thread};

use crate::program::{App, eventually};
use crate::{client::Visitor, stage::Stage};

const KILLS: usize = 20;
const VISITORS: usize = 12;

/// Number of visits after which a visitor forgets the cookie, so that the test also starts new sessions.
const VISITS: usize = 40;

/// The settings of a real server. A temporary server doesn't wait for the disk.
const DURABLE: [(&str, &str); 3] =
    [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")];

/// The pages that one user has seen.
#[derive(Default)]
struct Seen {
    pages: u64,
    highest: u64,
}

#[derive(Default)]
struct Load {
    stop: AtomicBool,
    served: AtomicUsize,
    refused: AtomicUsize,
}

#[test]
fn killing_the_database_twenty_times_under_load_loses_no_acknowledged_visit() {
    let mut stage = Stage::with(&DURABLE);
    let app = stage.app();
    let load = Load::default();

    let seen: Vec<(String, Seen)> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(|| visit(&app, &load))).collect();
        let stop = Stop(&load);
        for _ in 0..KILLS {
            wait_for_more(&load.served, 50);
            stage.postgres.kill9().expect("kill");
            wait_for_more(&load.refused, 1);
            stage.postgres.restart().expect("restart");
            let back = Instant::now();
            wait_for_more(&load.served, VISITORS);
            assert!(back.elapsed() < Duration::from_secs(5), "it took {:?} to recover", back.elapsed());
        }
        drop(stop);
        visitors.into_iter().flat_map(|visitor| visitor.join().expect("only 200 and 503")).collect()
    });

    let counted = counts(&stage);
    for (user, seen) in &seen {
        let visits = counted.get(user).unwrap_or_else(|| panic!("the session of {user} was lost"));
        assert!(*visits >= seen.pages, "{user}: {visits} visits, {} pages", seen.pages);
        assert!(*visits >= seen.highest, "{user}: {visits} visits, {} shown", seen.highest);
    }
    let pages: u64 = seen.iter().map(|(_, seen)| seen.pages).sum();
    assert!(seen.iter().any(|(_, seen)| seen.pages > 1), "no user visited twice in {pages} pages");
    println!("{KILLS} kills, {} users, {pages} pages, {:?} refused", seen.len(), load.refused);
}

/// Visits until the load stops. Checks that every response shows a visit or is the 503 page, and that each
/// cookie always shows the same user.
fn visit(app: &App, load: &Load) -> Vec<(String, Seen)> {
    let mut all = Vec::new();
    while !load.stop.load(Ordering::Relaxed) {
        let mut visitor = Visitor::new(app.address);
        let mut user = None;
        let mut seen = Seen::default();
        for _ in 0..VISITS {
            if load.stop.load(Ordering::Relaxed) {
                break;
            }
            let answer = visitor.get("/");
            if answer.status != 200 {
                answer.assert_is_503_page();
                load.refused.fetch_add(1, Ordering::Relaxed);
                // Leaves CPU time for PostgreSQL's recovery.
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            load.served.fetch_add(1, Ordering::Relaxed);
            assert_eq!(
                user.get_or_insert_with(|| answer.visitor().to_owned()),
                answer.visitor(),
                "{answer:#?}"
            );
            assert!(answer.visits() > seen.highest, "{} after {}", answer.visits(), seen.highest);
            seen = Seen { pages: seen.pages + 1, highest: answer.visits() };
        }
        all.extend(user.map(|user| (user, seen)));
    }
    all
}

/// Returns the number of visits for each session. A session without a row in `visitors` has one visit.
fn counts(stage: &Stage) -> HashMap<String, u64> {
    let rows = stage.sql(
        "select state->>'visitor_id' || ' ' || coalesce(visits, 1)
         from sessions
         left join visitors on visitors.id = (state->>'visitor_id')::uuid",
    );
    let pair = |row: &str| {
        row.split_once(' ').map(|(id, visits)| (id.to_owned(), visits.parse().expect("a number")))
    };
    rows.lines().filter_map(pair).collect()
}

fn wait_for_more(count: &AtomicUsize, more: usize) {
    let until = count.load(Ordering::Relaxed) + more;
    eventually("more responses", Duration::from_secs(15), || {
        (count.load(Ordering::Relaxed) >= until).then_some(())
    });
}

/// Stops the load when it is dropped, even if the test panics.
struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
