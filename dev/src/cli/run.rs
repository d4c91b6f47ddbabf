//! `cargo dev`: runs the app with a private PostgreSQL server.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, fs, fs::File, path::Path, sync::Arc, thread};

use anyhow::{Context, Result, bail, ensure};
use dev::{Kept, Postgres, cargo};
use signal_hook::{consts, flag};

use super::{run_sql, succeed};

const SOURCES: [&str; 7] = ["src", "crates", "templates", "static", "migrations", ".sqlx", "Cargo.toml"];

/// Runs the app until it exits or you press Ctrl-C. With `watch`, rebuilds and restarts it after each change.
pub fn run(watch: bool) -> Result<()> {
    // The error's own message would quote a line, which may contain a secret.
    ensure!(dotenvy::from_path(".env").map_or_else(|error| error.not_found(), |()| true), "can't read .env");
    let end = Arc::new(AtomicBool::new(false));
    for signal in [consts::SIGHUP, consts::SIGINT, consts::SIGTERM] {
        // A second Ctrl-C stops this process immediately.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&end))?;
        flag::register(signal, Arc::clone(&end))?;
    }
    let postgres = Postgres::start(".postgres".as_ref(), &[])?;
    let address = env::var("BIND_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let problem = || format!("can't use {address}: choose another, such as BIND_ADDRESS=127.0.0.1:8081");
    TcpListener::bind(&address).with_context(problem)?;
    // The app stops immediately on SIGINT. SIGTERM would make it wait for a load balancer.
    let start = || Kept::spawn(&command("run", watch, &postgres), "INT", Stdio::inherit());
    let mut app = start()?;
    let mut attempts = 0;
    let newest = || SOURCES.map(|path| last_change(path.as_ref())).into_iter().max();
    let mut seen = newest();
    while !end.load(Ordering::Relaxed) {
        if !watch && let Some(status) = app.script.try_wait()? {
            if status.code() == Some(1) {
                eprintln!("If the schema is from an older version, delete .postgres/ to start over.");
            }
            bail!("the app exited with {status}");
        }
        if watch && newest() != seen {
            // Cargo doesn't notice a new migration unless the library changes, too.
            File::options().append(true).open("src/lib.rs")?.set_modified(SystemTime::now())?;
            seen = newest();
            // If the build fails, the old app keeps running.
            if succeed(&mut command("build", watch, &postgres), "").is_ok() {
                drop(app);
                app = start()?;
            }
        }
        // Connecting without sending a request adds nothing to the app's log.
        if attempts < 100 && TcpStream::connect(&address).is_ok() {
            if attempts == 0 {
                eprintln!("\n  http://{address}/   open it in a browser, and reload the page");
                eprintln!("  cargo dev psql           open the database, in another terminal");
                eprintln!("  Ctrl-C                   stop");
            }
            let sample = run_sql(&postgres, "dev/seed");
            // The app may still be creating the tables.
            attempts = if sample.is_ok() { 100 } else { attempts + 1 };
            if attempts == 100 {
                let problem = |error| format!("  can't add sample data: {error:#}\n");
                eprintln!("{}", sample.unwrap_or_else(problem));
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Returns a Cargo command with the app's settings.
fn command(verb: &str, watch: bool, postgres: &Postgres) -> Command {
    let mut command = cargo();
    command.arg(verb).env("DATABASE_URL", postgres.url("postgres"));
    let own_or = |name, value: &str| env::var(name).unwrap_or_else(|_| value.to_owned());
    // Some browsers reject Secure cookies over plain HTTP, even on localhost.
    command.env("COOKIE_SECURE", own_or("COOKIE_SECURE", "false"));
    command.env("EXPERIMENTS", own_or("EXPERIMENTS", "true")); // demo
    command.envs(watch.then_some(("DEV_RELOAD", "true")));
    command
}

/// Returns when this file, or one in this directory, was last changed, added or removed.
fn last_change(path: &Path) -> Option<SystemTime> {
    let own = path.metadata().and_then(|metadata| metadata.modified()).ok();
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| last_change(&entry.path())).fold(own, Option::max)
}
