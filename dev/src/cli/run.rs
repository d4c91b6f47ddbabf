//! `cargo dev`: the app with a database of its own.

use std::{
    env,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dev::{Kept, Postgres, postgres::is_in_use};

use super::{APP, cargo, database, database_home, end_requested, project};

/// What differs from the app's own defaults, and holds unless the environment or `.env` says otherwise.
const DEFAULTS: [(&str, &str); 4] = [
    ("BIND_ADDRESS", "127.0.0.1:8080"),
    // Some browsers refuse Secure cookies over plain http, even on localhost.
    ("COOKIE_SECURE", "false"),
    ("SESSION_SECRET_FILE", ".session-secret"),
    ("LOG_FORMAT", "pretty"),
];

/// Runs the app until it ends or somebody asks us to end.
pub fn run() -> Result<()> {
    load_dotenv()?;
    let address = bind_address();
    // Asked here as well as below, because that one has most likely taken our port too.
    if is_in_use(&database_home()) {
        bail!(runs_already());
    }
    refuse_taken_port(&address)?;
    let end = end_requested()?;
    let Ok(postgres) = database()? else {
        bail!(runs_already());
    };
    eprintln!("PostgreSQL runs, with its data in .postgres/ (`cargo dev psql` opens a shell on it)");
    let mut app = Kept::spawn(&app(&postgres))?;
    let outcome = follow(&mut app, &address, &end);
    // The app first: its last requests still want the database.
    app.stop()?;
    drop(postgres);
    outcome
}

fn runs_already() -> String {
    format!(
        "the database in {} is in use, most likely by another `cargo dev`: end that first",
        database_home().display()
    )
}

/// The app would read it as well, but what is in it counts already for the defaults.
fn load_dotenv() -> Result<()> {
    match dotenvy::from_path(project().join(".env")) {
        Err(error) if !error.not_found() => Err(error).context("cannot read .env"),
        _ => Ok(()),
    }
}

fn bind_address() -> String {
    env::var("BIND_ADDRESS").unwrap_or_else(|_| DEFAULTS[0].1.to_owned())
}

/// Said before anything is started or built. An address that makes no sense is the app's to refuse.
fn refuse_taken_port(address: &str) -> Result<()> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "{address} is taken: end what listens there, or choose another, such as `BIND_ADDRESS=127.0.0.1:8081 cargo dev`"
        ),
        _ => Ok(()),
    }
}

fn app(postgres: &Postgres) -> Command {
    let mut app = cargo();
    app.args(["run", "--package", APP]);
    for (name, value) in DEFAULTS {
        let secret_is_given = name == "SESSION_SECRET_FILE" && env::var_os("SESSION_SECRET").is_some();
        if env::var_os(name).is_none() && !secret_is_given {
            app.env(name, value);
        }
    }
    app.env("DATABASE_URL", postgres.url("postgres"));
    app
}

fn follow(app: &mut Kept, address: &str, end: &AtomicBool) -> Result<()> {
    let mut announced = false;
    while !end.load(Ordering::Relaxed) {
        if let Some(status) = app.try_wait()? {
            bail!("the app ended with {status}");
        }
        if !announced
            && let Some(visitor) = visitor_address(address)
            && is_ready(visitor)
        {
            announced = true;
            eprintln!("\n    The app is ready: http://{visitor}/    (Ctrl-C ends it)\n");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Where a browser on this machine finds a server that listens on `address`.
fn visitor_address(address: &str) -> Option<SocketAddr> {
    let mut found = address.to_socket_addrs().ok()?.next()?;
    if found.ip().is_unspecified() {
        found.set_ip(match found.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(found)
}

fn is_ready(address: SocketAddr) -> bool {
    let status = || -> std::io::Result<[u8; 12]> {
        let patience = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    status().is_ok_and(|status| &status == b"HTTP/1.1 200")
}
