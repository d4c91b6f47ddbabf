//! Tests that the private servers keep their data, require their password, and leave nothing behind. Also
//! tests that `cargo dev --watch` restarts the app.

use std::io::{BufRead, BufReader, read_to_string};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, net::TcpListener, net::TcpStream, path::Path, path::PathBuf, thread};

use dev::postgres::running;
use dev::{Kept, Postgres, TestServer, process::is_running, test_server};

#[test]
fn connecting_requires_the_password() {
    let postgres = Postgres::temporary(&[]).unwrap();

    let mut psql = postgres.client("psql");
    let output = psql.args(["--no-password", "-c", "select 1"]).env_remove("PGPASSWORD").output().unwrap();

    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn url_changes_only_the_name_of_the_database() {
    let server = TestServer { admin_url: "postgres://u:p@h:1/a?sslmode=off".into(), temporary: None };
    assert_eq!(server.url("b"), "postgres://u:p@h:1/b?sslmode=off");
}

#[test]
fn custom_settings_override_the_defaults() {
    let postgres = Postgres::temporary(&[("max_connections", "17")]).unwrap();

    assert_eq!(ask(&postgres, "show max_connections"), "17");
    assert_eq!(ask(&postgres, "show fsync"), "off");
}

#[test]
fn a_killed_server_restarts_with_its_data() {
    let mut postgres = Postgres::temporary(&[]).unwrap();
    ask(&postgres, "create table kept ()");
    let (pid, url) = (postgres.pid, postgres.url("postgres"));

    postgres.kill9().unwrap();
    assert!(!is_running(pid));
    postgres.restart().unwrap();

    assert_eq!(postgres.url("postgres"), url);
    assert_eq!(ask(&postgres, "select count(*) from kept"), "0");
}

#[test]
fn data_in_a_permanent_directory_survives_a_restart() {
    let home = home("second-start");
    let postgres = Postgres::start(&home, &[]).unwrap();
    ask(&postgres, "create table kept ()");
    drop(postgres);

    let postgres = Postgres::start(&home, &[]).unwrap();

    assert_eq!(ask(&postgres, "select count(*) from kept"), "0");
}

#[test]
fn a_second_server_in_the_same_directory_fails_to_start() {
    let home = home("in-use");
    let postgres = Postgres::start(&home, &[]).unwrap();

    let refused = Postgres::start(&home, &[]).unwrap_err();

    assert!(format!("{refused:#}").contains("another process is using it"), "{refused:?}");
    assert_eq!(running(&home).unwrap(), (postgres.pid, postgres.port));
}

#[test]
fn the_next_start_stops_a_server_whose_keeper_was_killed() {
    let home = home("orphan");
    let postgres = Postgres::start(&home, &[]).unwrap();
    let orphan = postgres.pid;
    let kill = format!("kill -s KILL $(ps -o ppid= -p {orphan})");
    Command::new("sh").args(["-c", &kill]).status().unwrap();
    drop(postgres);

    let postgres = Postgres::start(&home, &[]).unwrap();

    assert_eq!(ask(&postgres, "select 1"), "1");
    assert!(!is_running(orphan));
}

fn ask(postgres: &Postgres, sql: &str) -> String {
    let output = postgres.client("psql").args(["-XqtA", "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns an empty directory. It is kept until the next run, so that you can inspect it.
fn home(name: &str) -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&home);
    home
}

#[test]
fn nothing_is_left_behind_no_matter_how_the_owner_exits() {
    assert_leaves_nothing("return", None);
    assert_leaves_nothing("panic", None);
    for signal in ["INT", "TERM", "KILL"] {
        assert_leaves_nothing("wait", Some(signal));
    }
}

#[test]
#[ignore = "the process that the other tests start"]
fn owner() {
    let program = "sleep 60 & echo; echo owns $$ $!; wait";
    let _kept = Kept::spawn(Command::new("sh").args(["-c", program]), "TERM", Stdio::inherit()).unwrap();
    let postgres = Postgres::temporary(&[]).unwrap();
    let shared = &test_server().admin_url;
    println!("\nowns {} {} {shared}", postgres.pid, postgres.home.path.display());
    match env::var("OWNER").unwrap().as_str() {
        "return" => {}
        "panic" => panic!("on purpose"),
        _ => thread::sleep(Duration::from_secs(60)),
    }
}

fn assert_leaves_nothing(end: &str, signal: Option<&str>) {
    let mut owner = Command::new(env::current_exe().unwrap());
    owner.args(["--exact", "owner", "--ignored", "--nocapture"]).env("OWNER", end).env_remove("DATABASE_URL");
    let mut owner = owner.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let owned = lines.filter_map(|line| Some(line.strip_prefix("owns ")?.to_owned())).take(2);
    let owned = owned.collect::<Vec<_>>().join(" ");
    assert_eq!(owned.split(' ').count(), 5, "{owned}");
    if let Some(signal) = signal {
        assert!(owned.split(' ').all(exists), "{owned}");
        Command::new("sh").args(["-c", &format!("kill -s {signal} {}", owner.id())]).status().unwrap();
    }
    owner.wait().unwrap();
    wait_until(&format!("{owned} is gone"), || !owned.split(' ').any(exists));
}

/// Returns whether a process, a directory or a server exists.
fn exists(thing: &str) -> bool {
    match (thing.parse(), thing.split_once('@')) {
        (Ok(pid), _) => is_running(pid),
        (_, Some((_, address))) => TcpStream::connect(address.trim_end_matches("/postgres")).is_ok(),
        _ => Path::new(thing).exists(),
    }
}

#[test]
fn watch_restarts_the_app_after_a_change_unless_the_build_fails() {
    let home = home("watch");
    for folder in ["dev", "src"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    fs::write(home.join("dev/Cargo.toml"), "").unwrap();
    fs::write(home.join("src/lib.rs"), "").unwrap();
    fs::write(home.join("Cargo.toml"), "[package]\nname = \"app\"\nedition = \"2024\"\n[workspace]").unwrap();
    let write = |answer| fs::write(home.join("src/main.rs"), APP.replace("ANSWER", answer)).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answers =
        |text| TcpStream::connect(address).and_then(read_to_string).is_ok_and(|answer| answer == text);
    write("\"first\"");
    let mut dev = Command::new("sh");
    dev.args(["-c", "exec $0 --watch 2>log", env!("CARGO_BIN_EXE_dev")]).current_dir(&home);
    dev.env("BIND_ADDRESS", address.to_string()).env("CARGO_TARGET_DIR", home.join("target"));
    let _dev = Kept::spawn(&dev, "INT", Stdio::null()).unwrap();

    wait_until("it runs", || answers("first"));
    write("nonsense");
    let log = || fs::read_to_string(home.join("log")).unwrap();
    wait_until("the error is shown", || log().contains("could not compile"));
    assert!(answers("first"), "{}", log());
    write("\"second\"");
    wait_until("the new app runs", || answers("second"));
}

/// An app that sends the same text to every client.
const APP: &str = "fn main() {
    let address = std::env::var(\"BIND_ADDRESS\").unwrap();
    for connection in std::net::TcpListener::bind(address).unwrap().incoming() {
        std::io::Write::write_all(&mut connection.unwrap(), ANSWER.as_bytes()).unwrap();
    }
}";

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
