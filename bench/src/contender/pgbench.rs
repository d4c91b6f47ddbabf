//! PostgreSQL by itself: what pgbench, which is written in C and does nothing else, gets out of the same tables.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use super::{Contender, Kind, Place, VISITORS, seed};
use crate::{database::Database, load::Scenario};

/// The name of its database, which has the schema of the app.
const DATABASE: &str = "pgbench";

/// pgbench connects before it begins; a connection takes about so long.
const CONNECT: Duration = Duration::from_millis(5);

/// What pgbench sends for a visit.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// The visit that it stands for.
    pub scenario: Scenario,
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

const SCRIPTS: [Script; 3] = [
    Script {
        scenario: Scenario::Returning,
        name: "pgbench update",
        about: "pgbench -M prepared, one `update … returning` a visit",
        text: "\
\\set n random(1, 4096)
update users set visits = visits + 1, last_visit_at = now() where id = lpad(to_hex(:n::int), 32, '0')::uuid returning visits;
",
    },
    Script {
        scenario: Scenario::Returning,
        name: "pgbench select, update",
        about: "pgbench -M prepared, one `select` of the session and one `update … returning` a visit",
        text: "\
\\set n random(1, 4096)
select state from sessions where id = sha256(int4send(:n::int)) and expires_at > now();
update users set visits = visits + 1, last_visit_at = now() where id = lpad(to_hex(:n::int), 32, '0')::uuid returning visits;
",
    },
    Script {
        scenario: Scenario::New,
        name: "pgbench insert",
        about: "pgbench -M prepared, one `insert` of a session a visit",
        text: "\
insert into sessions (id, state, expires_at) values (sha256(uuid_send(gen_random_uuid())), \
json_build_object('user_id', gen_random_uuid()), now() + interval '30 minutes');
",
    },
];

/// Makes its database, from the app's migrations.
pub fn assemble(place: &Place, database: &Database, sessions: usize) -> Result<Vec<Contender>> {
    database.create(DATABASE)?;
    let mut migrations: Vec<PathBuf> = fs::read_dir(place.project.join("migrations"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    migrations.sort();
    for migration in migrations {
        let psql = database
            .client("psql", DATABASE)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&migration)
            .output()?;
        ensure!(psql.status.success(), "{}: {}", migration.display(), String::from_utf8_lossy(&psql.stderr));
    }
    // The scripts know rows 1 to 4096.
    seed::fill(database, DATABASE, seed::APP, sessions.max(VISITORS))?;
    Ok(SCRIPTS.into_iter().map(contender).collect())
}

fn contender(script: Script) -> Contender {
    Contender {
        name: script.name.to_owned(),
        about: script.about.to_owned(),
        database: Some(DATABASE.to_owned()),
        kind: Kind::PgBench(script),
    }
}

/// What pgbench did within a window.
#[derive(Debug)]
pub struct Outcome {
    /// In the window.
    pub transactions: u64,
    /// From the first to the last.
    pub all_transactions: u64,
    /// In microseconds.
    pub times: Histogram<u32>,
}

/// Runs a script at so many connections. `watch` is told when the window opens and closes; the transactions within it
/// are taken from pgbench's own log.
pub fn run(
    script: Script,
    connections: usize,
    (warmup, window): (Duration, Duration),
    place: &Place,
    database: &Database,
    port: u16,
    watch: impl FnOnce(SystemTime, SystemTime),
) -> Result<Outcome> {
    let home = place.work.join("pgbench");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home)?;
    let file = home.join("script.sql");
    fs::write(&file, script.text)?;

    let begin = SystemTime::now() + warmup + CONNECT * connections.try_into()?;
    let end = begin + window;
    let seconds = end.duration_since(SystemTime::now())?.as_secs_f64() + 0.1;
    let child = database
        .client("pgbench", DATABASE)
        .env("PGPORT", port.to_string())
        .current_dir(&home)
        .args(["-n", "-l", "-M", "prepared", "-c", &connections.to_string()])
        .args(["-j", if connections == 1 { "1" } else { "2" }, "-T", &seconds.ceil().to_string(), "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("no pgbench beside PostgreSQL's other programs")?;
    watch(begin, end);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    read_logs(&home, begin, end)
}

fn read_logs(home: &Path, begin: SystemTime, end: SystemTime) -> Result<Outcome> {
    let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let window = since_epoch(begin)..since_epoch(end);
    let times = Histogram::new_with_bounds(1, 60_000_000, 3).expect("these are bounds of a histogram");
    let mut outcome = Outcome { transactions: 0, all_transactions: 0, times };
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgbench_log")) {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            // client, transaction, time, script, end in seconds, and its microseconds
            let mut fields = line.split(' ');
            let time = fields.nth(2).and_then(|field| field.parse::<u64>().ok());
            let seconds = fields.nth(1).and_then(|field| field.parse::<u128>().ok());
            let microseconds = fields.next().and_then(|field| field.parse::<u128>().ok());
            let (Some(time), Some(seconds), Some(microseconds)) = (time, seconds, microseconds) else {
                continue;
            };
            outcome.all_transactions += 1;
            if window.contains(&(seconds * 1_000_000 + microseconds)) {
                outcome.transactions += 1;
                outcome.times.saturating_record(time);
            }
        }
    }
    Ok(outcome)
}
