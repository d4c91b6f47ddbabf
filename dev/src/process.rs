//! Looking at other processes, from `/proc` where there is one, else through `ps`.

use std::{fs, path::Path, process::Command};

/// Whether the process runs. One that has ended and waits to be reaped does not.
pub fn is_running(pid: u32) -> bool {
    let state = if has_proc() {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| Some(after_name(&stat)?.chars().next()?.to_string()))
    } else {
        ps(&["-o", "stat=", "-p", &pid.to_string()])
    };
    state.is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
}

/// The processes that this one has started and not yet reaped.
pub fn children(pid: u32) -> Vec<u32> {
    all_with_parents().into_iter().filter(|&(_, parent)| parent == pid).map(|(child, _)| child).collect()
}

/// The process's program and arguments, separated by spaces; empty where it is gone.
pub fn command_line(pid: u32) -> String {
    if has_proc() {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).replace('\0', " ")
    } else {
        ps(&["-ww", "-o", "command=", "-p", &pid.to_string()]).unwrap_or_default()
    }
}

fn all_with_parents() -> Vec<(u32, u32)> {
    if !has_proc() {
        let list = ps(&["-A", "-o", "pid=,ppid="]).unwrap_or_default();
        return list.lines().filter_map(pair).collect();
    }
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = after_name(&stat)?.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

fn pair(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What follows the program's name in a `stat` line. The name stands in parentheses and may itself
/// hold spaces and parentheses.
fn after_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(')')?.1.trim_start())
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn ps(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ps").args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
