//! `cargo dev`: runs the app with a private PostgreSQL.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process::Stdio, sync::Arc, thread};

use anyhow::{Context, Result, bail, ensure};
use dev::{Kept, Postgres, cargo};
use signal_hook::{consts, flag};

/// Runs the app until it exits, or until Ctrl-C.
pub fn run() -> Result<()> {
    match dotenvy::from_path(".env") {
        Err(error) if !error.not_found() => return Err(error).context("can't read .env"),
        _ => {}
    }
    let end = Arc::new(AtomicBool::new(false));
    for signal in [consts::SIGHUP, consts::SIGINT, consts::SIGTERM] {
        // A second Ctrl-C stops this process immediately.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&end))?;
        flag::register(signal, Arc::clone(&end))?;
    }
    let postgres = Postgres::start(".postgres".as_ref(), &[])?;
    // The app's own default.
    let address = env::var("BIND_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    if TcpListener::bind(&address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
        bail!("{address} is in use: choose another, such as `BIND_ADDRESS=127.0.0.1:8081 cargo dev`");
    }
    let mut app = cargo();
    app.arg("run").env("DATABASE_URL", postgres.url("postgres"));
    // Some browsers reject Secure cookies over plain HTTP, even on localhost.
    let own_or = |name, value: &str| env::var(name).unwrap_or_else(|_| value.to_owned());
    app.env("COOKIE_SECURE", own_or("COOKIE_SECURE", "false"));
    app.env("EXPERIMENTS", own_or("EXPERIMENTS", "true")); // demo
    // The app stops immediately on SIGINT. SIGTERM would make it wait for a load balancer.
    let mut app = Kept::spawn_with(&app, "INT", Stdio::inherit())?;
    let outcome = follow(&mut app, &address, &end, &postgres);
    // Stops the app before the database, because its last requests need the database.
    app.stop()?;
    outcome
}

fn follow(app: &mut Kept, address: &str, end: &AtomicBool, postgres: &Postgres) -> Result<()> {
    let mut listens = false;
    while !end.load(Ordering::Relaxed) {
        if let Some(status) = app.try_wait()? {
            if status.code() == Some(1) {
                eprintln!("If the schema is from an older version, delete .postgres/ to start over.");
            }
            bail!("the app exited with {status}");
        }
        // A connection without a request isn't logged.
        if !listens && TcpStream::connect(address).is_ok() {
            listens = true;
            let seeded = seed(postgres, end);
            eprintln!("\n  http://{address}/   open it in a browser, and reload the page");
            eprintln!("  cargo dev psql           open the database, in another terminal");
            eprintln!("  Ctrl-C                   stop");
            eprintln!(
                "{}",
                seeded.unwrap_or_else(|error| format!("  no data for trying the app: {error:#}\n"))
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Adds sample data from the files in `dev/seed/`, and returns their output.
fn seed(postgres: &Postgres, end: &AtomicBool) -> Result<String> {
    let Ok(files) = fs::read_dir("dev/seed") else { return Ok(String::new()) };
    let mut printed = String::new();
    for file in files {
        let file = file?.path();
        let mut psql = postgres.client("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"]).arg(file);
        let begin = Instant::now();
        // The app may still be creating the tables.
        let output = loop {
            let output = psql.output().context("can't run psql: is it installed?")?;
            let is_over = end.load(Ordering::Relaxed) || begin.elapsed() > Duration::from_secs(10);
            if output.status.success() || is_over {
                break output;
            }
            thread::sleep(Duration::from_millis(100));
        };
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    Ok(printed)
}
