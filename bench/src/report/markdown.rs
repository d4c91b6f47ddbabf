//! The results as a page.

use std::fmt::Write;

use super::{Table, Written, complaints, summary::Row};
use crate::{
    account::Account,
    load::Scenario,
    measure::{Cell, DISTURBANCE},
};

const METHOD: &str = "\
Load, server and PostgreSQL share these processors, so that what one takes the others lack: compare the ratios, not the
rates. The load comes from a thread for each processor. Everyone has the same load in turn, round after round, with a
checkpoint before each; the figures are medians of the rounds, the ratios medians of the ratios within a round, the
slowest answers those of all rounds. Every answer is checked: status 200, and in the page the count that this visitor
must be shown. PostgreSQL is at its defaults but for `max_connections`, so that a commit is on the disk before it is
answered; Redis syncs its log before each answer too.
The peers are the visit counters of their own tutorials: they show a page of 100 bytes, and log nothing. Everyone is at
their defaults: the app has a worker for every second processor and brings an allocator (mimalloc), the Rust peers have a
worker or thread for each processor and use the system's.
Processor time is that of all processes of a server or a store, from the kernel. Round trips, statements, commits and HOT
updates (those that touch no index) are counted in a run of their own, in which a relay reads the protocol; all are for
one visit, and below 1 where visits share. Commits are all transactions, those that only read among them. Growth is that
of the database's files and WAL what its log takes, in bytes a visit; \"app is\" says by how much the app is faster.
";

/// The whole page.
pub fn page(written: &Written<'_>) -> String {
    let results = written.results;
    let mut page = String::from("# Visits a second\n\n");
    let (option, time) = match results.calm {
        true => (" --calm", "10 minutes, or 5 without `--calm`, which waits for a quiet machine"),
        false => ("", "5 minutes"),
    };
    let _ = writeln!(
        page,
        "Made by `cargo bench-visits{option}` on {}, at {}. Anyone can: it takes about {time}.\n",
        written.date, written.commit
    );
    page += "<picture>\n<source media=\"(prefers-color-scheme: dark)\" srcset=\"chart-dark.svg\">\n";
    page += "<img alt=\"Visits a second at 64 connections, as in the tables below\" src=\"chart-light.svg\">\n</picture>\n\n";
    page += &tables(written);
    page += "\n## How it was measured\n\n";
    page += METHOD;
    let _ = writeln!(
        page,
        "\n{} sessions in each table, {} rounds.{}{}\n",
        results.sessions,
        results.rounds,
        match results.calm {
            true => format!(
                " Where other programs took more than {:.0} % of the processors, it was measured again, up to 20 times.",
                DISTURBANCE * 100.0
            ),
            false => String::new(),
        },
        match results.environment.is_empty() {
            true => String::new(),
            false => format!(" The app had {}.", results.environment.join(", ")),
        }
    );
    for (name, about) in &results.contenders {
        let _ = writeln!(page, "- **{name}**: {about}");
    }
    page += "\n## The machine\n\n";
    for (name, value) in &results.about {
        let _ = writeln!(page, "- {name}: {value}");
    }
    let complaints = complaints(results);
    if !complaints.is_empty() {
        let _ = writeln!(page, "\n## What was wrong\n\n{}", complaints.replace('\n', "\n\n"));
    }
    page
}

/// The tables alone.
pub fn tables(written: &Written<'_>) -> String {
    let mut text = String::new();
    for scenario in [Scenario::Returning, Scenario::New] {
        let mut connections: Vec<usize> = written
            .summary
            .iter()
            .filter(|row| row.cell.scenario == scenario)
            .map(|row| row.cell.connections)
            .collect();
        connections.sort_unstable();
        connections.dedup();
        if connections.is_empty() {
            continue;
        }
        let busiest = Cell { scenario, connections: headline(&connections) };
        let _ = writeln!(text, "## {} visitors\n", title(scenario));
        let _ = writeln!(text, "{} connections:\n\n{}", busiest.connections, details(written, busiest));
        if connections.len() > 1 {
            let _ = writeln!(
                text,
                "Visits a second (p50 / p99 in ms):\n\n{}",
                overview(written, scenario, &connections)
            );
        }
    }
    text
}

/// The number of connections that the targets are set for.
pub fn headline(connections: &[usize]) -> usize {
    let targeted = connections.iter().find(|n| **n == 64);
    targeted.or(connections.last()).copied().unwrap_or(64)
}

/// A scenario, at the beginning of a line.
pub fn title(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Returning => "Returning",
        Scenario::New => "New",
    }
}

fn details(written: &Written<'_>, cell: Cell) -> Table {
    let first = written.results.contenders.first().map_or("app", |(name, _)| name);
    let ratio = format!("{first} is");
    let mut table = Table::new(&[
        "",
        "visits/s",
        &ratio,
        "p50 ms",
        "p99 ms",
        "max ms",
        "µs CPU: server",
        "store",
        "load",
        "MiB",
        "round trips",
        "statements",
        "commits",
        "HOT",
        "bytes: growth",
        "WAL",
    ]);
    for row in written.summary.iter().filter(|row| row.cell == cell) {
        let account =
            written.results.accounts.iter().find(|one| one.contender == row.contender && one.cell == cell);
        let ratio = written.ratios.iter().find(|ratio| ratio.to == row.contender && ratio.cell == cell);
        table.row(detail(row, account, ratio.map(|ratio| ratio.rate)));
    }
    table
}

fn detail(row: &Row, account: Option<&Account>, ratio: Option<f64>) -> Vec<String> {
    let known = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let errors = if row.errors > 0 { format!(" ({} ERRORS)", row.errors) } else { String::new() };
    vec![
        format!("{}{errors}", row.contender),
        format!("{:.0}", row.rate),
        ratio.map_or(String::new(), |ratio| format!("{ratio:.2}×")),
        format!("{:.2}", row.p50),
        format!("{:.2}", row.p99),
        format!("{:.1}", row.max),
        known(row.server_cpu, 1),
        known(row.store_cpu, 1),
        known(row.load_cpu, 1),
        known(row.memory, 1),
        known(account.map(|one| one.round_trips), 2),
        known(account.and_then(|one| one.statements).or(row.statements), 2),
        known(account.map(|one| one.commits), 2),
        account.and_then(|one| one.hot).map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0)),
        known(row.growth, 1),
        known(row.wal, 0),
    ]
}

fn overview(written: &Written<'_>, scenario: Scenario, connections: &[usize]) -> Table {
    let head: Vec<String> = [String::new()]
        .into_iter()
        .chain(connections.iter().map(|n| format!("{n} connection{}", if *n == 1 { "" } else { "s" })))
        .collect();
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, _) in &written.results.contenders {
        let cells: Vec<String> = connections
            .iter()
            .map(|&connections| {
                let cell = Cell { scenario, connections };
                let row = written.summary.iter().find(|row| row.cell == cell && row.contender == *name);
                row.map_or(String::new(), |row| format!("{:.0} ({:.2} / {:.2})", row.rate, row.p50, row.p99))
            })
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            table.row([name.clone()].into_iter().chain(cells).collect());
        }
    }
    table
}
