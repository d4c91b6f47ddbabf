//! The peers: visit counters as the tutorials of their session libraries write them.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use dev::Kept;

use super::{Contender, SECRET, VISITORS, cargo_build, free_address};
use crate::{run::Bench, usage};

/// Starts Express with connect-pg-simple.
pub async fn express(bench: &Bench) -> Result<Contender> {
    let about = "Express, express-session, connect-pg-simple in one Node process, NODE_ENV=production";
    start_express(bench, ("express", about), 1).await
}

/// Starts the same with a process for each processor.
pub async fn express_cluster(bench: &Bench) -> Result<Contender> {
    let about = "the same with a Node process for each processor (node:cluster)";
    start_express(bench, ("express cluster", about), usage::processors()).await
}

async fn start_express(bench: &Bench, names: (&str, &str), processes: usize) -> Result<Contender> {
    // A copy, so that the packages stay out of the project.
    let home = bench.target.join("peers/express");
    fs::create_dir_all(&home)?;
    for file in ["app.js", "package.json", "package-lock.json"] {
        fs::copy(bench.project.join("bench/peers/express").join(file), home.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&home);
    let npm = npm.output().context("Node.js (`npm`) is not installed")?;
    ensure!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr).trim());
    let mut node = Command::new("node");
    node.arg(home.join("app.js")).env("NODE_ENV", "production").env("SESSION_SECRET", SECRET);
    node.env("PROCESSES", processes.to_string());
    Contender::start(bench, names, node, "/", Some(include_str!("../../sql/express.sql"))).await
}

/// Starts axum with tower-sessions.
pub async fn axum(bench: &Bench) -> Result<Contender> {
    let names = ("axum", "axum, tower-sessions, tower-sessions-sqlx-store");
    let program = rust_peer(bench, "peer-axum")?;
    Contender::start(bench, names, program, "/", Some(include_str!("../../sql/axum.sql"))).await
}

/// Starts the same without a ping before each use of a database connection.
pub async fn axum_tuned(bench: &Bench) -> Result<Contender> {
    let names = ("axum tuned", "the same with test_before_acquire(false)");
    let mut program = rust_peer(bench, "peer-axum")?;
    program.env("TUNED", "1");
    Contender::start(bench, names, program, "/", Some(include_str!("../../sql/axum.sql"))).await
}

/// Starts actix-session with a Redis that is as durable as PostgreSQL.
pub async fn redis(bench: &Bench) -> Result<Contender> {
    let names = ("redis", "Actix, actix-session in Redis, appendonly yes, appendfsync always");
    let (store, port) = start_redis(bench)?;
    let mut program = rust_peer(bench, "peer-redis")?;
    program.env("REDIS_URL", format!("redis://127.0.0.1:{port}"));
    let mut contender = Contender::start(bench, names, program, "/", None).await?;
    let count = bench.sessions.saturating_sub(VISITORS).to_string();
    redis_cli(port, &["EVAL", include_str!("../../sql/redis.lua"), "0", &count])?;
    contender.redis = Some(store);
    Ok(contender)
}

fn rust_peer(bench: &Bench, package: &str) -> Result<Command> {
    let (workspace, target) = (bench.project.join("bench/peers"), bench.target.join("peers"));
    let program: PathBuf = cargo_build(&workspace, &target, &["--package", package, "--bins"])?;
    Ok(Command::new(program))
}

fn start_redis(bench: &Bench) -> Result<(Kept, u16)> {
    let home = bench.work.join("redis");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home)?;
    let port = free_address()?.port();
    let mut redis = Command::new("redis-server");
    redis.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    redis.args(["--appendonly", "yes", "--appendfsync", "always", "--logfile", "redis.log", "--dir"]);
    let redis = Kept::spawn(redis.arg(&home))?;
    for _ in 0..500 {
        if redis_cli(port, &["PING"]).is_ok() {
            return Ok((redis, port));
        }
        thread::sleep(Duration::from_millis(20));
    }
    redis_cli(port, &["PING"]).map(|()| (redis, port))
}

fn redis_cli(port: u16, arguments: &[&str]) -> Result<()> {
    let output = Command::new("redis-cli").args(["-e", "-p", &port.to_string()]).args(arguments).output();
    let output = output.context("`redis-cli` is not installed")?;
    ensure!(output.status.success(), "redis-cli: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
