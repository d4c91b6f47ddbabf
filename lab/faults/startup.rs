//! Tests that the program starts, or says in one message why it doesn't.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, path::Path, thread};

use crate::program::{App, NO_DATABASE, eventually};
use crate::{process::program, stage::Stage};

const SOON: Duration = Duration::from_secs(5);

/// The beginning of the program's last message.
const MESSAGE: &str = "actix-postgres-sessions: ";

#[test]
fn two_instances_that_start_at_the_same_time_migrate_once_and_both_serve() {
    let stage = Stage::new();

    let apps = [stage.start(&[]), stage.start(&[])];
    for app in &apps {
        app.wait_until_ready(SOON);
        assert_eq!(app.get("/").status, 200);
    }

    let migrations = fs::read_dir("../migrations").expect("the migrations").count().to_string();
    let applied = stage.sql("select count(*) from _sqlx_migrations where success");
    assert_eq!(applied, migrations);
    assert!(apps.iter().all(|app| !app.log().contains("ERROR")), "{}{}", apps[0].log(), apps[1].log());
}

#[test]
fn a_failed_migration_is_retried_and_fails_no_visits_to_other_instances() {
    let stage = Stage::new();
    let old = stage.app();
    let mut visitor = old.visitor();
    visitor.get("/");
    let lock = stage.holding("begin; lock table _sqlx_migrations");

    let new = stage.start(&[]);
    let mut visits = 1;
    eventually("it has tried twice", Duration::from_secs(10), || {
        visits += 1;
        let page = visitor.get("/");
        assert_eq!((page.status, page.visits()), (200, visits), "{page:#?}");
        (new.log().matches("could not migrate the database").count() >= 2).then_some(())
    });
    assert!(!new.is_ready());
    new.get("/").assert_is_503_page();
    drop(lock);

    new.wait_until_ready(SOON);
    visitor.moves_to(new.address);
    assert_eq!(visitor.get("/").visits(), visits + 1);
}

#[test]
fn the_program_logs_one_message_and_exits_if_the_schema_does_not_match() {
    let stage = Stage::new();
    drop(stage.app());

    for (change, cause) in [
        (r"update _sqlx_migrations set checksum = '\x00' where version = 1", "migration 1"),
        ("update _sqlx_migrations set version = 20200101 where version = 1", "migration 20200101"),
        ("delete from _sqlx_migrations", "already exists"),
        ("drop table _sqlx_migrations", "already exists"),
    ] {
        stage.sql(change);

        let mut app = stage.start(&[]);

        assert_eq!(app.ends_within(SOON).code(), Some(1), "{change}: {}", app.log());
        let log = app.log();
        let messages = log.lines().filter(|line| line.starts_with(MESSAGE)).collect::<Vec<_>>();
        assert_eq!(messages.len(), 1, "{change}: {log}");
        assert!(messages[0].contains("schema") && messages[0].contains(cause), "{change}: {log}");
        assert!(!dev::process::is_running(app.pid));
    }
    let connections =
        "select count(*) from pg_stat_activity where application_name = 'actix-postgres-sessions'";
    eventually("its connections are closed", SOON, || (stage.sql(connections) == "0").then_some(()));
}

#[test]
fn one_message_names_every_invalid_variable() {
    let invalid = [
        ("DATABASE_URL", "mysql://localhost/"),
        ("DATABASE_MAX_CONNECTIONS", "0"),
        ("WORKERS", "0"),
        ("BIND_ADDRESS", "localhost"),
        ("SESSION_SECRET", "canary"),
        ("SESSION_IDLE_TIMEOUT", "30"),
        ("SESSION_MAX_AGE", "500d"),
        ("COOKIE_SECURE", "maybe"),
        ("NEW_SESSIONS_PER_MINUTE", "-1"),
        ("TRUSTED_PROXIES", "everyone"),
        ("LOG_FORMAT", "xml"),
    ];

    let mut app = App::spawn(&invalid.map(|(name, value)| (name, value.to_owned())));

    assert_eq!(app.ends_within(SOON).code(), Some(1), "{}", app.log());
    let log = app.log();
    for (name, _) in invalid {
        assert_eq!(log.matches(&format!("\n  {name}: must be ")).count(), 1, "{name} in {log}");
    }
    assert_eq!(log.matches(MESSAGE).count(), 1, "{log}");
    assert!(!log.contains("canary"), "{log}");
    assert!(!log.contains("starting"), "{log}");
}

#[test]
fn a_port_in_use_causes_one_clear_message() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();

    let mut app = App::spawn(&[("DATABASE_URL", NO_DATABASE.to_owned()), ("BIND_ADDRESS", address.clone())]);

    assert_eq!(app.ends_within(SOON).code(), Some(1), "{}", app.log());
    let log = app.log();
    let message = log.lines().last().unwrap_or_default();
    assert!(message.starts_with(&format!("{MESSAGE}BIND_ADDRESS: ")) && message.contains(&address), "{log}");
    assert_eq!(log.matches("BIND_ADDRESS").count(), 1, "{log}");
}

