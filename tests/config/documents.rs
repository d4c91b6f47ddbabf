use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use actix_postgres_sessions::Config;

use super::{DATABASE_URL, shown};

const EXAMPLE: &str = include_str!("../../.env.example");
const README: &str = include_str!("../../README.md");
const SOURCE: &str = include_str!("../../src/config.rs");

/// Names and values of a `.env` file.
fn variables(dotenv: &str) -> Vec<(String, String)> {
    dotenvy::from_read_iter(dotenv.as_bytes()).map(|line| line.expect("a line of .env")).collect()
}

/// `.env.example` with every variable's line put to use: those begin with `#`, the text with `# `.
fn put_to_use() -> Vec<(String, String)> {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(variable) if !variable.starts_with([' ', '#']) => variable.to_owned(),
        _ => line.to_owned(),
    };
    variables(&EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n"))
}

/// Name, default and effect, from the README's table.
fn table() -> Vec<[&'static str; 3]> {
    let (_, section) = README.split_once("## Configuration").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section after it");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        std::array::from_fn(|_| cells.next().expect("three cells"))
    })
    .collect()
}

/// Every variable that `Config` asks for.
fn read_by_config() -> BTreeSet<String> {
    let asked = RefCell::new(BTreeSet::new());
    let config = Config::from_lookup(|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == DATABASE_URL.0).then(|| DATABASE_URL.1.to_owned())
    });
    config.expect("the defaults");
    asked.into_inner()
}

#[test]
fn env_example_names_every_variable_that_is_read_and_no_other() {
    let named: BTreeSet<String> = put_to_use().into_iter().map(|(name, _)| name).collect();

    assert_eq!(named, read_by_config());
}

#[test]
fn the_values_in_env_example_are_the_defaults() {
    let default = shown("DATABASE_URL", DATABASE_URL.1);

    for (name, value) in put_to_use().iter().filter(|(name, _)| name != "DATABASE_URL") {
        assert_eq!(shown(name, value), default, "{name}={value}");
    }
}

#[test]
fn env_example_copied_as_it_is_sets_the_database_alone() {
    let copied = variables(EXAMPLE);

    assert_eq!(copied.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["DATABASE_URL"]);
}

#[test]
fn the_readme_lists_the_variables_of_env_example_with_the_same_defaults() {
    let defaults = put_to_use().into_iter().map(|(name, value)| {
        let default = match (name.as_str(), value.as_str()) {
            ("DATABASE_URL", _) => "required".to_owned(),
            (_, "") => "none".to_owned(),
            (_, value) => format!("`{value}`"),
        };
        (format!("`{name}`"), default)
    });
    let listed = table().into_iter().map(|[name, default, _]| (name.to_owned(), default.to_owned()));

    assert_eq!(listed.collect::<Vec<_>>(), defaults.collect::<Vec<_>>());
}

#[test]
fn the_readme_describes_each_variable_in_the_words_of_its_doc_comment() {
    let comments = SOURCE.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let comments = comments.map(str::trim).collect::<Vec<_>>().join(" ");

    for [name, default, effect] in table() {
        let described = format!("{name} ({default}): {effect}");
        assert!(comments.contains(&described), "not in src/config.rs: {described}");
    }
}

/// The path of a file or directory of the project.
fn assert_exists(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    assert!(path.exists(), "no {name}");
    path
}

#[test]
fn every_migration_has_a_number_of_its_own_the_one_that_the_readme_adds_too() {
    let migrations = fs::read_dir(assert_exists("migrations")).expect("the directory");
    let mut names: BTreeSet<String> =
        migrations.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    let (_, added) = README.split_once("Its table, `migrations/").expect("the step that adds a table");
    // There already, where somebody has taken that step.
    names.insert(added.split('`').next().expect("a name").to_owned());

    let numbers: Vec<&str> = names.iter().map(|name| &name[..4]).collect();
    assert_eq!(numbers, (1..=names.len()).map(|number| format!("{number:04}")).collect::<Vec<_>>());
}

#[test]
fn every_picture_of_the_readme_is_there() {
    for attribute in ["src=\"", "srcset=\""] {
        let pictures = README.split(attribute).skip(1).collect::<Vec<_>>();
        assert!(!pictures.is_empty(), "no {attribute}");
        for picture in pictures {
            assert_exists(picture.split('"').next().expect("an end"));
        }
    }
}

#[test]
fn every_path_on_the_readmes_map_is_there() {
    let (_, map) = README.split_once("## The map\n\n```\n").expect("the map");
    let (map, _) = map.split_once("```").expect("its end");
    for line in map.lines() {
        // Two spaces end the paths. What is named after them is in that directory, or beside that file.
        let (paths, what) = line.split_once("  ").expect("paths, and what they are");
        let paths: Vec<PathBuf> = paths.split(' ').map(assert_exists).collect();
        let place = if paths[0].is_dir() { Some(&*paths[0]) } else { paths[0].parent() };
        for name in what.split([' ', ',']).filter(|word| word.ends_with('/') || word.ends_with(".rs")) {
            assert!(place.expect("a directory").join(name).exists(), "no {name}: {line}");
        }
    }
}

#[test]
fn every_link_of_the_readme_leads_to_a_file_and_to_the_test_that_it_names() {
    let links = README.split("](").collect::<Vec<_>>();
    for pair in links.windows(2) {
        let (target, _) = pair[1].split_once(')').expect("the end of a link");
        let file = target.split('#').next().unwrap_or_default();
        if file.is_empty() || file.contains("://") {
            continue;
        }
        let path = assert_exists(file);
        // A test's name is the text of the link, as code.
        if let Some((_, name)) = pair[0].rsplit_once("[`")
            && let Some(name) =
                name.strip_suffix('`').filter(|name| name.contains('_') && !name.contains('/'))
        {
            let source = fs::read_to_string(&path).expect(file);
            assert!(source.contains(&format!("fn {name}(")), "no {name} in {file}");
        }
    }
}
