//! The contenders: the app and its peers. The peers are visit counters like those in the examples of their
//! session libraries.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dev::{Kept, cargo};
use lab::Redis;
use tokio::time::sleep;

use crate::args::{Name, Plan};
use crate::load::{self, Visitor};
use crate::run::Bench;
use crate::usage::{Parts, processors};

/// The number of returning visitors in a measurement.
const VISITORS: usize = 4096;

/// The time limit for a server's start.
const LONGEST_START: Duration = Duration::from_secs(20);

/// The secret of servers that run only during the benchmark.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The name of the build that `--compare` adds.
pub const OTHER_BUILD: &str = "other build";

/// The psql scripts that add sessions.
const APP_SEED: Option<&str> = Some(include_str!("../sql/app.sql"));
const EXPRESS_SEED: Option<&str> = Some(include_str!("../sql/express.sql"));
const AXUM_SEED: Option<&str> = Some(include_str!("../sql/axum.sql"));

/// A running server that is measured.
#[derive(Debug)]
pub struct Contender {
    pub name: &'static str,
    /// A short description.
    pub about: String,
    /// Its database, if it uses PostgreSQL.
    pub database: Option<String>,
    pub address: SocketAddr,
    /// The visitors that already have a session.
    pub visitors: Vec<Visitor>,
    process: Kept,
    /// Its Redis server, if it uses one.
    redis: Option<Redis>,
}

/// Starts all contenders. The app comes first, because the ratios compare all others with it. Also returns
/// the contenders that can't take part, with the reasons.
pub async fn start_all(plan: &Plan, bench: &Bench) -> Result<(Vec<Contender>, Vec<(String, String)>)> {
    let mut contenders = Vec::new();
    if plan.wants(Name::App) {
        eprintln!("building the app in release mode (the first time takes minutes)");
        let program = build(&bench.project, &bench.target, &["--bins"])?;
        let about = "this app, RUST_LOG=warn".to_owned();
        contenders.push(app(bench, "app", about, &program, &plan.env).await?);
    }
    if let Some(file) = &plan.compare {
        let file = file.canonicalize().with_context(|| format!("there is no {}", file.display()))?;
        let about = format!("the app as built in {}, RUST_LOG=warn", file.display());
        contenders.push(app(bench, OTHER_BUILD, about, &file, &[]).await?);
    }
    let mut missing = Vec::new();
    for (wanted, name, about) in [
        (Name::Bound, "bound", "the app's two statements behind plain Actix, without a session layer"),
        (Name::Express, "express", "Express with connect-pg-simple in one Node process, NODE_ENV=production"),
        (Name::Express, "express cluster", "the same with a Node process for each processor (node:cluster)"),
        (Name::Axum, "axum", "axum, tower-sessions, tower-sessions-sqlx-store"),
        (Name::Axum, "axum tuned", "the same with test_before_acquire(false)"),
        (Name::Redis, "redis", "Actix, actix-session in Redis, appendonly yes, appendfsync always"),
        (
            Name::Stores,
            "app on redis",
            "the app's page and layers, actix-session with the same Redis server, count in PostgreSQL",
        ),
        (Name::Stores, "app on memory", "the same with the sessions in the memory of its process"),
        (Name::Stores, "app on cookie", "the same with the sessions in their encrypted cookies"),
    ] {
        if !plan.wants(wanted) {
            continue;
        }
        match peer(bench, name, about.to_owned()).await {
            Ok(contender) => contenders.push(contender),
            Err(error) => {
                eprintln!("MISSING: {name}: {error:#}");
                missing.push((name.to_owned(), format!("{error:#}")));
            }
        }
    }
    Ok((contenders, missing))
}

async fn app(
    bench: &Bench,
    name: &'static str,
    about: String,
    file: &Path,
    environment: &[(String, String)],
) -> Result<Contender> {
    let mut program = app_program(file);
    program.envs(environment.iter().map(|(name, value)| (name, value)));
    Contender::start(bench, name, about, program, "/health/ready", APP_SEED).await
}

fn app_program(file: &Path) -> Command {
    let mut program = Command::new(file);
    program.env("COOKIE_SECURE", "false").env("SESSION_SECRET", SECRET).env("RUST_LOG", "warn");
    // All visitors come from one address.
    program.env("NEW_SESSIONS_PER_MINUTE", "0");
    program
}

async fn peer(bench: &Bench, name: &'static str, about: String) -> Result<Contender> {
    let rust = |package| {
        let (workspace, target) = (bench.project.join("lab/bench/peers"), bench.target.join("peers"));
        Ok::<_, anyhow::Error>(Command::new(build(&workspace, &target, &["--package", package, "--bins"])?))
    };
    match name {
        "bound" => {
            let file = build(&bench.project, &bench.target, &["--package", "bench", "--bin", "bound"])?;
            Contender::start(bench, name, about, Command::new(file), "/", APP_SEED).await
        }
        "axum" => Contender::start(bench, name, about, rust("peer-axum")?, "/", AXUM_SEED).await,
        "axum tuned" => {
            let mut program = rust("peer-axum")?;
            program.env("TUNED", "1");
            Contender::start(bench, name, about, program, "/", AXUM_SEED).await
        }
        "redis" => {
            let store = redis(bench, name)?;
            let mut program = rust("peer-redis")?;
            program.env("REDIS_URL", store.url());
            let contender = Contender::start(bench, name, about, program, "/", None).await?;
            fill_redis(bench, &store)?;
            Ok(Contender { redis: Some(store), ..contender })
        }
        "app on redis" | "app on memory" | "app on cookie" => {
            let file = build(&bench.project, &bench.target, &["--package", "bench", "--bin", "stores"])?;
            let mut program = app_program(&file);
            program.env("STORE", name.trim_start_matches("app on "));
            let store = (name == "app on redis").then(|| redis(bench, name)).transpose()?;
            program.envs(store.iter().map(|store| ("REDIS_URL", store.url())));
            let contender = Contender::start(bench, name, about, program, "/", APP_SEED).await?;
            store.iter().try_for_each(|store| fill_redis(bench, store))?;
            Ok(Contender { redis: store, ..contender })
        }
        _ => {
            let processes = if name == "express" { 1 } else { processors() };
            let mut node = Command::new("node");
            node.arg(express(bench)?).env("NODE_ENV", "production").env("SESSION_SECRET", SECRET);
            node.env("PROCESSES", processes.to_string());
            Contender::start(bench, name, about, node, "/", EXPRESS_SEED).await
        }
    }
}

