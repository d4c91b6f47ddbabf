//! What the figures depend on: the machine, and the versions of everything.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::Result;

use crate::{database::Database, usage};

/// Syncs timed; the median of them is told.
const SYNCS: usize = 100;

/// Names and values, in the order in which they are told.
pub fn describe(work: &Path, database: &Database) -> Result<Vec<(String, String)>> {
    let mut about = vec![
        pair("processor", processor()),
        pair("processors", usage::processors().to_string()),
        pair("memory", memory()),
        pair("system", first_line("uname", &["-srm"])),
        pair("one sync of 8 KiB", sync_time(work)?),
        pair("rustc", first_line("rustc", &["--version"])),
        pair("node", first_line("node", &["--version"])),
        pair("redis", first_line("redis-server", &["--version"])),
    ];
    about.extend(database.description()?);
    about.retain(|(_, value)| !value.is_empty());
    Ok(about)
}

fn pair(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    match line.and_then(|line| line.split(": ").nth(1)) {
        Some(name) => name.to_owned(),
        None => first_line("sysctl", &["-n", "machdep.cpu.brand_string"]),
    }
}

fn memory() -> String {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.map_or_else(String::new, |kib| format!("{:.0} GiB", kib / 1024.0 / 1024.0))
}

/// How long the disk takes to keep something, where the database is.
fn sync_time(work: &Path) -> Result<String> {
    let path = work.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let begin = Instant::now();
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(format!("{:.2} ms", times[SYNCS / 2].as_secs_f64() * 1000.0))
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
