//! The peers that are written in Rust.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dev::Kept;

use super::{Contender, Fill, Kind, Place, Program, VISITORS, app::cargo_build, seed};
use crate::database::Database;

const AXUM: &str = "axum, tower-sessions, tower-sessions-sqlx-store";
const REDIS: &str = "Actix, actix-session on Redis, appendonly yes, appendfsync always";
const BARE: &str = "Actix, two handlers, no middleware";

/// Starts axum with tower-sessions.
pub fn axum(place: &Place, database: &Database, sessions: usize) -> Result<Contender> {
    let program = build(place, "peer-axum")?;
    let fill = Fill { visitors: VISITORS, sql: Some(seed::TOWER_SESSIONS), sessions };
    Contender::server("axum", AXUM, program, place, database, fill)
}

/// Starts actix-session on a Redis that is as durable as PostgreSQL, where there is Redis.
pub fn redis(place: &Place, database: &Database, sessions: usize) -> Result<Contender> {
    let (store, port) = redis_server(place)?;
    let mut program = build(place, "peer-redis")?;
    program.environment.push(("REDIS_URL".to_owned(), format!("redis://127.0.0.1:{port}")));
    let fill = Fill { visitors: VISITORS, sql: None, sessions };
    let mut contender = Contender::server("redis", REDIS, program, place, database, fill)?;
    let missing = sessions.saturating_sub(VISITORS);
    redis_command(port, &["EVAL", seed::REDIS, "0", &missing.to_string()])?;
    if let Kind::Server(server) = &mut contender.kind {
        server.store = Some(store);
    }
    Ok(contender)
}

/// Starts Actix without any middleware.
pub fn bare(place: &Place, database: &Database) -> Result<Contender> {
    let mut program = build(place, "peer-bare")?;
    let stylesheet = place.project.join("static/app.css");
    program.environment.push(("STYLESHEET".to_owned(), stylesheet.to_string_lossy().into_owned()));
    program.ready = "/health/live";
    let fill = Fill { visitors: 0, sql: None, sessions: 0 };
    Contender::server("bare", BARE, program, place, database, fill)
}

fn build(place: &Place, package: &str) -> Result<Program> {
    eprintln!("building {package} in release mode (the first time takes minutes)");
    let target = place.target.join("peers");
    cargo_build(&place.project.join("bench/peers"), &target, &["--package", package])?;
    Ok(Program::new(target.join("release").join(package), "/", &[]))
}

fn redis_server(place: &Place) -> Result<(Kept, u16)> {
    let version = Command::new("redis-server").arg("--version").output();
    ensure!(version.is_ok(), "no `redis-server` on the PATH");
    let home = place.work.join("redis");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home)?;
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning"])
        .args(["--logfile", "redis.log", "--dir"])
        .arg(&home);
    let store = Kept::spawn(&command)?;
    let begin = Instant::now();
    while redis_command(port, &["PING"]).is_err() {
        ensure!(begin.elapsed() < Duration::from_secs(10), "redis-server does not start");
        thread::sleep(Duration::from_millis(10));
    }
    Ok((store, port))
}

/// Sends one command in Redis' protocol; it must not be answered by an error.
fn redis_command(port: u16, words: &[&str]) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "*{}\r\n", words.len())?;
    for word in words {
        write!(stream, "${}\r\n{word}\r\n", word.len())?;
    }
    let mut answer = [0; 1];
    stream.read_exact(&mut answer).context("redis-server does not answer")?;
    if &answer == b"-" {
        bail!("redis-server refuses {}", words[0]);
    }
    Ok(())
}
