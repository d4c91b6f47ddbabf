//! The program's commands, except those of removable parts.

mod support;

use std::process::Command;

use support::process::{self, Process};
use support::{SECRET, TestApp, eventually};

const OWNER: &str = "00000000-0000-0000-0000-000000000007";

#[actix_web::test]
async fn sessions_can_be_listed_and_ended_by_id_by_owner_or_all_at_once() {
    let app = TestApp::spawn().await;
    let (_, anonymous) = app.start().await;
    let owned = app.get_with("/probe/log-in", "").await.cookie("id").expect("a cookie");

    let run = |arguments: &[&str]| app.run(arguments, "");
    let (_, all, _) = run(&["sessions", "list"]);
    let (_, of_owner, _) = run(&["sessions", "list", "--owner", OWNER]);
    let line = all.lines().find(|line| line.contains("anonymous")).expect("a line");
    let (_, _, log) = run(&["sessions", "end", &line[..12]]);
    let after_id = app.get_with("/probe", &anonymous).await;
    let (by_owner, ..) = run(&["sessions", "end", "--owner", OWNER]);
    let left = app.sessions().await;
    app.start().await;
    let (together, ..) = run(&["sessions", "end", "--all"]);

    assert_eq!((all.lines().count(), of_owner.lines().count()), (2, 1), "{all}");
    assert_eq!((log.contains("sessions=1"), after_id.visitor()), (true, ""), "{log}");
    assert_eq!((by_owner, left, &*app.get_with("/logout", &owned).await.body), (true, 0, ""));
    assert_eq!((together, app.sessions().await), (true, 0));
}

#[actix_web::test]
async fn the_list_command_exits_cleanly_if_its_reader_closes_the_pipe() {
    let app = TestApp::spawn().await;
    app.start().await;
    let mut program = Command::new(process::program());
    program.args(["sessions", "list"]).env_clear().current_dir(std::env::temp_dir());
    program.envs([("DATABASE_URL", &*app.database.url), ("SESSION_SECRET", SECRET)]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);

    let output = program.stdout(writer).output().expect("the program");

    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[actix_web::test]
async fn a_session_that_exceeds_lowered_settings_is_shortened_after_a_restart() {
    let app = TestApp::spawn_with(&[("SESSION_IDLE_TIMEOUT", "7d"), ("SESSION_MAX_AGE", "30d")]).await;
    app.start().await;
    let long = "select count(*) from sessions where expires_at > now() + interval '61 seconds'";
    assert_eq!(app.database.number(long).await, 1);

    let settings = [("DATABASE_URL", &*app.database.url), ("SESSION_SECRET", SECRET)];
    let _process = Process::spawn(&[&settings[..], &[("SESSION_IDLE_TIMEOUT", "1m")]].concat());

    eventually("a shorter session", async || app.database.number(long).await == 0).await;
}

#[actix_web::test]
async fn ending_sessions_requires_exactly_one_valid_selection() {
    let app = TestApp::spawn().await;
    app.start().await;

    for arguments in
        [&["end"][..], &["end", "abc"], &["end", "--all", "--owner", OWNER], &["end", "%%%%%%%%%%%%"]]
    {
        assert!(!app.run(&[&["sessions"], arguments].concat(), "").0, "{arguments:?}");
    }
    assert_eq!(app.sessions().await, 1);
}

#[actix_web::test]
async fn the_sweep_command_deletes_expired_rows() {
    let app = TestApp::spawn().await;
    app.start().await;
    app.database.execute("update sessions set expires_at = now() - interval '2 hours'").await;

    let (is_swept, _, log) = app.run(&["sweep"], "");

    assert!(is_swept && log.contains("sessions=1"), "{log}");
    assert_eq!(app.sessions().await, 0);
}

#[test]
fn a_command_that_fails_logs_the_reason_and_needs_no_unrelated_settings() {
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let (code, _, log) = process::run(&std::env::temp_dir(), arguments, variables, "");
        assert_ne!(code, Some(0), "{log}");
        log
    };

    for (arguments, variables, message) in [
        (["healthcheck"], &[("BIND_ADDRESS", "127.0.0.1:9")][..], "not ready"),
        (["healthcheck"], &[("BIND_ADDRESS", "here")], "BIND_ADDRESS: must be an address"),
        (["serv"], &[], "Usage"),
    ] {
        let log = run(&arguments, variables);
        assert!(log.contains(message), "{log}");
    }
}
