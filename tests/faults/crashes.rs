//! What was acknowledged is kept, however often the database dies.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::Visitor,
    stage::{App, Stage, eventually},
};

const KILLS: usize = 20;
const VISITORS: usize = 12;

/// A visitor comes so often, then forgets their cookie: new sessions are at stake as well.
const VISITS: usize = 40;

/// The temporary server is careless by default, as its data need not outlive it. Here it must.
const DURABLE: [(&str, &str); 3] =
    [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")];

/// What the pages said to one user.
#[derive(Default)]
struct Shown {
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
fn twenty_kills_of_the_database_under_load_lose_no_acknowledged_visit() {
    let mut stage = Stage::with(&DURABLE);
    let app = stage.app();
    let load = Load::default();

    let shown: Vec<(String, Shown)> = thread::scope(|scope| {
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
    for (user, shown) in &shown {
        let visits = counted.get(user).copied().unwrap_or(0);
        assert!(visits >= shown.pages, "{user}: {visits} visits, {} pages", shown.pages);
        assert!(visits >= shown.highest, "{user}: {visits} visits, {} shown", shown.highest);
    }
    let without_session = "select count(*) from users where not exists (
        select from sessions where state->>'user_id' = users.id::text) and id = any('{USERS}')";
    let users = shown.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>().join(",");
    assert_eq!(stage.sql(&without_session.replace("USERS", &users)), "0", "a session was lost");
    let pages: u64 = shown.iter().map(|(_, shown)| shown.pages).sum();
    println!("{KILLS} kills, {} users, {pages} pages, {:?} refused", shown.len(), load.refused);
}

/// Comes again and again. Every answer is a page with a visit, or the 503 page, and a session is never another's.
fn visit(app: &App, load: &Load) -> Vec<(String, Shown)> {
    let mut all = Vec::new();
    while !load.stop.load(Ordering::Relaxed) {
        let mut visitor = Visitor::new(app.address);
        let mut user = None;
        let mut shown = Shown::default();
        for _ in 0..VISITS {
            let answer = visitor.get("/");
            if answer.status != 200 {
                answer.assert_is_503_page();
                load.refused.fetch_add(1, Ordering::Relaxed);
                // Not as `Retry-After` says, but PostgreSQL wants a processor to recover on.
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            load.served.fetch_add(1, Ordering::Relaxed);
            assert_eq!(user.get_or_insert_with(|| answer.user().to_owned()), answer.user());
            assert!(answer.visits() > shown.highest, "{} after {}", answer.visits(), shown.highest);
            shown = Shown { pages: shown.pages + 1, highest: answer.visits() };
        }
        all.extend(user.map(|user| (user, shown)));
    }
    all
}

fn counts(stage: &Stage) -> HashMap<String, u64> {
    let rows = stage.sql("select id || ' ' || visits from users");
    let pair = |row: &str| {
        row.split_once(' ').map(|(id, visits)| (id.to_owned(), visits.parse().expect("a number")))
    };
    rows.lines().filter_map(pair).collect()
}

fn wait_for_more(count: &AtomicUsize, more: usize) {
    let until = count.load(Ordering::Relaxed) + more;
    eventually("more answers", Duration::from_secs(15), || {
        (count.load(Ordering::Relaxed) >= until).then_some(())
    });
}

/// Ends the load, and so the threads that a failing test waits for.
struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
