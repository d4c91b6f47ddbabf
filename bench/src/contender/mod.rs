//! The contenders: the app, its peers, and PostgreSQL alone.

pub mod app;
pub mod peers;
pub mod pgbench;

use std::{
    env,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dev::Kept;

use crate::{
    load::{self, Scenario, Visitor},
    run::Bench,
    usage::Parts,
};

/// Number of visitors that return in a measurement.
const VISITORS: usize = 4096;

/// Time that a server may need to start.
const LONGEST_START: Duration = Duration::from_secs(20);

/// The variables that servers inherit. Other settings of this shell must not change the results.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// The secret of servers that live only as long as the benchmark.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Something that is measured.
#[derive(Debug)]
pub struct Contender {
    pub name: String,
    /// What it is, in a phrase.
    pub about: String,
    /// Its database, if it uses PostgreSQL.
    pub database: Option<String>,
    pub kind: Kind,
}

/// How a contender is measured.
#[derive(Debug)]
pub enum Kind {
    /// Over HTTP.
    Server(Server),
    /// By pgbench.
    PgBench(pgbench::Script),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
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
    fn server(
        bench: &Bench,
        (name, about): (&str, &str),
        mut program: Command,
        ready: &str,
        seed: Option<&str>,
    ) -> Result<Self> {
        let database = seed.map(|_| name.replace([' ', ',', '-'], "_"));
        if let Some(database) = &database {
            bench.database.create(database)?;
            program.env("DATABASE_URL", bench.database.url(database));
        }
        let (process, address) = start(bench, name, &program, ready)?;
        let visitors = load::create_visitors(address, VISITORS)?;
        if let (Some(database), Some(seed)) = (&database, seed) {
            bench.database.fill(database, seed, bench.sessions.saturating_sub(VISITORS))?;
        }
        let kind = Kind::Server(Server { address, visitors, process, redis: None });
        Ok(Contender { name: name.to_owned(), about: about.to_owned(), database, kind })
    }

    /// Returns whether this kind of visitors can be measured.
    pub fn takes_part(&self, scenario: Scenario) -> bool {
        match &self.kind {
            Kind::Server(_) => true,
            Kind::PgBench(script) => script.scenario == scenario,
        }
    }

    /// Returns the processes whose usage is measured.
    pub fn parts(&self, bench: &Bench) -> Parts {
        let postgres = self.database.as_ref().map(|_| bench.database.pid());
        match &self.kind {
            Kind::Server(Server { process, redis, .. }) => {
                Parts { server: Some(process.pid()), store: redis.as_ref().map(Kept::pid).or(postgres) }
            }
            Kind::PgBench(_) => Parts { server: None, store: postgres },
        }
    }
}

/// Starts a server on a free port and waits until it answers the path `ready`. Its output goes to a file.
fn start(bench: &Bench, name: &str, program: &Command, ready: &str) -> Result<(Kept, SocketAddr)> {
    let address = free_address()?;
    let log = bench.work.join(format!("{}.log", name.replace([' ', ','], "-")));
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"exec "$@" 2>&1"#, "sh"]).arg(program.get_program()).args(program.get_args());
    for (variable, _) in env::vars_os() {
        if !INHERITED.iter().any(|inherited| variable == *inherited) {
            shell.env_remove(variable);
        }
    }
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Not in the project, because its `.env` must not change the results either.
    shell.env("BIND_ADDRESS", address.to_string()).current_dir("/");
    let output = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
    let mut process = Kept::spawn_with(&shell, "INT", output.into())?;
    let begin = Instant::now();
    while !load::answers(address, ready) {
        if let Some(status) = process.try_wait()? {
            bail!("{name} ended with {status}; its log is {}", log.display());
        }
        ensure!(begin.elapsed() < LONGEST_START, "{name} doesn't answer; its log is {}", log.display());
        thread::sleep(Duration::from_millis(10));
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
    cargo.args(["build", "--locked", "--release", "--bins", "--quiet"]);
    cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(target).args(arguments);
    let output = cargo.current_dir(workspace).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "cargo build failed in {}", workspace.display());
    let messages = output.stdout.split(|&byte| byte == b'\n');
    let mut messages = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let program = messages.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("cargo built no program")
}
