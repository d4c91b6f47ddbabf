//! Tests how many connections to PostgreSQL the replicas open.

use std::{thread, time::Duration};

use crate::program::{App, eventually};
use crate::{outages::at_once, stage::Stage};

const POOL: usize = 10;
const WORKERS: usize = 2;

/// Makes the app open all of its connections: the ones that concurrent visits share, and the whole pool.
fn open_all_connections(stage: &Stage, app: &App, most: usize) {
    let mut visitor = app.visitor();
    visitor.get("/");
    eventually("all connections are open", Duration::from_secs(30), || {
        // Makes the idle timer due for a reset. Requests on both workers notice this at the same time.
        stage.sql("update sessions set expires_at = now() + interval '20 minutes'");
        for cookie in [visitor.cookie.clone(), None] {
            at_once(app, 16, "/", &app.visitor_with(cookie));
        }
        // `/visits` reads the count through the pool, and waits for this lock.
        let lock = stage.holding("begin; lock table visitors");
        thread::scope(|scope| {
            scope.spawn(|| at_once(app, 2 * POOL, "/visits", &visitor));
            let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
            eventually("the pool is in use", Duration::from_secs(10), || {
                stage.sql(waiting).parse::<usize>().is_ok_and(|waiting| waiting == POOL).then_some(())
            });
            drop(lock);
        });
        let open = connections(stage);
        assert!(open <= most, "{open} connections are open, but at most {most} are expected");
        (open == most).then_some(())
    });
}

fn connections(stage: &Stage) -> usize {
    let own = "select count(*) from pg_stat_activity where application_name = 'actix-postgres-sessions'";
    stage.sql(own).parse().expect("a number")
}

/// Returns the rows of the table in `docs/configuration.md`: replicas and their connections.
fn documented() -> Vec<(usize, usize)> {
    let document = include_str!("../../docs/configuration.md");
    let (_, table) = document.split_once("| replicas | connections |\n|").expect("the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<usize> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
        (cells[0], cells[1])
    })
    .collect()
}

#[test]
fn replicas_open_as_many_connections_as_documented() {
    let stage = Stage::new();
    let settings = [("DATABASE_MAX_CONNECTIONS", &*POOL.to_string()), ("WORKERS", &*WORKERS.to_string())];
    let documented = documented();
    assert!(documented.len() >= 3, "{documented:?}");

    let mut replicas = Vec::new();
    for (number, most) in documented {
        while replicas.len() < number {
            let others = connections(&stage);
            let app = stage.app_with(&settings);
            open_all_connections(&stage, &app, others + POOL + 4 * WORKERS + 1);
            replicas.push(app);
        }
        assert_eq!(connections(&stage), most, "with {number} replicas");
    }
}
