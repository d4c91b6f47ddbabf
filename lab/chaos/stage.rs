//! PostgreSQL, PgBouncer, a proxy, and two replicas of the app.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::{fs, path::PathBuf};

use dev::Postgres;
use lab::PgBouncer;

use crate::{proxy::Proxy, replica::Replica};

/// Size of the file system with the database, if this user may mount one.
const DISK: &str = "size=400m";

pub struct Stage {
    pub replicas: Vec<Replica>,
    pub proxy: Proxy,
    pub pooler: Option<PgBouncer>,
    pub postgres: Postgres,
    /// The disk that can be filled. Dropped last.
    pub disk: Option<Disk>,
}

impl Stage {
    pub fn new() -> Self {
        let disk = Disk::mount();
        let settings = [("max_wal_size", "64MB"), ("min_wal_size", "32MB")];
        let postgres = match &disk {
            Some(disk) => Postgres::start(&disk.path.join("postgres"), &settings),
            None => Postgres::temporary(&[]),
        };
        let postgres = postgres.unwrap_or_else(|error| panic!("{error:#}"));
        let url = postgres.url("postgres");
        let direct = format!(":{}/", postgres.port);
        let proxy = Proxy::start((Ipv4Addr::LOCALHOST, postgres.port).into());
        let pooler = PgBouncer::is_installed().then(|| {
            let pooler = PgBouncer::temporary(&url, include_str!("../../deploy/pgbouncer.ini"));
            pooler.unwrap_or_else(|error| panic!("{error:#}"))
        });
        let mut stage = Self { replicas: Vec::new(), proxy, pooler, postgres, disk };
        // PgBouncer drops the app's own time limit, so the second replica needs the role's limit.
        stage.sql("alter role postgres set statement_timeout = '1500ms'");
        let second = stage.pooler.as_ref().map_or(url.clone(), |pooler| pooler.url().to_owned());
        let first = url.replace(&direct, &format!(":{}/", stage.proxy.port));
        stage.replicas = vec![Replica::start(first, url.clone()), Replica::start(second, url.clone())];
        stage
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.replicas.iter().map(|replica| replica.address).collect()
    }

    /// Returns what psql prints for these statements.
    pub fn sql(&self, statements: &str) -> String {
        let mut psql = self.postgres.client("psql");
        psql.env("PGCONNECT_TIMEOUT", "10").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        let output = psql.output().expect("psql");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns the last lines of all logs.
    pub fn logs(&self) -> String {
        self.replicas
            .iter()
            .map(|replica| format!("--- {}\n{}\n", replica.address, replica.last_words()))
            .collect()
    }
}

/// A small file system in memory. Only root may mount one.
pub struct Disk {
    pub path: PathBuf,
}

impl Disk {
    fn mount() -> Option<Self> {
        let path = std::env::temp_dir().join(format!("chaos-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "chaos"]).arg(&path).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self { path });
        }
        let _ = fs::remove_dir(&path);
        None
    }

    pub fn fill(&self) {
        // `dd` exits when no space is left.
        let filler = format!("of={}", self.filler().display());
        let _ = Command::new("dd").args(["if=/dev/zero", &filler, "bs=64k"]).stderr(Stdio::null()).status();
    }

    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("the file is there");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
        let _ = fs::remove_dir(&self.path);
    }
}
