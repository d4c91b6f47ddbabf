//! The private PostgreSQL: it starts, answers, and leaves nothing behind.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dev::{Postgres, process::is_running};

#[test]
fn a_temporary_server_answers() {
    let postgres = Postgres::temporary().unwrap();

    assert_eq!(ask(&postgres, "select 1 + 1"), "2");
}

#[test]
fn nobody_gets_in_without_the_password() {
    let postgres = Postgres::temporary().unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port());

    let output = Command::new(postgres.bin("psql"))
        .args(["--no-password", "--command=select 1", &url])
        .output()
        .unwrap();

    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn settings_of_ones_own_win() {
    let postgres = Postgres::temporary_with(&[("max_connections", "17")]).unwrap();

    assert_eq!(ask(&postgres, "show max_connections"), "17");
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_file() {
    let postgres = Postgres::temporary().unwrap();
    let (pid, home) = (postgres.pid(), postgres.home().to_owned());
    assert!(is_running(pid) && home.exists());

    drop(postgres);

    assert!(!is_running(pid));
    assert!(!home.exists());
}

#[test]
fn a_killed_owner_leaves_no_process_and_no_file() {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "owner", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (pid, home) = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| {
            let line = line.unwrap();
            let (pid, home) = line.strip_prefix("owns ")?.split_once(' ')?;
            Some((pid.parse().unwrap(), PathBuf::from(home)))
        })
        .unwrap();
    assert!(is_running(pid) && home.exists());

    owner.kill().unwrap();
    owner.wait().unwrap();

    eventually(|| !is_running(pid) && !home.exists());
}

#[test]
#[ignore = "the process that the test above starts and kills"]
fn owner() {
    let postgres = Postgres::temporary().unwrap();
    println!("\nowns {} {}", postgres.pid(), postgres.home().display());
    loop {
        thread::park();
    }
}

#[test]
fn a_server_comes_back_with_its_data_after_kill_9() {
    let mut postgres = Postgres::temporary().unwrap();
    ask(&postgres, "create table kept (); checkpoint");
    let (pid, url) = (postgres.pid(), postgres.url("postgres"));

    postgres.kill9().unwrap();
    assert!(!is_running(pid));
    postgres.restart().unwrap();

    assert_eq!(postgres.url("postgres"), url);
    assert_eq!(ask(&postgres, "select count(*) from kept"), "0");
}

#[test]
fn kept_data_is_there_at_the_second_start() {
    let home = Scratch::new("second-start");
    let postgres = Postgres::start(&home.0, &[("fsync", "off")]).unwrap();
    ask(&postgres, "create table kept ()");
    drop(postgres);

    let postgres = Postgres::start(&home.0, &[("fsync", "off")]).unwrap();

    assert_eq!(ask(&postgres, "select count(*) from kept"), "0");
}

#[test]
fn a_second_server_in_the_same_place_is_refused() {
    let home = Scratch::new("in-use");
    let postgres = Postgres::start(&home.0, &[("fsync", "off")]).unwrap();

    let refused = Postgres::start(&home.0, &[]).unwrap_err();

    let in_use = refused.downcast::<dev::postgres::InUse>().unwrap();
    let url = in_use.address.map(|address| address.url("postgres"));
    assert_eq!(url, Some(postgres.url("postgres")));
}

#[test]
fn a_server_whose_keeper_was_killed_makes_way_for_the_next() {
    let home = Scratch::new("orphan");
    let postgres = Postgres::start(&home.0, &[("fsync", "off")]).unwrap();
    let orphan = postgres.pid();
    let keeper = parent(orphan);
    assert!(Command::new("kill").args(["-9", &keeper]).status().unwrap().success());
    drop(postgres);
    assert!(is_running(orphan));

    let postgres = Postgres::start(&home.0, &[("fsync", "off")]).unwrap();

    assert_eq!(ask(&postgres, "select 1"), "1");
    assert!(!is_running(orphan));
}

#[test]
fn a_stale_pid_file_that_names_a_living_process_does_not_hinder_the_start() {
    let home = Scratch::new("stale-pid");
    let mut postgres = Postgres::start(&home.0, &[("fsync", "off")]).unwrap();
    let pid_file = home.0.join("data/postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap();
    postgres.kill9().unwrap();
    drop(postgres);
    let (_, rest) = text.split_once('\n').unwrap();
    // Of the same user as the server, or PostgreSQL would see by itself that it is not one.
    let mut other = as_owner_of(&home.0.join("data"), "sleep").arg("60").spawn().unwrap();
    fs::write(&pid_file, format!("{}\n{rest}", other.id())).unwrap();

    let started = Postgres::start(&home.0, &[("fsync", "off")]);

    let other_lives = is_running(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(ask(&started.unwrap(), "select 1"), "1");
    assert!(other_lives);
}

fn ask(postgres: &Postgres, sql: &str) -> String {
    let output = postgres
        .client("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .arg(format!("--command={sql}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn parent(pid: u32) -> String {
    let output = Command::new("ps").args(["-o", "ppid=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn as_owner_of(path: &Path, program: &str) -> Command {
    use std::os::unix::{fs::MetadataExt, process::CommandExt};

    let owner = fs::metadata(path).unwrap();
    let mut command = Command::new(program);
    // A process may always become itself; only root may become another.
    command.uid(owner.uid()).gid(owner.gid()).current_dir("/");
    command
}

fn eventually(done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(20), "still not so");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A directory that goes when the test ends. The server in it was declared later, so it ends earlier.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("dev-{name}-{}", std::process::id());
        Scratch(env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
