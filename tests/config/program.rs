//! Runs the program itself, with only the test's variables.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the program in `directory` until it exits, and returns its exit code and its log. Panics if it keeps running,
/// as it does when it serves.
pub fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let log = directory.join("log");
    let mut program = Command::new(env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME"))))
        .current_dir(directory)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).expect("a file"))
        .spawn()
        .expect("the program");
    let start = Instant::now();
    let ended = loop {
        match program.try_wait().expect("a child process") {
            Some(status) => break Some(status),
            None if start.elapsed() > PATIENCE => break None,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let _ = program.kill();
    let _ = program.wait();
    let log = fs::read_to_string(&log).expect("a log");
    let status = ended.unwrap_or_else(|| panic!("the program is still running after {PATIENCE:?}: {log}"));
    (status.code(), log)
}
