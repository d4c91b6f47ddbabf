//! The CPU time and memory of a measurement's processes.

use std::{collections::HashMap, iter, ops::Range, process, thread};

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::time::Instant;

use crate::measure::{Figure, Figures};

/// The processes of a measurement. Their descendants count too.
#[derive(Clone, Debug)]
pub struct Parts {
    pub server: u32,
    /// PostgreSQL, Redis, or both.
    pub stores: Vec<u32>,
}

impl Parts {
    /// Sleeps until the end of the window. Returns the CPU time used during it in seconds, and the server's
    /// memory in MiB.
    pub fn watch(self, window: Range<Instant>) -> Figures {
        let mut system = System::new();
        thread::sleep(window.start - Instant::now());
        refresh(&mut system);
        let times = system.processes().iter().map(|(pid, process)| (*pid, process.accumulated_cpu_time()));
        let before: HashMap<Pid, u64> = times.collect();
        thread::sleep(window.end - Instant::now());
        refresh(&mut system);

        // Processes that have exited, such as an autovacuum worker, don't count.
        let seconds = |process: &Process| {
            let before = before.get(&process.pid()).copied().unwrap_or(0);
            (process.accumulated_cpu_time() - before) as f64 / 1000.0
        };
        let server: f64 = tree(&system, self.server).map(seconds).sum();
        let store: f64 = self.stores.iter().flat_map(|&store| tree(&system, store)).map(seconds).sum();
        let load = system.process(Pid::from_u32(process::id())).map_or(0.0, seconds);
        let memory = tree(&system, self.server).map(|process| process.memory() as f64).sum::<f64>();
        let available = (window.end - window.start).as_secs_f64() * processors() as f64;
        let known = (server + store + load) / available * 100.0;
        [
            (Figure::ServerCpu, server),
            (Figure::StoreCpu, store),
            (Figure::LoadCpu, load),
            (Figure::Memory, memory / 1024.0 / 1024.0),
            (Figure::Others, (f64::from(system.global_cpu_usage()) - known).max(0.0)),
        ]
        .into()
    }
}

fn refresh(system: &mut System) {
    system.refresh_cpu_usage();
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
}

/// Returns a process and its descendants.
fn tree(system: &System, root: u32) -> impl Iterator<Item = &Process> {
    system.processes().values().filter(move |process| {
        let mut ancestors = iter::successors(Some(*process), |one| system.process(one.parent()?));
        ancestors.any(|one| one.pid() == Pid::from_u32(root))
    })
}

pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
