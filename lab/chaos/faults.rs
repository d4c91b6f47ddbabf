//! The faults. Each function causes a fault and waits until it is over. Then it returns details for the report, such
//! as the duration. It returns `None` if the fault isn't possible here.

use std::{thread, time::Duration};

use rand::{RngExt, rngs::StdRng};

use crate::{stage::Stage, visitor::Load};

type Fault = fn(&mut Stage, &Load, &mut StdRng) -> Option<String>;

pub const ALL: [(&str, Fault); 7] = [
    ("PostgreSQL is killed", kill_postgres),
    ("PostgreSQL is suspended", suspend_postgres),
    ("a replica is killed", kill_replica),
    ("a replica is suspended", suspend_replica),
    ("connections to PostgreSQL are dropped", drop_connections),
    ("PgBouncer is killed", kill_pooler),
    ("the disk is full", fill_disk),
];

/// Sends a signal, such as `STOP`.
fn signal(name: &str, pids: &[u32]) {
    dev::process::signal(name, pids).expect("sent");
}

fn wait(random: &mut StdRng) -> String {
    let time = Duration::from_millis(random.random_range(200..3_000));
    thread::sleep(time);
    format!(" for {time:.1?}")
}

fn kill_postgres(stage: &mut Stage, _: &Load, random: &mut StdRng) -> Option<String> {
    stage.postgres.kill9().expect("killed");
    let time = wait(random);
    stage.postgres.restart().expect("restarted");
    Some(time)
}

fn suspend_postgres(stage: &mut Stage, _: &Load, random: &mut StdRng) -> Option<String> {
    // Suspends the main process first, so that it can't start others.
    signal("STOP", &[stage.postgres.pid]);
    let mut all = dev::process::children(stage.postgres.pid);
    all.push(stage.postgres.pid);
    signal("STOP", &all);
    let time = wait(random);
    signal("CONT", &all);
    Some(time)
}

fn kill_replica(stage: &mut Stage, load: &Load, random: &mut StdRng) -> Option<String> {
    let number = random.random_range(0..stage.replicas.len());
    let replica = &mut stage.replicas[number];
    load.leaves(replica.address);
    replica.kill();
    let time = wait(random);
    replica.restart();
    while !replica.is_ready() {
        thread::sleep(Duration::from_millis(20));
    }
    load.returns(replica.address);
    Some(format!(" (number {number}){time}"))
}

fn suspend_replica(stage: &mut Stage, load: &Load, random: &mut StdRng) -> Option<String> {
    let number = random.random_range(0..stage.replicas.len());
    let replica = &stage.replicas[number];
    let pid = replica.pid()?;
    load.leaves(replica.address);
    signal("STOP", &[pid]);
    let time = wait(random);
    signal("CONT", &[pid]);
    load.returns(replica.address);
    Some(format!(" (number {number}){time}"))
}

fn drop_connections(stage: &mut Stage, _: &Load, _: &mut StdRng) -> Option<String> {
    Some(format!(" ({} of them)", stage.proxy.drop_all()))
}

fn kill_pooler(stage: &mut Stage, _: &Load, random: &mut StdRng) -> Option<String> {
    let pooler = stage.pooler.as_mut()?;
    pooler.kill9();
    let time = wait(random);
    pooler.start().expect("PgBouncer");
    Some(time)
}

/// Fills the disk, so that PostgreSQL can't create the next file of its write-ahead log.
fn fill_disk(stage: &mut Stage, _: &Load, random: &mut StdRng) -> Option<String> {
    let disk = stage.disk.as_ref()?;
    disk.fill();
    let mut switch = stage.postgres.client("psql");
    switch.args(["-Xq", "-c", "select pg_switch_wal()", "-c", "select pg_switch_wal()"]);
    let _ = switch.output();
    let time = wait(random);
    disk.free();
    // PostgreSQL exits if it can't write its log, and an operator would restart it.
    if !dev::process::is_running(stage.postgres.pid) {
        stage.postgres.restart().expect("restarted");
        return Some(format!("{time}, and PostgreSQL exited"));
    }
    Some(time)
}