#[test]
fn the_documented_statements_find_and_end_a_session_that_holds_the_migration_lock() {
    let document = include_str!("../../docs/deploy.md");
    let (_, statement) = document.split_once("`select pid, state").expect("the statement");
    let statement = format!("select pid, state{}", statement.split('`').next().expect("its end"));
    assert!(document.contains("`select pg_terminate_backend(pid)`"));
    let stage = Stage::new();
    // sqlx derives the lock from the database's name.
    let _held = stage.holding("select pg_advisory_lock(368907709894077238)");

    let app = stage.start(&[]);
    let log = || app.log().contains("trying again").then(|| app.log());
    let log = eventually("the reason", SOON, log);
    assert!(log.contains("could not migrate the database") && log.contains("lock timeout"), "{log}");
    let found = stage.sql(&statement);
    let holder =
        found.lines().find(|line| line.ends_with("|idle|select pg_advisory_lock(368907709894077238);"));
    let pid = holder.and_then(|line| line.split('|').next()).unwrap_or_else(|| panic!("{found}"));
    stage.sql(&format!("select pg_terminate_backend({pid})"));

    app.wait_until_ready(SOON);
}

#[test]
fn the_app_can_connect_to_postgresql_through_a_unix_socket() {
    // The socket is in the data directory.
    let stage = Stage::with(&[("unix_socket_directories", ".")]);
    let (directory, port) = (stage.postgres.home.path.join("data"), stage.postgres.port);
    let url = stage.url().replace(&format!("127.0.0.1:{port}"), "");
    let url = format!("{url}?host={}&port={port}", directory.display());

    let app = stage.app_with(&[("DATABASE_URL", &url)]);

    let mut visitor = app.visitor();
    assert_eq!([(); 3].map(|()| visitor.get("/").visits()), [1, 2, 3]);
    let connections = "select count(*) > 0 and bool_and(client_addr is null) from pg_stat_activity
        where application_name = 'actix-postgres-sessions'";
    assert_eq!(stage.sql(connections), "t");
}

#[test]
fn if_a_server_is_silent_the_log_says_so_and_hints_at_its_hosts_other_addresses() {
    // When the queue is full, the kernel drops each attempt to connect.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address");
    let queue: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, SOON / 10).ok()).collect();
    let log_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("silent.log");

    let mut program = Command::new(program())
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env("DATABASE_URL", format!("postgres://app@{address}/app"))
        .env("BIND_ADDRESS", "127.0.0.1:0")
        .env("SESSION_SECRET", "a secret of the tests and of nothing else")
        .stderr(fs::File::create(&log_file).expect("a file"))
        .spawn()
        .expect("the program");
    let log = || fs::read_to_string(&log_file).unwrap_or_default();
    let start = Instant::now();
    let message = "the server did not respond within 3s; if its host has several addresses";
    while !log().contains(message) && start.elapsed() < 2 * SOON {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = program.kill();
    let _ = program.wait();

    assert!(log().contains(message), "{} in the queue: {}", queue.len(), log());
}

#[test]
fn healthcheck_succeeds_only_if_the_app_is_ready() {
    let mut stage = Stage::new();
    let app = stage.app();

    assert_eq!(healthcheck(app.address), Some(0));

    stage.postgres.stop();
    // The result is cached briefly.
    eventually("not ready", SOON, || (healthcheck(app.address) == Some(1)).then_some(()));
    let address = app.address;
    drop(app);
    assert_eq!(healthcheck(address), Some(1), "nothing listens");
}

/// Returns the exit code of a health check of the app at this address.
fn healthcheck(address: SocketAddr) -> Option<i32> {
    let mut program = Command::new(program());
    program.arg("healthcheck").current_dir(env!("CARGO_TARGET_TMPDIR"));
    program.env("DATABASE_URL", NO_DATABASE).env("BIND_ADDRESS", address.to_string());
    program.env("SESSION_SECRET", "a secret of the tests and of nothing else");
    let mut check = program.stderr(Stdio::null()).spawn().expect("the program");
    let mut ended = None;
    let start = Instant::now();
    while ended.is_none() && start.elapsed() < SOON {
        ended = check.try_wait().expect("a child process");
        thread::sleep(Duration::from_millis(10));
    }
    let _ = check.kill();
    let _ = check.wait();
    ended.expect("it exits soon").code()
}

#[test]
fn sessions_and_counts_survive_a_restart_of_the_app_and_its_database() {
    let mut stage = Stage::new();
    let mut app = stage.app();
    let mut visitors = [app.visitor(), app.visitor(), app.visitor()];
    let users = visitors.each_mut().map(|visitor| visitor.get("/").visitor().to_owned());
    visitors[0].get("/");

    app.signal("TERM");
    assert_eq!(app.ends_within(Duration::from_secs(10)).code(), Some(0), "{}", app.log());
    stage.postgres.restart().expect("restart");
    let app = stage.app();

    for ((visitor, user), visits) in visitors.iter_mut().zip(&users).zip([3, 2, 2]) {
        visitor.moves_to(app.address);
        let page = visitor.get("/");
        assert_eq!((page.visitor(), page.visits()), (user.as_str(), visits), "{page:#?}");
    }
}
