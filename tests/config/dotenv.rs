//! The program itself, with a `.env` beside it and an environment that is empty but for what a test sets.

use std::{
    fs,
    process::{Command, Output},
};

use super::Directory;

/// Starts the program, which must not get far.
fn start(directory: &Directory, environment: &[(&str, &str)]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_actix-postgres-sessions"))
        .current_dir(&directory.0)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, message)
}

#[test]
fn a_wrong_configuration_starts_nothing_and_exits_with_1() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), "COOKIE_SECURE=maybe\n").expect("a file");

    let (output, message) = start(&directory, &[("BIND_ADDRESS", "nowhere")]);

    assert_eq!(output.status.code(), Some(1), "{message}");
    for name in ["DATABASE_URL: ", "BIND_ADDRESS: ", "COOKIE_SECURE: "] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!directory.file(".session-secret").exists(), "nothing was started");
}

#[test]
fn the_environment_wins_over_the_file() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), "COOKIE_SECURE=maybe\nLOG_FORMAT=xml\n").expect("a file");

    let (_, message) = start(&directory, &[("LOG_FORMAT", "json")]);

    assert!(message.contains("COOKIE_SECURE") && !message.contains("LOG_FORMAT"), "{message}");
}

#[test]
fn a_bad_line_is_said_and_not_shown() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), "DATABASE_URL='postgres://u:canary@localhost/name\n").expect("a file");

    let (output, message) = start(&directory, &[]);

    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(".env: a line is not of the form NAME=value"), "{message}");
    assert!(!message.contains("canary"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_bad_line() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), b"RUST_LOG=\xff\n").expect("a file");

    let (output, message) = start(&directory, &[]);

    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(".env: stream did not contain valid UTF-8"), "{message}");
}
