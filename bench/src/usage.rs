//! What processes have used, from `/proc`; nothing where there is none.

use std::{collections::HashMap, fs, path::Path, process, thread, time::Duration};

/// Kernels tell times to programs in hundredths of a second (`USER_HZ`), whatever they count in themselves.
const TICKS_PER_SECOND: f64 = 100.0;

/// A look at all processes at once.
#[derive(Clone, Debug)]
pub struct Snapshot {
    processes: HashMap<u32, Process>,
    busy: f64,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    parent: u32,
    /// Its own, and that of its children that have ended.
    seconds: f64,
}

impl Snapshot {
    /// Looks now.
    pub fn take() -> Option<Self> {
        let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, process_of(pid)?))
        });
        Some(Snapshot { processes: processes.collect(), busy: busy()? })
    }

    /// Seconds of processor time of a process and all that it has started.
    pub fn tree(&self, root: u32) -> f64 {
        tree(root, |pid| self.children(pid)).iter().map(|pid| self.seconds(*pid)).sum()
    }

    /// Seconds of processor time of this process without those that it has started.
    pub fn own(&self) -> f64 {
        let ended: f64 = children_seconds(process::id()).unwrap_or_default();
        self.seconds(process::id()) - ended
    }

    /// Seconds in which any processor was busy, the time that a host has taken from this machine included.
    pub fn busy(&self) -> f64 {
        self.busy
    }

    fn seconds(&self, pid: u32) -> f64 {
        self.processes.get(&pid).map_or(0.0, |process| process.seconds)
    }

    fn children(&self, pid: u32) -> Vec<u32> {
        let children = self.processes.iter().filter(|(_, process)| process.parent == pid);
        children.map(|(child, _)| *child).collect()
    }
}

/// Lets [`peak_memory`] begin anew.
pub fn reset_peak_memory(root: u32) {
    for pid in tree(root, dev::process::children) {
        // Who may not do so gets the peak since the program's start instead.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// The most memory, in MiB, that the largest process among `root` and those that it has started held at one time.
pub fn peak_memory(root: u32) -> Option<f64> {
    let peaks = tree(root, dev::process::children).into_iter().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    });
    peaks.reduce(f64::max).map(|kib| kib / 1024.0)
}

/// The share of the processors that is busy now; looks on for a moment. 0 where nobody knows.
pub fn share_busy() -> f64 {
    const MOMENT: Duration = Duration::from_millis(300);
    let before = busy();
    thread::sleep(MOMENT);
    let spent = busy().zip(before).map_or(0.0, |(after, before)| after - before);
    spent / MOMENT.as_secs_f64() / processors() as f64
}

/// How many processors there are.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn tree(root: u32, children: impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn process_of(pid: u32) -> Option<Process> {
    let fields = fields(pid)?;
    let ticks: f64 = (11..15).filter_map(|n| fields.get(n)?.parse::<f64>().ok()).sum();
    Some(Process { parent: fields.get(1)?.parse().ok()?, seconds: ticks / TICKS_PER_SECOND })
}

fn children_seconds(pid: u32) -> Option<f64> {
    let fields = fields(pid)?;
    let ticks: f64 = (13..15).filter_map(|n| fields.get(n)?.parse::<f64>().ok()).sum();
    Some(ticks / TICKS_PER_SECOND)
}

/// The fields of `stat` after the program's name, which stands in parentheses and may hold spaces itself.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn busy() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let ticks: f64 =
        times.iter().take(8).enumerate().filter(|(n, _)| ![3, 4].contains(n)).map(|(_, t)| t).sum();
    Some(ticks / TICKS_PER_SECOND)
}
