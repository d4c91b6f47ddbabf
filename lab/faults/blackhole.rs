//! Tests outages in which the database is running but the app receives nothing from it, because the network
//! loses packets or the machine hangs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{thread, time::Duration};

use dev::process;

use crate::program::{App, eventually, signal};
use crate::{client::Visitor, stage::Stage};

const TWO_SECONDS: Duration = Duration::from_secs(2);
const FIVE_SECONDS: Duration = Duration::from_secs(5);

#[test]
fn packet_loss_causes_a_503_page_and_the_app_replaces_its_connections() {
    let stage = Stage::new();
    let network = Network::to(stage.postgres.port);
    let app = App::start(&[("DATABASE_URL", network.url(&stage))]);
    app.wait_until_ready(FIVE_SECONDS);
    let mut visitor = app.visitor();
    let user = visitor.get("/").visitor().to_owned();
    fill_the_pool(&app);

    network.lose_everything();
    assert_pages_are_503(&app, &mut visitor);
    network.work_for_new_connections();

    app.assert_recovers_within(FIVE_SECONDS);
    let page = eventually("visits succeed", FIVE_SECONDS, || {
        Some(visitor.get("/")).filter(|page| page.status == 200)
    });
    assert_eq!(page.visitor(), user);
}

#[test]
fn connections_dropped_by_a_firewall_are_replaced_without_an_error() {
    let stage = Stage::new();
    let network = Network::to(stage.postgres.port);
    let app = App::start(&[("DATABASE_URL", network.url(&stage))]);
    app.wait_until_ready(FIVE_SECONDS);
    let mut visitor = app.visitor();
    visitor.get("/");
    let count = visitor.get("/").visits();
    fill_the_pool(&app);

    network.lose_everything();
    network.work_for_new_connections();
    // Firewalls drop idle connections. The app checks a connection only if it was idle for a second.
    thread::sleep(Duration::from_millis(1_100));

    for visits in count + 1..=count + 20 {
        let (first, returning) = (app.get("/"), visitor.get("/"));
        assert_eq!(first.status, 200, "{first:#?}");
        assert_eq!((returning.status, returning.visits()), (200, visits), "{returning:#?}");
        // On a busy machine, connecting again may exceed the time limit of the first readiness check.
        app.wait_until_ready(FIVE_SECONDS);
    }
}

#[test]
fn a_database_that_hangs_causes_a_503_page() {
    let stage = Stage::new();
    let app = stage.app();
    let mut visitor = app.visitor();
    let user = visitor.get("/").visitor().to_owned();
    fill_the_pool(&app);

    let server = stage.postgres.pid;
    let processes = std::iter::once(server).chain(process::children(server)).collect::<Vec<_>>();
    signal("STOP", &processes);
    assert_pages_are_503(&app, &mut visitor);
    signal("CONT", &processes);

    app.assert_recovers_within(FIVE_SECONDS);
    assert_eq!(visitor.get("/").visitor(), user);
}

#[test]
fn the_app_waits_for_a_database_that_does_not_respond_at_startup() {
    let stage = Stage::new();
    let network = Network::to(stage.postgres.port);
    network.lose_everything();

    let app = App::start(&[("DATABASE_URL", network.url(&stage))]);
    app.get("/").assert_is_503_page();
    app.assert_alive();
    network.work_for_new_connections();

    app.wait_until_ready(FIVE_SECONDS);
    assert_eq!(app.get("/").status, 200);
}

/// Sends enough concurrent requests to make the app open all its connections.
fn fill_the_pool(app: &App) {
    thread::scope(|scope| {
        for path in ["/", "/health/ready"].repeat(16) {
            scope.spawn(move || app.get(path));
        }
    });
}

/// Checks that pages and readiness checks return 503. Sends more requests than there are connections to lose.
fn assert_pages_are_503(app: &App, visitor: &mut Visitor) {
    // The result of a readiness check is cached for 200 ms.
    thread::sleep(Duration::from_millis(250));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let answer = app.get("/");
                answer.assert_is_503_page();
                app.assert_in_time(&answer, TWO_SECONDS);
            });
            scope.spawn(|| {
                let ready = app.get("/health/ready");
                assert_eq!(ready.status, 503, "{ready:#?}");
                app.assert_in_time(&ready, Duration::from_secs(1));
            });
        }
    });
    let answer = visitor.get("/");
    answer.assert_is_503_page();
    app.assert_in_time(&answer, TWO_SECONDS);
    app.assert_alive();
}

#[test]
fn the_app_serves_and_is_ready_with_a_round_trip_of_250_ms_to_its_database() {
    let stage = Stage::new();
    let network = Network::far_from(stage.postgres.port, Duration::from_millis(125));
    let app = App::start(&[("DATABASE_URL", network.url(&stage)), ("WORKERS", "1".into())]);

    app.wait_until_ready(Duration::from_secs(30));
    let mut visitor = app.visitor();
    eventually("all connections are open", Duration::from_secs(30), || {
        (visitor.get("/").status == 200 && visitor.get("/").status == 200).then_some(())
    });

    let visits = visitor.get("/").visits();
    for visit in visits + 1..=visits + 5 {
        let page = visitor.get("/");
        assert_eq!((page.status, page.visits()), (200, visit), "{page:#?}");
        assert!(app.is_ready());
    }
}

/// Forwards connections between the app and its database.
struct Network {
    address: SocketAddr,
    /// Each loss starts a new generation of connections. Older connections never respond again.
    age: Arc<AtomicUsize>,
}

const LOST: usize = 1;

impl Network {
    fn to(port: u16) -> Self {
        Self::far_from(port, Duration::ZERO)
    }

    /// Delays packets in each direction.
    fn far_from(port: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let age = Arc::new(AtomicUsize::new(0));
        let shared = age.clone();
        // The thread stops when the test's process exits.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let born = shared.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("clone"), to.try_clone().expect("clone"));
                    let age = shared.clone();
                    thread::spawn(move || forward(from, to, delay, born, &age));
                }
            }
        });
        Self { address, age }
    }

    /// The URL of the stage's database, through this network.
    fn url(&self, stage: &Stage) -> String {
        let (port, own) = (stage.postgres.port, self.address.port());
        stage.url().replace(&format!(":{port}/"), &format!(":{own}/"))
    }

    /// Loses all packets from now on, without closing any connection.
    fn lose_everything(&self) {
        self.age.store(LOST, Ordering::SeqCst);
    }

    /// Lets new connections work. The old ones still never respond.
    fn work_for_new_connections(&self) {
        self.age.store(LOST + 1, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration, born: usize, age: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        thread::sleep(delay);
        let now = age.load(Ordering::SeqCst);
        if now == born && now != LOST && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if age.load(Ordering::SeqCst) == born {
        let _ = to.shutdown(Shutdown::Both);
    }
}
