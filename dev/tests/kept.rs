//! Programs that end with us.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dev::{Kept, process::is_running};

#[test]
fn the_exit_status_is_the_programs() {
    let mut kept = Kept::spawn(Command::new("sh").args(["-c", "exit 7"])).unwrap();

    eventually(|| kept.try_wait().unwrap().is_some());

    assert_eq!(kept.try_wait().unwrap().unwrap().code(), Some(7));
}

#[test]
fn a_stopped_program_may_end_in_its_own_way() {
    let ready = env::temp_dir().join(format!("kept-is-ready-{}", std::process::id()));
    let program = format!(
        "exec 2>/dev/null; trap 'exit 9' TERM; echo >{}; while :; do sleep 0.05; done",
        ready.display()
    );
    let mut kept = Kept::spawn(Command::new("sh").args(["-c", &program])).unwrap();
    eventually(|| fs::remove_file(&ready).is_ok());

    let status = kept.stop().unwrap();

    assert_eq!(status.code(), Some(9));
}

#[test]
fn a_killed_owner_leaves_neither_the_program_nor_what_it_started() {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "owner", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pids = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(line.unwrap().strip_prefix("owns ")?.to_owned()))
        .unwrap();
    let pids = pids.split(' ').map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>();
    assert!(pids.iter().all(|&pid| is_running(pid)));

    owner.kill().unwrap();
    owner.wait().unwrap();

    eventually(|| !pids.iter().any(|&pid| is_running(pid)));
}

#[test]
#[ignore = "the process that the test above starts and kills"]
fn owner() {
    let program = "sleep 60 & echo; echo owns $$ $!; wait";
    let _kept = Kept::spawn(Command::new("sh").args(["-c", program])).unwrap();
    loop {
        thread::park();
    }
}

fn eventually(mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(20), "still not so");
        thread::sleep(Duration::from_millis(20));
    }
}
