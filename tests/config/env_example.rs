//! Whether `.env.example` says what `Config` reads.

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
fn env_example_copied_as_it_is_sets_only_the_database() {
    let copied = variables(EXAMPLE);

    assert_eq!(copied.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["DATABASE_URL"]);
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
            // The default is no fixed value, or it is said in words.
            (_, "") => !shown.is_empty() && !shown.contains('`'),
            (_, value) => shown == format!("`{value}`"),
        };
        assert!(is_right, "{name}: {shown}");
    }
}
