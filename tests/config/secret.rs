use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Barrier, thread};

use actix_postgres_sessions::config::{SecretKeys, SecretSource};

use super::{DATABASE_URL, Directory, config};

const NEW: &str = "the new secret of these tests alone";
const OLD: &str = "the old secret of these tests alone";

fn keys(file: &Path) -> Result<SecretKeys, String> {
    SecretSource::File(file.to_owned()).keys().map_err(|error| format!("{error:#}"))
}

/// A key's bytes, to compare.
fn current(keys: &SecretKeys) -> Vec<u8> {
    keys.current().master().to_vec()
}

#[test]
fn a_missing_secret_file_is_made_for_its_owner_alone_and_kept() {
    let directory = Directory::new();
    let file = directory.file("secret");

    let first = keys(&file).expect("a new secret");
    let second = keys(&file).expect("the same secret");

    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    assert_eq!(current(&first), current(&second));
    assert!(fs::read_to_string(&file).expect("text").trim().len() >= 64, "256 bits or more");
}

#[test]
fn no_two_secret_files_are_alike() {
    let directory = Directory::new();

    let one = keys(&directory.file("one")).expect("a secret");
    let other = keys(&directory.file("other")).expect("a secret");

    assert_ne!(current(&one), current(&other));
}

#[test]
fn first_starts_at_the_same_time_agree_on_one_secret() {
    for _ in 0..20 {
        let directory = Directory::new();
        let file = directory.file("secret");
        let together = Barrier::new(8);

        let mut made = thread::scope(|scope| {
            let start = || {
                together.wait();
                current(&keys(&file).expect("a secret"))
            };
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().expect("a start")).collect::<Vec<_>>()
        });
        made.dedup();

        assert_eq!(made.len(), 1);
        assert_eq!(fs::read_dir(&directory.0).expect("the directory").count(), 1, "no draft is left");
    }
}

#[test]
fn a_secret_file_that_holds_no_good_secret_is_refused_unshown() {
    let directory = Directory::new();
    let file = directory.file("secret");

    for content in ["", "\n", "canary", &format!("{NEW},canary"), &format!("{NEW}\n{OLD}")] {
        fs::write(&file, content).expect("a file");
        let message = keys(&file).expect_err(content);

        assert!(
            message.contains("SESSION_SECRET_FILE: ") && message.contains("secret can't be used"),
            "{message}"
        );
        assert!(message.contains("at least 32 characters"), "{message}");
        assert!(!message.contains("canary") && !message.contains(NEW), "{message}");
        assert_eq!(fs::read_to_string(&file).expect("text"), content, "it is not written over");
    }
}

#[test]
fn a_secret_file_that_cannot_be_read_or_made_is_an_error_that_names_it() {
    let directory = Directory::new();
    let binary = directory.file("binary");
    fs::write(&binary, [0xff; 64]).expect("a file");

    for (file, cause) in [
        (directory.0.clone(), "directory"),
        (binary, "UTF-8"),
        (directory.file("missing/secret"), "No such file or directory"),
    ] {
        let message = keys(&file).expect_err("no secret");

        assert!(
            message.contains(&format!("SESSION_SECRET_FILE: {} can't be used", file.display())),
            "{message}"
        );
        assert!(message.contains(cause), "{message}");
    }
}

#[test]
fn the_secret_in_the_environment_wins_over_the_file() {
    let directory = Directory::new();
    let file = directory.file("secret");
    let named = ("SESSION_SECRET_FILE", file.to_str().expect("text"));

    let config = config(&[DATABASE_URL, named, ("SESSION_SECRET", NEW)]).expect("a right configuration");
    let used = config.session_secret.keys().expect("keys");

    assert_eq!(current(&used), current(&NEW.parse().expect("a secret")));
    assert!(!file.exists(), "nobody asked for it");
}

#[test]
fn the_first_of_several_secrets_is_the_current_one() {
    let keys: SecretKeys = format!("{NEW}, {OLD}").parse().expect("two secrets");

    let all: Vec<Vec<u8>> = keys.all().iter().map(|key| key.master().to_vec()).collect();

    let alone = |secret: &str| current(&secret.parse().expect("a secret"));
    assert_eq!(all, [alone(NEW), alone(OLD)]);
    assert_eq!(current(&keys), alone(NEW));
}

#[test]
fn a_secret_of_31_characters_is_too_short() {
    assert!("x".repeat(31).parse::<SecretKeys>().is_err());
    assert!("x".repeat(32).parse::<SecretKeys>().is_ok());
}
