//! `cargo dev`: runs the app with a private PostgreSQL server.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, fs::File, path::Path, sync::Arc, thread};

use anyhow::{Context, Result, bail};
use dev::{Kept, Postgres, cargo};
use signal_hook::{consts, flag};

use super::{run_sql, succeed};

/// The files and folders that the app is built from.
const SOURCES: [&str; 7] = ["src", "crates", "templates", "static", "migrations", ".sqlx", "Cargo.toml"];

/// Runs the app until it exits or you press Ctrl-C. With `watch`, rebuilds and restarts it after each change.
pub fn run(watch: bool) -> Result<()> {
    if let Err(error) = dotenvy::from_path(".env")
        && !error.not_found()
    {
        return Err(error).context("can't read .env");
    }
    let end = Arc::new(AtomicBool::new(false));
    for signal in [consts::SIGHUP, consts::SIGINT, consts::SIGTERM] {
        // A second Ctrl-C stops this process immediately.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&end))?;
        flag::register(signal, Arc::clone(&end))?;
    }
    let postgres = Postgres::start(".postgres".as_ref(), &[])?;
    // This is also the app's default.
    let address = env::var("BIND_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    if TcpListener::bind(&address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
        bail!("{address} is in use: choose another address, such as `BIND_ADDRESS=127.0.0.1:8081 cargo dev`");
    }
    // The app stops immediately on SIGINT. SIGTERM would make it wait for a load balancer.
    let start = || Kept::spawn(&command("run", watch, &postgres), "INT", Stdio::inherit());
    let mut app = start()?;
    let mut is_greeted = false;
    let mut seen = last_change();
    while !end.load(Ordering::Relaxed) {
        if let Some(status) = app.try_wait()?
            && !watch
        {
            if status.code() == Some(1) {
                eprintln!("If the schema is from an older version, delete .postgres/ to start over.");
            }
            bail!("the app exited with {status}");
        }
        if watch && last_change() != seen {
            // Cargo doesn't notice a new migration unless the library changes, too.
            File::options().append(true).open("src/lib.rs")?.set_modified(SystemTime::now())?;
            seen = last_change();
            // If the build fails, the old app keeps running.
            if succeed(&mut command("build", watch, &postgres), "").is_ok() {
                app.stop()?;
                app = start()?;
            }
        }
        // Connecting without sending a request adds nothing to the app's log.
        if !is_greeted && TcpStream::connect(&address).is_ok() {
            is_greeted = true;
            greet(&address, &postgres, &end);
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
    if watch {
        command.env("DEV_RELOAD", "true");
    }
    command
}

/// Returns when a source file was last changed, added or removed.
fn last_change() -> SystemTime {
    fn of(path: &Path) -> SystemTime {
        let own = path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| of(&entry.path())).fold(own, SystemTime::max)
    }
    SOURCES.iter().map(|path| of(path.as_ref())).max().expect("there are sources")
}

/// Prints how to use the app, and adds sample data from the files in `dev/seed/`.
fn greet(address: &str, postgres: &Postgres, end: &AtomicBool) {
    eprintln!("\n  http://{address}/   open it in a browser, and reload the page");
    eprintln!("  cargo dev psql           open the database, in another terminal");
    eprintln!("  Ctrl-C                   stop");
    let begin = Instant::now();
    // The app may still be creating the tables.
    let seeded = loop {
        let seeded = run_sql(postgres, "dev/seed");
        if seeded.is_ok() || end.load(Ordering::Relaxed) || begin.elapsed() > Duration::from_secs(10) {
            break seeded;
        }
        thread::sleep(Duration::from_millis(100));
    };
    eprintln!("{}", seeded.unwrap_or_else(|error| format!("  can't add sample data: {error:#}\n")));
}
