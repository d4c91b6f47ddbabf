//! Tests the `.env` file, and that `.env.example` and `docs/configuration.md` describe what `Config` reads.

use std::{cell::RefCell, collections::BTreeSet, fs};

use app::Config;

use super::{DATABASE_URL, Directory, run, shown};

const EXAMPLE: &str = include_str!("../../.env.example");

/// The names and values of a `.env` file.
fn variables(dotenv: &str) -> Vec<(String, String)> {
    dotenvy::from_read_iter(dotenv.as_bytes()).map(|line| line.expect("a line of .env")).collect()
}

/// All variables in `.env.example`. A variable that is commented out begins with `#`, and an
/// explanation begins with `# `.
fn example() -> Vec<(String, String)> {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(variable) if !variable.is_empty() && !variable.starts_with([' ', '#']) => variable.to_owned(),
        _ => line.to_owned(),
    };
    variables(&EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n"))
}

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
fn an_invalid_line_or_unreadable_file_causes_one_message_without_its_contents_and_no_panic() {
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

#[test]
fn env_example_names_every_variable_that_config_reads_and_no_other() {
    let directory = Directory::new();
    let secret_file = directory.file("secret");
    let asked = RefCell::new(BTreeSet::new());
    let config = Config::from_lookup(|name| {
        asked.borrow_mut().insert(name.to_owned());
        match name {
            "DATABASE_URL" => Some(DATABASE_URL.1.to_owned()),
            "SESSION_SECRET_FILE" => Some(secret_file.display().to_string()),
            _ => None,
        }
    });
    config.expect("the defaults");

    // PostgreSQL's own variables need no description.
    asked.borrow_mut().retain(|name| !name.starts_with("PG"));
    let named: BTreeSet<String> = example().into_iter().map(|(name, _)| name).collect();

    assert_eq!(named, asked.into_inner());
    // An unchanged copy of the file sets only the database.
    assert_eq!(variables(EXAMPLE).iter().map(|(name, _)| name).collect::<Vec<_>>(), ["DATABASE_URL"]);
}

#[test]
fn the_values_in_env_example_are_the_defaults() {
    let default = shown("DATABASE_URL", DATABASE_URL.1);

    for (name, value) in example() {
        if name != "DATABASE_URL" && !name.starts_with("SESSION_SECRET") {
            assert_eq!(shown(&name, &value), default, "{name}={value}");
        }
    }
}

#[test]
fn the_secret_file_in_env_example_is_the_default() {
    let directory = Directory::new();
    let (_, file) = example().into_iter().find(|(name, _)| name == "SESSION_SECRET_FILE").expect("a file");
    fs::write(directory.file(".env"), "").expect("a file");

    // This command reads the same configuration, and exits because there is no such database.
    let database = ("DATABASE_URL", "postgres://visitor@127.0.0.1:9/none");
    let (_, log) = run(&directory.0, &["sweep"], &[database]);

    assert!(directory.file(&file).exists(), "{log}");
}

#[test]
fn the_configuration_document_lists_every_variable_and_no_other_with_its_default() {
    let document = include_str!("../../docs/configuration.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let is_variable = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let listed: Vec<_> = rows.filter(|(name, _)| is_variable(name)).collect();
    let example = example();

    let names: Vec<_> = example.iter().map(|(name, _)| &**name).collect();
    assert_eq!(listed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    for ((name, value), (_, row)) in example.iter().zip(listed) {
        let shown = row.split(" | ").next().unwrap_or_default();
        let is_right = match (&**name, &**value) {
            ("DATABASE_URL", _) => shown == "required",
            // The default isn't a fixed value, or the document describes it in words.
            (_, "") => !shown.is_empty() && !shown.contains('`'),
            (_, value) => shown == format!("`{value}`"),
        };
        assert!(is_right, "{name}: {shown}");
    }
}
