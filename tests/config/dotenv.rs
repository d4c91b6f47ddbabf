//! The `.env` file.

use std::fs;

use super::{Directory, program::run};

#[test]
fn an_invalid_file_and_environment_are_one_message_and_nothing_starts() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), "COOKIE_SECURE=maybe\n").expect("a file");

    let (code, log) = run(&directory.0, &[], &[("BIND_ADDRESS", "nowhere")]);

    assert_eq!(code, Some(1), "{log}");
    for name in ["DATABASE_URL: ", "BIND_ADDRESS: ", "COOKIE_SECURE: "] {
        assert_eq!(log.matches(name).count(), 1, "{name} in {log}");
    }
    assert!(log.contains("nothing was started") && !log.contains("listening"), "{log}");
    assert!(!directory.file(".session-secret").exists(), "{log}");
}

#[test]
fn the_environment_takes_precedence_over_the_file() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), "COOKIE_SECURE=maybe\nLOG_FORMAT=xml\n").expect("a file");

    let (_, log) = run(&directory.0, &[], &[("LOG_FORMAT", "json")]);

    assert!(log.contains("COOKIE_SECURE: ") && !log.contains("LOG_FORMAT: "), "{log}");
}

#[test]
fn the_file_may_be_in_a_directory_above() {
    let directory = Directory::new();
    let below = directory.file("below");
    fs::create_dir(&below).expect("a directory");
    fs::write(directory.file(".env"), "COOKIE_SECURE=maybe\n").expect("a file");

    let (_, log) = run(&below, &[], &[]);

    assert!(log.contains("COOKIE_SECURE: "), "{log}");
}

#[test]
fn an_invalid_line_is_reported_but_not_shown() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), "DATABASE_URL='postgres://u:canary@localhost/name\n").expect("a file");

    let (code, log) = run(&directory.0, &[], &[]);

    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(".env: a line is not in the form NAME=value"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn a_nul_byte_causes_one_message_and_no_panic() {
    let directory = Directory::new();
    for line in ["LOG_FORMAT=ca\0nary\n", "LOG\0_FORMAT=json\n", "LOG_FORMAT='ca\0nary'\n"] {
        fs::write(directory.file(".env"), line).expect("a file");

        let (code, log) = run(&directory.0, &[], &[]);

        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(".env: a line") && !log.contains("panicked") && !log.contains("nary"), "{log}");
    }
}

#[test]
fn an_unreadable_file_is_not_reported_as_an_invalid_line() {
    let directory = Directory::new();
    fs::write(directory.file(".env"), b"RUST_LOG=\xff\n").expect("a file");

    let (code, log) = run(&directory.0, &[], &[]);

    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(".env: stream did not contain valid UTF-8"), "{log}");
}
