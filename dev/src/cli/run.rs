//! `cargo dev`: runs the app with a private PostgreSQL.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, process::Stdio, sync::Arc, thread, time::Duration};

use anyhow::{Context, Result, bail};
use dev::{Kept, Postgres, cargo};
use signal_hook::{consts, flag};

/// Runs the app until it ends, or until Ctrl-C.
pub fn run() -> Result<()> {
    match dotenvy::from_path(".env") {
        Err(error) if !error.not_found() => return Err(error).context("can't read .env"),
        _ => {}
    }
    let end = Arc::new(AtomicBool::new(false));
    for signal in [consts::SIGHUP, consts::SIGINT, consts::SIGTERM] {
        // A second Ctrl-C ends this process at once.
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
    for (name, value) in [("COOKIE_SECURE", "false"), ("EXPERIMENTS", "true")] {
        app.env(name, env::var(name).unwrap_or_else(|_| value.to_owned()));
    }
    // The app stops at once on SIGINT. SIGTERM would make it wait for a load balancer.
    let mut app = Kept::spawn_with(&app, "INT", Stdio::inherit())?;
    let outcome = follow(&mut app, &address, &end);
    // Stops the app before the database, because its last requests need the database.
    app.stop()?;
    outcome
}

fn follow(app: &mut Kept, address: &str, end: &AtomicBool) -> Result<()> {
    let mut listens = false;
    while !end.load(Ordering::Relaxed) {
        if let Some(status) = app.try_wait()? {
            if status.code() == Some(1) {
                eprintln!("If the schema is from an older version, delete .postgres/ to start over.");
            }
            bail!("the app ended with {status}");
        }
        // A connection without a request isn't logged.
        if !listens && TcpStream::connect(address).is_ok() {
            listens = true;
            eprintln!("\n  http://{address}/   open it in a browser, and reload the page");
            eprintln!("  cargo dev psql           open the database, in another terminal");
            eprintln!("  Ctrl-C                   stop\n");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
