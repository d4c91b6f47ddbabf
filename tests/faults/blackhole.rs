//! The database is there and can't be heard: a network that swallows packets, a machine that hangs.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use dev::process;

use crate::{
    client::Visitor,
    stage::{App, Stage, signal},
};

const TWO_SECONDS: Duration = Duration::from_secs(2);
const FIVE_SECONDS: Duration = Duration::from_secs(5);

#[test]
fn a_network_that_swallows_packets_is_a_503_page_and_its_connections_are_replaced() {
    let stage = Stage::new();
    let network = Network::to(stage.postgres.port());
    let url = stage.url().replace(&stage.postgres.port().to_string(), &network.address.port().to_string());
    let app = App::start(&[("DATABASE_URL", url)]);
    app.wait_until_ready(FIVE_SECONDS);
    let mut visitor = app.visitor();
    let user = visitor.get("/").user().to_owned();
    fill_the_pool(&app);

    network.lose_everything();
    assert_pages_are_503(&app, &mut visitor);
    network.work_for_new_connections();

    app.assert_recovers_within(FIVE_SECONDS);
    assert_eq!(visitor.get("/").user(), user);
}

#[test]
fn connections_that_a_firewall_forgot_are_replaced_before_anybody_waits_for_them() {
    let stage = Stage::new();
    let network = Network::to(stage.postgres.port());
    let url = stage.url().replace(&stage.postgres.port().to_string(), &network.address.port().to_string());
    let app = App::start(&[("DATABASE_URL", url)]);
    app.wait_until_ready(FIVE_SECONDS);
    fill_the_pool(&app);

    network.lose_everything();
    network.work_for_new_connections();
    // A firewall forgets what is silent, so what was used a moment ago is not tried first.
    thread::sleep(Duration::from_millis(1_100));

    for _ in 0..20 {
        let answer = app.get("/");
        assert_eq!(answer.status, 200, "{answer:#?}");
    }
    assert!(app.is_ready());
}

#[test]
fn a_database_that_hangs_is_a_503_page() {
    let stage = Stage::new();
    let app = stage.app();
    let mut visitor = app.visitor();
    let user = visitor.get("/").user().to_owned();
    fill_the_pool(&app);

    let server = stage.postgres.pid();
    let processes = std::iter::once(server).chain(process::children(server)).collect::<Vec<_>>();
    signal("STOP", &processes);
    assert_pages_are_503(&app, &mut visitor);
    signal("CONT", &processes);

    app.assert_recovers_within(FIVE_SECONDS);
    assert_eq!(visitor.get("/").user(), user);
}

#[test]
fn a_database_that_does_not_answer_at_the_start_is_waited_for() {
    let stage = Stage::new();
    let network = Network::to(stage.postgres.port());
    let url = stage.url().replace(&stage.postgres.port().to_string(), &network.address.port().to_string());
    network.lose_everything();

    let app = App::start(&[("DATABASE_URL", url)]);
    app.get("/").assert_is_503_page();
    app.assert_alive();
    network.work_for_new_connections();

    app.wait_until_ready(FIVE_SECONDS);
    assert_eq!(app.get("/").status, 200);
}

/// Asks for enough at once that the app opens every connection that it may.
fn fill_the_pool(app: &App) {
    thread::scope(|scope| {
        for path in ["/", "/health/ready"].repeat(16) {
            scope.spawn(move || app.get(path));
        }
    });
}

/// More requests than there are connections to lose.
fn assert_pages_are_503(app: &App, visitor: &mut Visitor) {
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let answer = app.get("/");
                answer.assert_is_503_page();
                assert!(answer.took < TWO_SECONDS, "{answer:#?}");
            });
            scope.spawn(|| {
                let ready = app.get("/health/ready");
                assert!(ready.status == 503 && ready.took < Duration::from_secs(1), "{ready:#?}");
            });
        }
    });
    let answer = visitor.get("/");
    answer.assert_is_503_page();
    assert!(answer.took < TWO_SECONDS, "{answer:#?}");
    app.assert_alive();
}

/// Stands between the app and its database, and forwards.
struct Network {
    address: SocketAddr,
    /// Connections made before the last loss are of an older age, and stay silent for ever.
    age: Arc<AtomicUsize>,
}

const LOST: usize = 1;

impl Network {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let age = Arc::new(AtomicUsize::new(0));
        let of_all = age.clone();
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let born = of_all.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().expect("clone"), to.try_clone().expect("clone"));
                    let age = of_all.clone();
                    thread::spawn(move || forward(from, to, born, &age));
                }
            }
        });
        Self { address, age }
    }

    /// From here on nothing gets through, and nobody is told.
    fn lose_everything(&self) {
        self.age.store(LOST, Ordering::SeqCst);
    }

    /// New connections work; the old ones stay as silent as they are.
    fn work_for_new_connections(&self) {
        self.age.store(LOST + 1, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, born: usize, age: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let now = age.load(Ordering::SeqCst);
        if now == born && now != LOST && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if age.load(Ordering::SeqCst) == born {
        let _ = to.shutdown(Shutdown::Both);
    }
}
