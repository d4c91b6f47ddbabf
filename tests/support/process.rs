use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Returns the path of the program, which Cargo builds two directories above its tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    test.ancestors().nth(2).expect("target/debug").join("actix-postgres-sessions")
}

/// Runs the program in `directory` with only these variables until it exits. Returns its exit code, output and log. If
/// the program takes too long, kills it and returns no exit code.
pub fn run(
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> (Option<i32>, String, String) {
    let mut child = Command::new(program())
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    // A program that reads nothing may already have exited.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let id = child.id();
    let (exited, waiting) = mpsc::channel::<()>();
    thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = dev::process::signal("KILL", &[id]);
        }
    });
    let Output { status, stdout, stderr } = child.wait_with_output().expect("an exit");
    drop(exited);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A running instance of the program, and its log. The instance stops when this value is dropped.
pub struct Process {
    pub url: String,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts the program with only these variables, and waits until it is listening.
    pub fn spawn(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program())
            .env_clear()
            .envs(variables.iter().copied())
            .env("BIND_ADDRESS", "127.0.0.1:0")
            .current_dir(std::env::temp_dir())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let log = Arc::<Mutex<String>>::default();
        let (found, listening) = mpsc::channel();
        let lines = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on http://") {
                    let end = address.find(['"', ' ']).unwrap_or(address.len());
                    let _ = found.send(format!("http://{}", &address[..end]));
                }
                let mut log = lines.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let url = listening.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the program isn't listening: {}", log.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Self { url, child, log, reader: Some(reader) }
    }

    /// Stops the program and returns its log.
    pub fn log(mut self) -> String {
        self.end();
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Interrupts the program, so that it writes the rest of its log. Kills it if that takes too long.
    fn end(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = dev::process::signal("INT", &[self.child.id()]);
        }
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    /// Stops the program. If the test fails, prints the end of the program's log.
    fn drop(&mut self) {
        self.end();
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if thread::panicking() {
            log.lines().rev().take(8).collect::<Vec<_>>().iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
