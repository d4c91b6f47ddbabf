//! Runs the program as a process, with a log that tests can read.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, path::PathBuf, thread};

use dev::Kept;

use crate::client::{self, Answer, Visitor};
use crate::process::program;

/// A URL at which nothing listens.
pub const NO_DATABASE: &str = "postgres://postgres@127.0.0.1:9/postgres";

const SECRET: &str = "a secret of the tests and of nothing else";

/// The variables that the program reads. Tests remove them, so that the developer's settings don't matter.
const VARIABLES: [&str; 17] = [
    "DATABASE_URL",
    "MIGRATION_DATABASE_URL",
    "METRICS_ADDRESS",
    "EXPERIMENTS",
    "DATABASE_MAX_CONNECTIONS",
    "WORKERS",
    "BIND_ADDRESS",
    "SESSION_SECRET",
    "SESSION_SECRET_FILE",
    "SESSION_IDLE_TIMEOUT",
    "SESSION_MAX_AGE",
    "COOKIE_SECURE",
    "LOG_FORMAT",
    "RUST_LOG",
    "NEW_SESSIONS_PER_MINUTE",
    "TRUSTED_PROXIES",
    "NO_COLOR",
];

pub struct App {
    pub address: SocketAddr,
    pub pid: u32,
    kept: Kept,
    home: PathBuf,
}

impl App {
    /// Starts the program with these settings and the usual test settings, and waits until it listens.
    pub fn start(settings: &[(&str, String)]) -> Self {
        let mut app = Self::spawn(settings);
        let listens = || {
            let log = app.log();
            let (_, rest) = log.split_once("listening on http://")?;
            rest.split(['"', '\n', ' ']).next()?.parse().ok()
        };
        app.address = eventually("it listens", Duration::from_secs(10), listens);
        app
    }

    /// Starts the program like [`Self::start`], but doesn't wait, because the program may refuse to start.
    pub fn spawn(settings: &[(&str, String)]) -> Self {
        let home = std::env::temp_dir().join(format!("faults-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&home).expect("a directory");
        let mut shell = Command::new("/bin/sh");
        // Runs in a separate directory, so that it doesn't read the developer's `.env` file.
        shell.current_dir(&home).arg("-c").arg("echo $$ >pid && exec \"$0\" 2>log").arg(program());
        for name in VARIABLES {
            shell.env_remove(name);
        }
        shell
            .env("BIND_ADDRESS", "127.0.0.1:0")
            .env("COOKIE_SECURE", "false")
            .env("SESSION_SECRET", SECRET)
            .env("LOG_FORMAT", "json");
        shell.envs(settings.iter().map(|(name, value)| (name, value)));
        let kept = Kept::spawn(&shell, "TERM", Stdio::inherit()).expect("a shell");
        let pid = || fs::read_to_string(home.join("pid")).ok()?.strip_suffix('\n')?.parse().ok();
        let pid = eventually("it starts", Duration::from_secs(10), pid);
        Self { address: (Ipv4Addr::LOCALHOST, 0).into(), pid, kept, home }
    }

    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }

    pub fn visitor_with(&self, cookie: Option<String>) -> Visitor {
        Visitor { cookie, ..self.visitor() }
    }

    pub fn get(&self, path: &str) -> Answer {
        client::get(self.address, path)
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    pub fn is_ready(&self) -> bool {
        Visitor::new(self.address).try_get("/health/ready").is_ok_and(|answer| answer.status == 200)
    }

    pub fn wait_until_ready(&self, patience: Duration) {
        eventually("the app is ready", patience, || self.is_ready().then_some(()));
    }

    /// Waits until the app serves pages again without a restart, and checks that it continues to serve them.
    pub fn assert_recovers_within(&self, patience: Duration) {
        let serves = || self.visitor().try_get("/").is_ok_and(|answer| answer.status == 200);
        eventually("pages are served", patience, || serves().then_some(()));
        eventually("it is ready", patience, || self.is_ready().then_some(()));
        for _ in 0..20 {
            let answer = self.get("/");
            assert_eq!(answer.status, 200, "after the recovery: {answer:#?}");
        }
    }

    /// Checks that everything that doesn't need the database works as usual.
    pub fn assert_alive(&self) {
        for path in ["/health/live", "/static/app.css"] {
            let answer = self.get(path);
            assert_eq!(answer.status, 200, "{path} {answer:#?}");
            self.assert_in_time(&answer, Duration::from_secs(1));
        }
        self.assert_in_time(&self.get("/health/ready"), Duration::from_secs(1));
    }

    /// Checks that a response arrived within `limit`. On a busy machine, it may exceed the limit by the time of 20
    /// requests that don't need the database, but never by more than the limit itself.
    pub fn assert_in_time(&self, answer: &Answer, limit: Duration) {
        if answer.took >= limit {
            let plain: Duration = (0..20).map(|_| self.get("/health/live").took).sum();
            assert!(
                answer.took < limit + plain.min(limit),
                "limit {limit:?}, 20 plain requests {plain:?}: {answer:#?}"
            );
        }
    }

    pub fn signal(&self, name: &str) {
        signal(name, &[self.pid]);
    }

    /// Waits until the program exits, and returns its status. Fails after `patience`.
    pub fn ends_within(&mut self, patience: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.kept.script.try_wait().expect("a child process") {
                return status;
            }
            assert!(begin.elapsed() < patience, "it is still running: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // SIGTERM would take seconds. If the process has already exited, a different one may have its ID.
        if let Ok(None) = self.kept.script.try_wait() {
            self.signal("KILL");
        }
        let _ = self.kept.script.wait();
        let log = self.log();
        let _ = fs::remove_dir_all(&self.home);
        if thread::panicking() {
            let lines = log.lines().collect::<Vec<_>>();
            eprintln!("the end of the app's log:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
            return;
        }
        let mut canaries = client::cookies_from(self.address);
        canaries.push(SECRET.to_owned());
        let leaked = canaries.iter().filter(|canary| log.contains(*canary)).collect::<Vec<_>>();
        assert!(leaked.is_empty(), "the log contains secrets: {leaked:?}");
    }
}

/// Sends a signal to these processes, and skips those that have exited.
pub fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    let status = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$@\"", "kill", name])
        .args(pids)
        .stderr(Stdio::null())
        .status();
    status.expect("a shell");
}

/// Calls `ask` until it returns something. Fails after `patience`.
pub fn eventually<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begin.elapsed() < patience, "not within {patience:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
