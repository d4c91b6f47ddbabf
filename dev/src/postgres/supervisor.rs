//! The small shell script that keeps the server, and talking to it.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::account::Account;

/// Owns the pipe whose closing ends the server.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// `None` only while it is dropped.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    script: Child,
}

impl Supervisor {
    /// Starts the script, and gives the server's home, which it makes where `home` is `None`.
    ///
    /// `lock` stays open, and so locked, until the script has ended, even when we end before it.
    pub(super) fn start(
        bin: &Path,
        home: Option<&Path>,
        options: &[String],
        lock: Option<File>,
    ) -> Result<(Self, PathBuf)> {
        let account = Account::of_server(home)?;
        let mut command = account.shell(bin, home)?;
        let mut script = command
            .arg("-c")
            .arg(include_str!("supervisor.sh"))
            .arg("postgres-supervisor")
            .arg(bin)
            .arg(home.unwrap_or(Path::new("")))
            .args(options)
            // Readable to whatever account it runs under.
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(lock.map_or_else(Stdio::null, Stdio::from))
            // A terminal sends Ctrl-C to its whole foreground group: the server is to outlive us.
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh to keep PostgreSQL")?;
        let mut supervisor = Supervisor {
            commands: script.stdin.take(),
            answers: BufReader::new(script.stdout.take().context("its output is piped")?),
            script,
        };
        let home = supervisor.answer()?;
        ensure!(
            !home.is_empty(),
            "cannot make a directory for a temporary PostgreSQL in {}",
            std::env::temp_dir().display()
        );
        Ok((supervisor, home.into()))
    }

    /// Makes the data directory, if there is none yet. Says whether that went well.
    pub(super) fn init(&mut self) -> Result<bool> {
        Ok(self.ask("init")?.0)
    }

    /// Starts the server; it is not ready yet. Gives the process id.
    pub(super) fn start_server(&mut self, port: u16) -> Result<u32> {
        let (_, pid) = self.ask(&format!("start {port}"))?;
        pid.parse().context("the supervisor tells the server's pid")
    }

    /// Sends a signal; to send it to a process that is gone is no error.
    pub(super) fn signal(&mut self, name: &str, pids: &[u32]) -> Result<()> {
        for pid in pids {
            self.ask(&format!("signal {name} {pid}"))?;
        }
        Ok(())
    }

    /// Sends a signal to the server. Gives its process id, if it runs.
    pub(super) fn signal_server(&mut self, name: &str) -> Result<Option<u32>> {
        let (_, pid) = self.ask(&format!("signal-server {name}"))?;
        Ok(pid.parse().ok())
    }

    /// Sends a signal to the server, if it runs, and waits until it has ended.
    pub(super) fn end_server(&mut self, signal: &str) -> Result<()> {
        self.signal_server(signal)?;
        self.ask("reap").map(drop)
    }

    fn ask(&mut self, command: &str) -> Result<(bool, String)> {
        let pipe = self.commands.as_mut().context("the pipe is open")?;
        writeln!(pipe, "{command}").context("the supervisor of PostgreSQL is gone")?;
        let answer = self.answer()?;
        let (status, pid) = answer.split_once(' ').unwrap_or((&answer, ""));
        Ok((status == "0", pid.to_owned()))
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("the supervisor of PostgreSQL does not answer")?;
        Ok(line.trim_end_matches('\n').to_owned())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.commands.take());
        // It has no more to tell than that it ended.
        let _ = self.script.wait();
    }
}
