//! Whom we measure: the app, its peers, and PostgreSQL by itself. A file each says how one is built and started.

pub mod app;
pub mod express;
pub mod pgbench;
mod program;
pub mod rust_peers;
mod seed;

use std::path::PathBuf;

use anyhow::Result;
use dev::Kept;

use crate::{
    database::Database,
    load::{Connection, Scenario, Visitor, newcomers},
};

pub use program::{Program, Running};

/// How many visitors come back in a measurement: each with a session of their own, made over HTTP.
pub const VISITORS: usize = 4096;

/// How many connections make those sessions.
const MAKERS: usize = 32;

/// One that is measured.
#[derive(Debug)]
pub struct Contender {
    /// As it is called in the results.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// The name of its own database; `None` for one that has no PostgreSQL.
    pub database: Option<String>,
    /// How it is measured.
    pub kind: Kind,
}

/// How a contender is measured.
#[derive(Debug)]
pub enum Kind {
    /// A server, over HTTP.
    Server(Box<Server>),
    /// PostgreSQL itself, by pgbench.
    PgBench(pgbench::Script),
}

/// A server that is measured over HTTP.
#[derive(Debug)]
pub struct Server {
    /// To start it again.
    pub program: Program,
    /// While it runs.
    pub running: Running,
    /// Those who come back.
    pub visitors: Vec<Visitor>,
    /// The only numbers of connections at which it is measured; empty for all.
    pub only_at: Vec<usize>,
    /// A store that is not PostgreSQL.
    store: Option<Kept>,
}

/// Where files go and come from.
#[derive(Debug)]
pub struct Place {
    /// The root of the workspace.
    pub project: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// What lives as long as the measurement: the database, logs.
    pub work: PathBuf,
}

impl Contender {
    /// Starts a server, gives it its visitors, and fills its tables up to `sessions` sessions.
    pub fn server(
        name: &str,
        about: &str,
        program: Program,
        place: &Place,
        database: &Database,
        fill: Fill,
    ) -> Result<Self> {
        let own = fill.sql.map(|_| name.replace([' ', ',', '-'], "_"));
        if let Some(own) = &own {
            database.create(own)?;
        }
        let url = own.as_ref().map(|own| database.url(own));
        let running = program.start(name, place, url.as_deref())?;
        let mut visitors = Vec::new();
        if fill.visitors > 0 {
            visitors = come_first(&running, fill.visitors)?;
        }
        if let (Some(own), Some(sql)) = (&own, fill.sql) {
            seed::fill(database, own, sql, fill.sessions.saturating_sub(fill.visitors))?;
        }
        let server = Server { program, running, visitors, only_at: Vec::new(), store: None };
        Ok(Contender {
            name: name.to_owned(),
            about: about.to_owned(),
            database: own,
            kind: Kind::Server(Box::new(server)),
        })
    }

    /// Whether it can be measured so.
    pub fn takes_part(&self, scenario: Scenario, connections: usize) -> bool {
        match &self.kind {
            Kind::Server(server) => server.only_at.is_empty() || server.only_at.contains(&connections),
            Kind::PgBench(script) => script.scenario == scenario,
        }
    }

    /// The server in it, where it is one.
    pub fn as_server(&mut self) -> Option<&mut Server> {
        match &mut self.kind {
            Kind::Server(server) => Some(server),
            Kind::PgBench(_) => None,
        }
    }
}

impl Server {
    /// The process whose children keep its sessions.
    pub fn store_pid(&self, database: &Database) -> u32 {
        self.store.as_ref().map_or(database.pid(), Kept::pid)
    }
}

/// What a server begins with.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// How many visitors of ours come first.
    pub visitors: usize,
    /// SQL that adds sessions number 1 to `:n`; `None` for a server without PostgreSQL.
    pub sql: Option<&'static str>,
    /// How many sessions there are to be, those of our visitors included.
    pub sessions: usize,
}

/// Everybody's first visit.
fn come_first(running: &Running, visitors: usize) -> Result<Vec<Visitor>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = running.address;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..MAKERS)
            .map(|_| {
                tokio::task::spawn_local(async move {
                    newcomers(Connection::open(address).await?, visitors.div_ceil(MAKERS)).await
                })
            })
            .collect();
        let mut visitors = Vec::new();
        for task in tasks {
            visitors.extend(task.await??);
        }
        Ok(visitors)
    })
}
