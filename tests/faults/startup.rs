//! The program starts, or says in one message why it does not.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::Command,
    time::Duration,
};

use crate::stage::{App, PROGRAM, Stage};

/// Nothing listens here.
const NO_DATABASE: &str = "postgres://postgres@127.0.0.1:9/postgres";

const SOON: Duration = Duration::from_secs(5);

#[test]
fn two_instances_that_start_at_once_migrate_once_and_both_serve() {
    let stage = Stage::new();

    let apps = [stage.start(&[]), stage.start(&[])];
    for app in &apps {
        app.wait_until_ready(SOON);
        assert_eq!(app.get("/").status, 200);
    }

    let migrations = fs::read_dir("migrations").expect("the migrations").count().to_string();
    let applied = stage.sql("select count(*) from _sqlx_migrations where success");
    assert_eq!(applied, migrations);
    assert!(apps.iter().all(|app| !app.log().contains("ERROR")), "{}{}", apps[0].log(), apps[1].log());
}

#[test]
fn a_migration_that_waits_for_a_dump_fails_no_visit_and_is_tried_again() {
    let stage = Stage::new();
    let old = stage.app();
    let mut visitor = old.visitor();
    visitor.get("/");
    // As before the migration.
    stage.sql(
        "delete from _sqlx_migrations where version = 4; create index sessions_expires_at_idx on sessions (expires_at)",
    );
    let dump = stage.holding("begin; lock table sessions in access share mode");

    let new = stage.start(&[]);
    let tries = || new.log().matches("can't migrate the database yet").count();
    let mut visits = 1;
    while tries() < 2 {
        visits += 1;
        let page = visitor.get("/");
        assert_eq!((page.status, page.visits()), (200, visits), "{page:#?}");
    }
    assert!(!new.is_ready());
    drop(dump);

    new.wait_until_ready(SOON);
    assert_eq!(visitor.get("/").visits(), visits + 1);
}

#[test]
fn a_changed_migration_is_refused_in_one_message_and_nothing_runs_on() {
    let stage = Stage::new();
    drop(stage.app());
    stage.sql(r"update _sqlx_migrations set checksum = '\x00' where version = 1");

    let mut app = stage.start(&[]);

    assert_eq!(app.ends_within(SOON).code(), Some(1), "{}", app.log());
    let log = app.log();
    let messages =
        log.lines().filter(|line| line.starts_with("actix-postgres-sessions: ")).collect::<Vec<_>>();
    assert_eq!(messages.len(), 1, "{log}");
    assert!(messages[0].contains("schema") && messages[0].contains("migration 1"), "{log}");
    assert!(!dev::process::is_running(app.pid));
    let connections =
        "select count(*) from pg_stat_activity where application_name = 'actix-postgres-sessions'";
    crate::stage::eventually("its connections are gone", SOON, || {
        (stage.sql(connections) == "0").then_some(())
    });
}

#[test]
fn a_wrong_configuration_is_one_message_that_names_every_wrong_variable() {
    let mut app = App::spawn(&[
        ("DATABASE_URL", "mysql://localhost/".to_owned()),
        ("DATABASE_MAX_CONNECTIONS", "0".to_owned()),
        ("WORKERS", "0".to_owned()),
        ("BIND_ADDRESS", "localhost".to_owned()),
        ("SESSION_SECRET", "canary".to_owned()),
        ("SESSION_IDLE_TIMEOUT", "30".to_owned()),
        ("COOKIE_SECURE", "maybe".to_owned()),
        ("NEW_SESSIONS_PER_MINUTE", "-1".to_owned()),
        ("TRUSTED_PROXIES", "everyone".to_owned()),
        ("LOG_FORMAT", "xml".to_owned()),
    ]);

    assert_eq!(app.ends_within(SOON).code(), Some(1), "{}", app.log());
    let log = app.log();
    for name in [
        "DATABASE_URL",
        "DATABASE_MAX_CONNECTIONS",
        "WORKERS",
        "BIND_ADDRESS",
        "SESSION_SECRET",
        "SESSION_IDLE_TIMEOUT",
        "COOKIE_SECURE",
        "NEW_SESSIONS_PER_MINUTE",
        "TRUSTED_PROXIES",
        "LOG_FORMAT",
    ] {
        assert_eq!(log.matches(&format!("  {name}: takes ")).count(), 1, "{name} in {log}");
    }
    assert_eq!(log.matches("actix-postgres-sessions: ").count(), 1, "{log}");
    assert!(!log.contains("canary"), "{log}");
    assert!(!log.contains("starting"), "{log}");
}

#[test]
fn a_taken_port_is_one_clear_message() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();

    let mut app = App::spawn(&[("DATABASE_URL", NO_DATABASE.to_owned()), ("BIND_ADDRESS", address.clone())]);

    assert_eq!(app.ends_within(SOON).code(), Some(1), "{}", app.log());
    let log = app.log();
    let message = log.lines().last().unwrap_or_default();
    assert!(
        message.starts_with("actix-postgres-sessions: BIND_ADDRESS") && message.contains(&address),
        "{log}"
    );
    assert_eq!(log.matches("BIND_ADDRESS").count(), 1, "{log}");
}

#[test]
fn healthcheck_succeeds_when_the_app_is_ready_and_only_then() {
    let mut stage = Stage::new();
    let app = stage.app();

    assert_eq!(healthcheck(app.address), Some(0));

    stage.postgres.stop().expect("stop");
    assert_eq!(healthcheck(app.address), Some(1), "not ready");
    let address = app.address;
    drop(app);
    assert_eq!(healthcheck(address), Some(1), "nobody listens");
}

fn healthcheck(address: SocketAddr) -> Option<i32> {
    let mut program = Command::new(PROGRAM);
    program.arg("healthcheck").env("DATABASE_URL", NO_DATABASE).env("BIND_ADDRESS", address.to_string());
    program.output().expect("it runs").status.code()
}

#[test]
fn a_restart_of_the_app_and_of_its_database_keeps_everybodys_session_and_count() {
    let mut stage = Stage::new();
    let mut app = stage.app();
    let mut visitors = [app.visitor(), app.visitor(), app.visitor()];
    let users = visitors.each_mut().map(|visitor| visitor.get("/").user().to_owned());

    app.signal("TERM");
    assert_eq!(app.ends_within(Duration::from_secs(10)).code(), Some(0), "{}", app.log());
    stage.postgres.restart().expect("restart");
    let app = stage.app();

    for (visitor, user) in visitors.iter_mut().zip(&users) {
        visitor.moves_to(app.address);
        let page = visitor.get("/");
        assert_eq!((page.user(), page.visits()), (user.as_str(), 2), "{page:#?}");
    }
}
