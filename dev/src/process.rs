//! Starts programs that stop with this process, and finds other processes.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::{fs, path::Path};

use anyhow::{Context, Result};

/// A program that stops when this value is dropped, or when this process exits for any reason, even SIGKILL.
/// The program and its children get a signal, and SIGKILL 30 seconds later. Ctrl-C doesn't reach them.
#[derive(Debug)]
pub struct Kept {
    /// The shell that is the program's parent. Closing its standard input, as `wait` does, stops the program.
    pub script: Child,
}

impl Kept {
    /// Starts the program with empty standard input. Its output goes to `output`. `signal`, such as `INT`, stops it.
    pub fn spawn(program: &Command, signal: &str, output: Stdio) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", include_str!("kept.sh"), "kept", signal]);
        shell.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            shell.env_remove(name).envs(value.map(|value| (name, value)));
        }
        shell.current_dir(program.get_current_dir().unwrap_or(".".as_ref()));
        shell.stdin(Stdio::piped()).stdout(output).process_group(0);
        Ok(Kept { script: shell.spawn().context("can't start /bin/sh")? })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.script.wait();
    }
}

/// Returns whether the process is running. A zombie doesn't count.
pub fn is_running(pid: u32) -> bool {
    all().iter().any(|(id, state, _)| *id == pid && !state.starts_with(['Z', 'X']))
}

pub fn children(pid: u32) -> Vec<u32> {
    all().iter().filter(|(_, _, parent)| *parent == pid).map(|(id, ..)| *id).collect()
}

/// Sends a signal, such as `INT`. Skips processes that have exited.
pub fn signal(name: &str, pids: &[u32]) -> Result<()> {
    // Uses the shell's built-in `kill`, because not every system has the program.
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "kill -s \"$0\" \"$@\" 2>/dev/null", name]).args(pids.iter().map(u32::to_string));
    kill.status().context("can't start /bin/sh").map(drop)
}

/// Returns the ID, state and parent of every process. Runs `ps` on systems without `/proc`.
fn all() -> Vec<(u32, String, u32)> {
    if !Path::new("/proc/self/stat").exists() {
        let ps = Command::new("ps").args(["-A", "-o", "pid=,stat=,ppid="]).output().map(|ps| ps.stdout);
        return String::from_utf8_lossy(&ps.unwrap_or_default()).lines().filter_map(parse).collect();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // The text is, for example, `12 (a name) S 1 …`. The name may contain spaces and parentheses.
    stats.filter_map(|s| parse(&format!("{} {}", s.split_once(" (")?.0, s.rsplit_once(')')?.1))).collect()
}

fn parse(line: &str) -> Option<(u32, String, u32)> {
    let mut fields = line.split_whitespace();
    Some((fields.next()?.parse().ok()?, fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
