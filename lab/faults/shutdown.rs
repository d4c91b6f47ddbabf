//! Tests what happens when the program receives a signal to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{io::BufReader, thread};

use crate::program::{App, NO_DATABASE, eventually};
use crate::{client::connect, stage::Stage};

const CLIENTS: usize = 32;

/// Runs 32 clients that keep their connections open, behind a load balancer that stops sending requests some
/// time after readiness has failed.
#[test]
fn no_request_fails_when_sigterm_arrives_under_load() {
    let stage = Stage::new();
    let mut app = stage.app();
    let balancer_sends = AtomicBool::new(true);
    let answered = AtomicUsize::new(0);

    let late = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| keep_visiting(&app, &balancer_sends, &answered))).collect();
        let stop = Stop(&balancer_sends);
        eventually("the load has started", Duration::from_secs(10), || {
            (answered.load(Ordering::Relaxed) > 500).then_some(())
        });
        app.signal("TERM");
        eventually("readiness fails", Duration::from_secs(1), || (!app.is_ready()).then_some(()));
        let late = app.get("/");
        // A load balancer checks readiness only periodically, and sends requests until it notices.
        thread::sleep(Duration::from_millis(1_000));
        drop(stop);
        for client in clients {
            client.join().expect("every request returns 200");
        }
        late
    });

    assert_eq!(late.status, 200, "{late:#?}");
    assert!(late.closes_connection(), "{late:#?}");
    let ended = app.ends_within(Duration::from_secs(10));
    assert_eq!(ended.code(), Some(0), "{}", app.log());
    assert!(app.log().contains("stopped") && !app.log().contains("did not close in time"), "{}", app.log());
}

/// Stops the clients when it is dropped, even if the test panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn keep_visiting(app: &App, balancer_sends: &AtomicBool, answered: &AtomicUsize) {
    let mut visitor = app.visitor();
    while balancer_sends.load(Ordering::Relaxed) {
        let answer =
            visitor.try_get("/").unwrap_or_else(|error| panic!("a request without a response: {error}"));
        assert_eq!(answer.status, 200, "{answer:#?}");
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs clients that open a connection for each request, without a load balancer. The kernel may reset
/// connections that it accepts just as the app closes its socket, as SECURITY.md says.
#[test]
fn sigterm_leaves_only_a_few_new_connections_unanswered() {
    let mut app = App::start(&[("DATABASE_URL", NO_DATABASE.to_owned())]);
    let (answered, unanswered) = (AtomicUsize::new(0), AtomicUsize::new(0));

    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while let Ok(connection) = connect(app.address) {
                    let mut visitor = app.visitor();
                    visitor.connection = Some(BufReader::new(connection));
                    match visitor.try_get_with("/health/live", "Connection: close\r\n") {
                        Ok(answer) => {
                            assert_eq!(answer.status, 200, "{answer:#?}");
                            answered.fetch_add(1, Ordering::Relaxed)
                        }
                        Err(_) => unanswered.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
        eventually("the load has started", Duration::from_secs(10), || {
            (answered.load(Ordering::Relaxed) > 500).then_some(())
        });
        app.signal("TERM");
    });

    let (answered, unanswered) = (answered.into_inner(), unanswered.into_inner());
    println!("{unanswered} of {} connections were reset", answered + unanswered);
    // Usually at most one per client. On a busy machine, the app may accept a second one before it closes its socket.
    assert!(unanswered <= 3 * CLIENTS, "{unanswered} of {}", answered + unanswered);
    assert_eq!(app.ends_within(Duration::from_secs(10)).code(), Some(0), "{}", app.log());
}

#[test]
fn sigint_stops_listening_immediately_and_lets_running_requests_finish() {
    let stage = Stage::new();
    let mut app = stage.app();
    let lock = stage.holding("begin; lock table sessions");

    let (answer, begin) = thread::scope(|scope| {
        // On a busy machine, a request may end before it is seen waiting for the lock. Then there is another one.
        let waits = |_| {
            let request = scope.spawn(|| app.get("/"));
            // A readiness check may wait, too, but it only reads.
            let writers = "select count(*) from pg_locks where not granted and mode = 'RowExclusiveLock'";
            while !request.is_finished() && stage.sql(writers) != "1" {}
            (!request.is_finished()).then_some(request)
        };
        let request = (0..10).find_map(waits).expect("a request that waits for the lock");
        let begin = Instant::now();
        app.signal("INT");
        eventually("no other request is accepted", Duration::from_secs(1), || {
            app.visitor().try_get("/health/live").err()
        });
        drop(lock);
        (request.join().expect("a response"), begin)
    });

    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.closes_connection(), "{answer:#?}");
    assert_eq!(app.ends_within(Duration::from_secs(3)).code(), Some(0), "{}", app.log());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn a_second_signal_stops_the_app_immediately() {
    let stage = Stage::new();
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT")] {
        let mut app = stage.app();

        app.signal(first);
        eventually("it stops", Duration::from_secs(1), || (!app.is_ready()).then_some(()));
        app.signal(second);

        // Without the second signal, the code would be 0.
        assert_eq!(app.ends_within(Duration::from_secs(5)).code(), Some(130), "{}", app.log());
    }
}

#[test]
fn a_dead_database_does_not_keep_the_app_from_stopping() {
    let mut stage = Stage::new();
    let mut app = stage.app();
    app.get("/");
    stage.postgres.kill9().expect("kill");

    app.signal("TERM");

    assert_eq!(app.ends_within(Duration::from_secs(10)).code(), Some(0), "{}", app.log());
}

#[test]
fn the_app_can_be_stopped_while_it_waits_for_its_database() {
    let mut stage = Stage::new();
    stage.postgres.stop();
    let mut app = stage.start(&[]);
    app.assert_alive();

    app.signal("INT");

    assert_eq!(app.ends_within(Duration::from_secs(3)).code(), Some(0), "{}", app.log());
}