/// Starts a Redis server whose writes are as durable as PostgreSQL's, on the same disk.
fn redis(bench: &Bench, name: &str) -> Result<Redis> {
    let home = bench.work.join(name.replace(' ', "-"));
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home)?;
    let dir = home.to_str().context("the path of the project isn't UTF-8")?;
    Redis::temporary(&[("dir", dir), ("save", "\"\""), ("appendonly", "yes"), ("appendfsync", "always")], &[])
}

/// Adds unused sessions.
fn fill_redis(bench: &Bench, store: &Redis) -> Result<()> {
    let count = bench.sessions.saturating_sub(VISITORS).to_string();
    let mut fill = Command::new("redis-cli");
    fill.args(["-e", "-u", &store.url(), "EVAL", include_str!("../sql/redis.lua"), "0", &count]);
    let output = fill.output().context("`redis-cli` is not installed")?;
    ensure!(output.status.success(), "redis-cli: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Copies the Express peer and installs its packages there, to keep them out of the source tree. Returns the
/// path of its program.
fn express(bench: &Bench) -> Result<PathBuf> {
    let home = bench.target.join("peers/express");
    fs::create_dir_all(&home)?;
    for file in ["app.js", "package.json", "package-lock.json"] {
        fs::copy(bench.project.join("lab/bench/peers/express").join(file), home.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&home);
    let npm = npm.output().context("Node.js (`npm`) is not installed")?;
    ensure!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr).trim());
    Ok(home.join("app.js"))
}

impl Contender {
    /// Returns whether this is the app, in any build.
    pub fn is_app(&self) -> bool {
        ["app", OTHER_BUILD].contains(&self.name)
    }

    /// Starts a server and creates its sessions. `seed` is the psql script that adds unused sessions. If it
    /// is `None`, the server gets no database.
    async fn start(
        bench: &Bench,
        name: &'static str,
        about: String,
        mut program: Command,
        ready: &str,
        seed: Option<&str>,
    ) -> Result<Self> {
        eprintln!("preparing {name}");
        let database = seed.map(|_| name.replace(' ', "_"));
        if let Some(database) = &database {
            bench.database.create(database)?;
            program.env("DATABASE_URL", bench.database.url(database));
        }
        let (process, address) = start(bench, name, &program, ready).await?;
        let visitors = load::create_visitors(address, VISITORS).await?;
        if let (Some(database), Some(seed)) = (&database, seed) {
            bench.database.fill(database, seed, bench.sessions.saturating_sub(VISITORS))?;
        }
        Ok(Contender { name, about, database, address, visitors, process, redis: None })
    }

    /// Returns the processes whose usage is measured.
    pub fn parts(&self, bench: &Bench) -> Parts {
        let redis = self.redis.as_ref().and_then(Redis::pid);
        let postgres = self.database.is_some().then(|| bench.database.pid());
        Parts { server: self.process.script.id(), stores: redis.into_iter().chain(postgres).collect() }
    }
}

/// Starts a server on a free port and waits until the path `ready` responds. Its output goes to a file.
async fn start(bench: &Bench, name: &str, program: &Command, ready: &str) -> Result<(Kept, SocketAddr)> {
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let log = bench.work.join(format!("{}.log", name.replace(' ', "-")));
    let mut shell = Command::new("/bin/sh");
    // Keeps variables of this shell and the project's `.env` from changing the results.
    shell.current_dir("/").args(["-c", r#"exec env -i PATH="$PATH" HOME="$HOME" "$@" 2>&1"#, "sh"]);
    let variables = program.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    shell.args(variables.map(|(name, value)| format!("{name}={value}")));
    shell.arg(format!("BIND_ADDRESS={address}")).arg(program.get_program()).args(program.get_args());
    let output = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
    let mut process = Kept::spawn(&shell, "INT", output.into())?;
    let begin = Instant::now();
    while !load::answers(address, ready).await {
        if let Some(status) = process.script.try_wait()? {
            bail!("{name} exited with {status}; its log is {}", log.display());
        }
        ensure!(begin.elapsed() < LONGEST_START, "{name} doesn't respond; its log is {}", log.display());
        sleep(Duration::from_millis(10)).await;
    }
    Ok((process, address))
}

/// Builds a program in release mode and returns its path.
fn build(workspace: &Path, target: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["build", "--locked", "--release", "--quiet"]);
    cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(target).args(arguments);
    let output = cargo.current_dir(workspace).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "cargo build failed in {}", workspace.display());
    let messages = output.stdout.split(|&byte| byte == b'\n');
    let mut messages = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let program = messages.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("cargo built no program")
}
