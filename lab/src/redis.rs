//! A private Redis server that stops with this process.
//!
//! Like PostgreSQL, it listens on 127.0.0.1 only, on a port that the kernel chooses, and requires a random password.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, path::Path, thread};

use anyhow::{Result, bail, ensure};
use dev::{Home, Kept, process};

/// Tells the user how to get Redis.
const INSTALL: &str = "redis-server isn't installed: run `apt install redis-server` or `brew install redis`";

/// A running Redis server with temporary files. It stops when this value is dropped, or when this process
/// exits for any reason.
#[derive(Debug)]
pub struct Redis {
    /// `None` while the server is stopped. Dropped before its directory.
    server: Option<Kept>,
    port: u16,
    password: String,
    home: Home,
    environment: Vec<(String, String)>,
}

impl Redis {
    /// Returns whether `redis-server` is installed.
    pub fn is_installed() -> bool {
        Command::new("redis-server").arg("--version").output().is_ok()
    }

    /// Starts an empty server with settings such as `("appendonly", "yes")`, and these environment variables.
    /// The other settings have Redis's defaults.
    ///
    /// # Errors
    /// Returns an error if `redis-server` isn't installed or doesn't start.
    pub fn temporary(settings: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Self> {
        ensure!(Self::is_installed(), INSTALL);
        let home = Home::temporary("redis")?;
        let password = fs::read_to_string(home.path.join("password"))?;
        // Keeps the password in a file, because other accounts can read a process's arguments.
        let mut file = format!("requirepass {password}\nbind 127.0.0.1\ndir {}\n", home.path.display());
        file.extend(settings.iter().map(|(name, value)| format!("{name} {value}\n")));
        fs::write(home.path.join("redis.conf"), file)?;
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut redis = Redis { server: None, port: 0, password, home, environment };
        for _ in 0..5 {
            redis.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match redis.start() {
                // Another process took the port first.
                Err(_) if redis.log().contains("Address already in use") => {}
                outcome => return outcome.map(|()| redis),
            }
        }
        bail!("there is no free port for Redis")
    }

    /// Starts the server again after [`Redis::kill9`], with the same data and port.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec >>"$0/log" 2>&1; exec redis-server "$0/redis.conf" --port "$1""#]);
        command.arg(&self.home.path).arg(self.port.to_string());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut server = Kept::spawn(&command, "TERM", self.home.guard.try_clone()?.into())?;
        let begin = Instant::now();
        while !self.is_ready() {
            let has_ended = server.script.try_wait()?.is_some() || begin.elapsed() > Duration::from_secs(60);
            ensure!(!has_ended, "Redis didn't start. Its log:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        self.server = Some(server);
        Ok(())
    }

    /// Kills the server, as a crash would.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            process::signal("KILL", &process::children(server.script.id()))?;
        }
        Ok(())
    }

    /// Returns the process ID of the shell that runs the server, if it is running.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.script.id())
    }

    /// Returns the URL of the server, including the password.
    pub fn url(&self) -> String {
        format!("redis://default:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The directory that contains the data and the log.
    pub fn home(&self) -> &Path {
        &self.home.path
    }

    /// Returns whether the server is ready. While it loads its data, it returns an error.
    fn is_ready(&self) -> bool {
        let ping = || -> Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "AUTH {}\r\nPING\r\n", self.password)?;
            let answers = BufReader::new(stream).lines().take(2).collect::<Result<Vec<_>, _>>()?;
            Ok(answers == ["+OK", "+PONG"])
        };
        ping().unwrap_or(false)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path.join("log")).unwrap_or_default()
    }
}
