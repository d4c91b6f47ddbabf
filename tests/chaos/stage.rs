//! PostgreSQL, PgBouncer, a proxy, and two replicas of the app.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dev::{Kept, Postgres};

use crate::{proxy::Proxy, replica::Replica};

/// Size of the file system with the database, if this user may mount one.
const DISK: &str = "size=400m";

pub struct Stage {
    pub replicas: Vec<Replica>,
    pub proxy: Proxy,
    pub pooler: Option<Pooler>,
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
            None => Postgres::temporary(),
        };
        let postgres = postgres.unwrap_or_else(|error| panic!("{error:#}"));
        let url = postgres.url("postgres");
        let direct = format!(":{}/", postgres.port());
        let through = |port: u16| url.replace(&direct, &format!(":{port}/"));
        let proxy = Proxy::start((Ipv4Addr::LOCALHOST, postgres.port()).into());
        let pooler = Pooler::start(&postgres);
        let mut stage = Self { replicas: Vec::new(), proxy, pooler, postgres, disk };
        // The second replica has the limit of the role, because PgBouncer drops the app's own.
        stage.sql("alter role postgres set statement_timeout = '1500ms'");
        let second = stage.pooler.as_ref().map_or(url.clone(), |pooler| through(pooler.port));
        let first = through(stage.proxy.port);
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

    /// Returns the ends of all logs.
    pub fn logs(&self) -> String {
        self.replicas
            .iter()
            .map(|replica| format!("--- {}\n{}\n", replica.address, replica.last_words()))
            .collect()
    }
}

/// Sends a signal, such as `STOP`.
pub fn signal(name: &str, pids: &[u32]) {
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "kill -s \"$0\" \"$@\" 2>/dev/null", name]).args(pids.iter().map(u32::to_string));
    let _ = kill.status();
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
        // It ends when no space is left.
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

/// PgBouncer with the settings in deploy/.
pub struct Pooler {
    pub port: u16,
    file: PathBuf,
    process: Option<Kept>,
}

impl Pooler {
    fn start(postgres: &Postgres) -> Option<Self> {
        Command::new("pgbouncer").arg("--version").output().ok()?;
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{port}"));
        fs::create_dir_all(&directory).expect("a directory");
        let users = directory.join("userlist.txt");
        let url = postgres.url("postgres");
        let password = url.split_once("//postgres:").and_then(|(_, rest)| Some(rest.split_once('@')?.0));
        fs::write(&users, format!("\"postgres\" \"{}\"\n", password.expect("a password"))).expect("written");
        let mut settings = include_str!("../../deploy/pgbouncer.ini")
            .replace("app = host", "postgres = host")
            .replace("port=5432 dbname=app", &format!("port={} dbname=postgres", postgres.port()))
            .replace("= 6432", &format!("= {port}"))
            .replace("/etc/pgbouncer/userlist.txt", users.to_str().expect("text"));
        // It refuses to run as root.
        if Command::new("id").arg("-u").output().expect("id").stdout == b"0\n" {
            settings.push_str("user = nobody\n");
        }
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, settings).expect("written");
        let mut pooler = Self { port, file, process: None };
        pooler.restart();
        Some(pooler)
    }

    pub fn restart(&mut self) {
        let mut command = Command::new("pgbouncer");
        command.arg("--quiet").arg(&self.file);
        self.process = Some(Kept::spawn_with(&command, "KILL", Stdio::null()).expect("PgBouncer"));
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "PgBouncer doesn't start");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn kill(&mut self) {
        self.process = None;
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.file.parent().expect("a directory"));
    }
}
