//! The `.env` file.

use std::fs;

use super::{Directory, run};

#[test]
fn errors_in_the_file_and_the_environment_are_reported_in_one_message_and_nothing_starts() {
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
fn the_file_may_be_in_a_directory_above_and_the_environment_takes_precedence_over_it() {
    let directory = Directory::new();
    let below = directory.file("below");
    fs::create_dir(&below).expect("a directory");
    fs::write(directory.file(".env"), "COOKIE_SECURE=maybe\nLOG_FORMAT=xml\n").expect("a file");

    let (_, log) = run(&below, &[], &[("LOG_FORMAT", "json")]);

    assert!(log.contains("COOKIE_SECURE: ") && !log.contains("LOG_FORMAT: "), "{log}");
}

#[test]
fn an_invalid_line_or_an_unreadable_file_causes_one_message_that_does_not_show_it_and_no_panic() {
    let directory = Directory::new();
    for (content, problem) in [
        (&b"DATABASE_URL='postgres://u:canary@localhost/name\n"[..], "a line is not in the form NAME=value"),
        (b"LOG_FORMAT=ca\0nary\n", "a line"),
        (b"LOG\0_FORMAT=json\n", "a line"),
        (b"LOG_FORMAT='ca\0nary'\n", "a line"),
        (b"RUST_LOG=\xff\n", "stream did not contain valid UTF-8"),
    ] {
        fs::write(directory.file(".env"), content).expect("a file");

        let (code, log) = run(&directory.0, &[], &[]);

        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(&format!(".env: {problem}")), "{log}");
        assert!(!log.contains("panicked") && !log.contains("nary"), "{log}");
    }
}
