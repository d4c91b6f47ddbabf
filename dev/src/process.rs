//! Information about other processes. Reads `/proc`, or runs `ps` on systems without it.

use std::process::Command;
use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Returns whether the process is running. A zombie doesn't count.
pub fn is_running(pid: u32) -> bool {
    all().iter().any(|(id, state, _)| *id == pid && !state.starts_with(['Z', 'X']))
}

/// Returns the child processes of this process.
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

/// Returns the ID, state and parent of every process.
fn all() -> Vec<(u32, String, u32)> {
    if !Path::new("/proc/self/stat").exists() {
        let ps = Command::new("ps").args(["-A", "-o", "pid=,stat=,ppid="]).output();
        let text = ps.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        return text.lines().filter_map(parse).collect();
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
