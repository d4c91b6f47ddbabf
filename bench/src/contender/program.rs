//! Starting a server, and ending it with us.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dev::Kept;

use super::Place;
use crate::load::Connection;

/// A server has this long to answer for the first time.
const LONGEST_START: Duration = Duration::from_secs(20);

/// What a server gets of our own environment. Nothing else: the settings of whoever measures must not count.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, besides `BIND_ADDRESS` and `DATABASE_URL`.
    pub environment: Vec<(String, String)>,
    /// A path that it answers with 200 when it can serve.
    pub ready: &'static str,
}

/// A server that runs, until this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    kept: Kept,
    log: PathBuf,
}

impl Program {
    /// A program without arguments.
    pub fn new(path: PathBuf, ready: &'static str, environment: &[(&str, &str)]) -> Self {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Program { path, arguments: Vec::new(), environment, ready }
    }

    /// Starts it, and waits until it serves. What it prints goes to a file.
    pub fn start(&self, name: &str, place: &Place, database_url: Option<&str>) -> Result<Running> {
        let mut running = self.launch(name, place, database_url)?;
        let begin = Instant::now();
        while !running.answers(self.ready) {
            if let Some(status) = running.kept.try_wait()? {
                bail!("{name} ended with {status}; its log is {}", running.log.display());
            }
            ensure!(
                begin.elapsed() < LONGEST_START,
                "{name} does not answer; its log is {}",
                running.log.display()
            );
            thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    /// Starts it, and waits for nothing.
    pub fn launch(&self, name: &str, place: &Place, database_url: Option<&str>) -> Result<Running> {
        // Between this and the server's start another program may take the port: then the start fails.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let log = place.work.join(format!("{}.log", name.replace([' ', ','], "-")));
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"exec "$@" >>"$BENCH_LOG" 2>&1"#, "sh"])
            .arg(&self.path)
            .args(&self.arguments)
            // Away from the project, whose `.env` must not count either.
            .current_dir("/");
        for (inherited, _) in env::vars_os() {
            if !INHERITED.iter().any(|kept| inherited == *kept) {
                command.env_remove(inherited);
            }
        }
        command.env("BENCH_LOG", &log).env("BIND_ADDRESS", address.to_string());
        if let Some(url) = database_url {
            command.env("DATABASE_URL", url);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        fs::write(&log, "").with_context(|| format!("can't write {}", log.display()))?;
        Ok(Running { address, kept: Kept::spawn(&command)?, log })
    }
}

impl Running {
    /// The process whose children the server is.
    pub fn pid(&self) -> u32 {
        self.kept.pid()
    }

    /// Whether it answers this path with 200.
    pub fn answers(&self, path: &str) -> bool {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return false;
        };
        let ask = async {
            let mut connection = Connection::open(self.address).await?;
            connection.get(path, b"").await
        };
        runtime.block_on(ask).is_ok_and(|answer| answer.status == 200)
    }

    /// Ends it at once: an orderly end may wait for a load balancer, and there is none.
    pub fn stop(&mut self) -> Result<()> {
        for script in dev::process::children(self.pid()) {
            let _ = Command::new("kill").args(["-s", "INT", &script.to_string()]).output();
        }
        let begin = Instant::now();
        while self.kept.try_wait()?.is_none() && begin.elapsed() < Duration::from_secs(2) {
            thread::sleep(Duration::from_millis(5));
        }
        self.kept.stop().map(drop)
    }
}
