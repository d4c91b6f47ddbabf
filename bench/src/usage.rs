//! Processor time and memory of the processes that take part, from `/proc`. Unknown where there is none.

use std::{
    collections::HashMap,
    fs, iter, process, thread,
    time::{Duration, Instant},
};

use crate::measure::{Figure, Figures};

/// Linux counts processor time for programs in hundredths of a second.
const TICKS: f64 = 100.0;

/// The processes of a measurement. Their descendants count too.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub server: Option<u32>,
    /// PostgreSQL or Redis.
    pub store: Option<u32>,
}

impl Parts {
    /// Sleeps until the end of the window. Returns the seconds of processor time in it, and the server's memory in MiB.
    pub fn watch(self, begin: Instant, window: Duration) -> Figures {
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let before = self.look();
        thread::sleep((begin + window).saturating_duration_since(Instant::now()));
        let mut figures = self.look();
        for (figure, value) in &mut figures {
            if *figure != Figure::Memory {
                *value -= before.get(figure).unwrap_or(&0.0);
            }
        }
        figures
    }

    /// Returns what was used since the start.
    fn look(self) -> Figures {
        let processes = processes();
        let tree = |root: u32| -> Vec<u32> {
            let ancestors = |pid| iter::successors(Some(pid), |pid| Some(processes.get(pid)?.parent));
            processes.keys().copied().filter(|&pid| ancestors(pid).any(|pid| pid == root)).collect()
        };
        let seconds = |root| tree(root).iter().map(|pid| processes[pid].own + processes[pid].ended).sum();
        [
            (Figure::ServerCpu, self.server.map(seconds)),
            (Figure::StoreCpu, self.store.map(seconds)),
            (Figure::LoadCpu, processes.get(&process::id()).map(|this| this.own)),
            (Figure::Others, busy()),
            (Figure::Memory, self.server.map(|root| tree(root).into_iter().filter_map(memory).sum())),
        ]
        .into_iter()
        .filter_map(|(figure, value)| Some((figure, value?)))
        .collect()
    }
}

/// Returns the number of processors.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

struct Process {
    parent: u32,
    /// Seconds of its own processor time, and of its children that have ended.
    own: f64,
    ended: f64,
}

fn processes() -> HashMap<u32, Process> {
    let process = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The program's name in parentheses may contain spaces.
        let fields: Vec<u64> =
            stat.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let seconds = |n: usize| Some((fields.get(n)? + fields.get(n + 1)?) as f64 / TICKS);
        let parent = u32::try_from(*fields.get(1)?).ok()?;
        let process = Process { parent, own: seconds(11)?, ended: seconds(13)? };
        Some((entry.file_name().to_str()?.parse().ok()?, process))
    };
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(process).collect()
}

fn memory(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

/// Returns the seconds of all programs together, including what the host took from this machine.
fn busy() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let times = stat.lines().next()?.split_whitespace().skip(1);
    let times: Vec<f64> = times.filter_map(|ticks| ticks.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    Some([0, 1, 2, 5, 6, 7].into_iter().filter_map(|n| times.get(n)).sum::<f64>() / TICKS)
}
