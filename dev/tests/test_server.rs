//! The server of a test process.

use std::{
    env,
    process::Command,
    thread,
    time::{Duration, Instant},
};

#[test]
fn the_temporary_server_ends_with_the_test_process() {
    let output = inner_test().env_remove("DATABASE_URL").output().unwrap();

    let text = String::from_utf8(output.stdout).unwrap();
    let url = text.lines().find_map(|line| line.strip_prefix("server "));
    let address = url.unwrap().rsplit_once('@').unwrap().1;
    let address = address.split_once('/').unwrap().0;
    let begin = Instant::now();
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{url:?} answers");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn database_url_wins() {
    let given = "postgres://somebody@192.0.2.1/theirs";

    let output = inner_test().env("DATABASE_URL", given).output().unwrap();

    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("server {given}\n")), "{text}");
}

#[test]
#[ignore = "the process that the tests above start"]
fn inner() {
    println!("\nserver {}", dev::test_database_server().admin_url());
}

fn inner_test() -> Command {
    let mut inner = Command::new(env::current_exe().unwrap());
    inner.args(["--exact", "inner", "--ignored", "--nocapture"]);
    inner
}
