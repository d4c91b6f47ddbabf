//! The commands for operators.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, ensure};
use clap::{ArgGroup, Parser, Subcommand};
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::accounts; // accounts
use crate::sweep::sweep_visitors; // demo
use crate::{Config, config, database, limits::STATEMENT_TIMEOUT, log, pages::health, sweep::sweep_sessions};

/// An app with sessions in PostgreSQL
#[derive(Parser)]
#[command(name = env!("CARGO_PKG_NAME"))]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the app (the default)
    Serve,
    /// Checks whether the app that listens on BIND_ADDRESS is ready
    Healthcheck,
    /// Lists or ends sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// Deletes expired rows now (a running app does this automatically)
    Sweep,
    /// Lists, blocks and deletes accounts, and sets passwords
    #[command(subcommand)] // accounts
    Accounts(accounts::operator::Command), // accounts
}

#[derive(Subcommand)]
enum Sessions {
    /// Lists live sessions, newest first
    List {
        /// Only the sessions of this account
        #[arg(long)]
        owner: Option<Uuid>,
    },
    /// Ends one session, all sessions of an account, or all sessions
    #[command(group = ArgGroup::new("which").required(true).args(["id", "owner", "all"]))]
    End {
        /// The first 12 or more digits of a session's ID
        id: Option<String>,
        /// All sessions of this account
        #[arg(long)]
        owner: Option<Uuid>,
        /// All sessions
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command in the program's arguments. If they are invalid, prints what is valid and exits.
pub async fn run() -> anyhow::Result<()> {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    if let Command::Healthcheck = command {
        return health::check(config::bind_address_from_env()?).context("not ready");
    }
    let config = Config::from_env()?;
    let _log = log::init(&config);
    if let Command::Serve = command {
        return crate::server::run(config).await;
    }
    // Sets no time limit for statements, because ending all sessions may take a while.
    let connect = PgPoolOptions::new().max_connections(2).acquire_timeout(STATEMENT_TIMEOUT);
    let pool = connect.connect_with(database::options(&config.database_url)).await;
    let pool = pool.context("can't connect to the database")?;
    let outcome = match command {
        Command::Sessions(Sessions::List { owner }) => list(&pool, owner).await,
        Command::Sessions(Sessions::End { id, owner, .. }) => end(&pool, id, owner).await,
        Command::Sweep => {
            let sessions = sweep_sessions(&config, &pool).await?;
            tracing::info!(sessions, "swept expired sessions");
            let visitors = sweep_visitors(&pool).await?; // demo
            tracing::info!(visitors, "swept visitors without a session"); // demo
            Ok(())
        }
        Command::Accounts(command) => accounts::operator::run(command, &pool).await, // accounts
        Command::Serve | Command::Healthcheck => Ok(()),
    };
    match outcome {
        // The program that reads the output, such as `head`, needs no more of it.
        Err(error) if error.downcast_ref().map(io::Error::kind) == Some(ErrorKind::BrokenPipe) => Ok(()),
        outcome => outcome,
    }
}

async fn list(pool: &PgPool, owner: Option<Uuid>) -> anyhow::Result<()> {
    let sessions = sqlx::query!(
        r#"
        select encode(id, 'hex') as "id!", owner, created_at::timestamptz(0)::text as "since!", expires_at::timestamptz(0)::text as "until!"
        from sessions
        where expires_at > now() and ($1::uuid is null or owner = $1)
        order by created_at desc
        "#,
        owner,
    );
    for session in sessions.fetch_all(pool).await? {
        let owner = session.owner.map_or_else(|| "anonymous".to_owned(), |owner| owner.to_string());
        let id = &session.id[..12];
        writeln!(io::stdout(), "{id}  {owner:36}  {}  until {}", session.since, session.until)?;
    }
    Ok(())
}

async fn end(pool: &PgPool, id: Option<String>, owner: Option<Uuid>) -> anyhow::Result<()> {
    let is_start = |id: &String| id.len() >= 12 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    ensure!(id.as_ref().is_none_or(is_start), "a session's ID has at least 12 hexadecimal digits");
    let end = sqlx::query!(
        "
        delete from sessions
        where ($1::text is null or starts_with(encode(id, 'hex'), lower($1)))
        and ($2::uuid is null or owner = $2)
        ",
        id,
        owner,
    );
    let sessions = end.execute(pool).await?.rows_affected();
    tracing::info!(sessions, "ended sessions");
    Ok(())
}
