//! What the results depend on: the machine, and the versions of the programs.

use std::{fs, io::Write, process::Command, time::Instant};

use anyhow::Result;

use crate::{run::Bench, usage};

/// Returns names and values.
pub fn describe(bench: &Bench) -> Result<Vec<(String, String)>> {
    let mut about: Vec<_> = [
        ("processor", value_in("/proc/cpuinfo", "model name")),
        ("processors", usage::processors().to_string()),
        ("memory", value_in("/proc/meminfo", "MemTotal")),
        ("system", first_line("uname", &["-srm"])),
        ("one sync of 8 KiB", sync_time(bench)?),
        ("rustc", first_line("rustc", &["--version"])),
        ("node", first_line("node", &["--version"])),
        ("redis", first_line("redis-server", &["--version"])),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    about.extend(bench.database.description()?);
    about.retain(|(_, value)| !value.is_empty());
    Ok(about)
}

/// Returns the mean time that the database's disk needs for a sync.
fn sync_time(bench: &Bench) -> Result<String> {
    const SYNCS: u32 = 100;
    let path = bench.work.join("sync");
    let mut file = fs::File::create(&path)?;
    let begin = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
    }
    let time = begin.elapsed() / SYNCS;
    fs::remove_file(path)?;
    Ok(format!("{:.2} ms", time.as_secs_f64() * 1000.0))
}

/// Returns the value of the first line such as `MemTotal:  24576 kB`.
fn value_in(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// Returns the first line that a program prints, or nothing.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
