//! The contenders: the app and its peers.

pub mod app;
pub mod peers;

use std::{
    env,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dev::Kept;
use tokio::time::sleep;

use crate::{
    load::{self, Visitor},
    run::Bench,
    usage::Parts,
};

/// Number of visitors that return in a measurement.
const VISITORS: usize = 4096;

/// Time that a server may need to start.
const LONGEST_START: Duration = Duration::from_secs(20);

/// The secret of servers that live only as long as the benchmark.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A running server that is measured.
#[derive(Debug)]
pub struct Contender {
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    /// Its database, if it uses PostgreSQL.
    pub database: Option<String>,
    pub address: SocketAddr,
    /// The visitors with a session.
    pub visitors: Vec<Visitor>,
    process: Kept,
    /// The store of the Redis peer.
    redis: Option<Kept>,
}

impl Contender {
    /// Starts a server and creates its sessions. `seed` is the psql script for the other sessions. Without it, the server
    /// gets no database.
    async fn start(
        bench: &Bench,
        (name, about): (&str, &str),
        mut program: Command,
        ready: &str,
        seed: Option<&str>,
    ) -> Result<Self> {
        eprintln!("preparing {name}");
        let database = seed.map(|_| name.replace([' ', ',', '-'], "_"));
        if let Some(database) = &database {
            bench.database.create(database)?;
            program.env("DATABASE_URL", bench.database.url(database));
        }
        let (process, address) = start(bench, name, &program, ready).await?;
        let visitors = load::create_visitors(address, VISITORS).await?;
        if let (Some(database), Some(seed)) = (&database, seed) {
            bench.database.fill(database, seed, bench.sessions.saturating_sub(VISITORS))?;
        }
        let (name, about) = (name.to_owned(), about.to_owned());
        Ok(Contender { name, about, database, address, visitors, process, redis: None })
    }

    /// Returns the processes whose usage is measured.
    pub fn parts(&self, bench: &Bench) -> Parts {
        let store = self.redis.as_ref().map_or_else(|| bench.database.pid(), Kept::pid);
        Parts { server: self.process.pid(), store }
    }
}

/// Starts a server on a free port and waits until it answers the path `ready`. Its output goes to a file.
async fn start(bench: &Bench, name: &str, program: &Command, ready: &str) -> Result<(Kept, SocketAddr)> {
    let address = free_address()?;
    let log = bench.work.join(format!("{}.log", name.replace([' ', ','], "-")));
    let mut shell = Command::new("/bin/sh");
    // Other settings of this shell must not change the results, and neither must the project's `.env`.
    shell.current_dir("/").args(["-c", r#"exec env -i PATH="$PATH" HOME="$HOME" "$@" 2>&1"#, "sh"]);
    let variables = program.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    shell.args(variables.map(|(name, value)| format!("{name}={value}")));
    shell.arg(format!("BIND_ADDRESS={address}")).arg(program.get_program()).args(program.get_args());
    let output = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
    let mut process = Kept::spawn_with(&shell, "INT", output.into())?;
    let begin = Instant::now();
    while !load::answers(address, ready).await {
        if let Some(status) = process.try_wait()? {
            bail!("{name} ended with {status}; its log is {}", log.display());
        }
        ensure!(begin.elapsed() < LONGEST_START, "{name} doesn't answer; its log is {}", log.display());
        sleep(Duration::from_millis(10)).await;
    }
    Ok((process, address))
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Builds a program in release mode and returns its path, whatever its name is.
fn cargo_build(workspace: &Path, target: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        // Cargo set these for this program, and some build scripts would run again because of them.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
    cargo.args(["build", "--locked", "--release", "--quiet"]);
    cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(target).args(arguments);
    let output = cargo.current_dir(workspace).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "cargo build failed in {}", workspace.display());
    let messages = output.stdout.split(|&byte| byte == b'\n');
    let mut messages = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let program = messages.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("cargo built no program")
}
