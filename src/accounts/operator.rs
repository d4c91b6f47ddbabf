//! The `accounts` commands. The app sends no email, so an operator resets passwords here. Each change is logged.

use std::io::{self, IsTerminal, Write};

use actix_session_postgres::PgSessionStore;
use anyhow::{Context, bail};
use sqlx::PgPool;

use super::passwords::{self, Passwords};
use super::table::{self, Account};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists all accounts
    List,
    /// Blocks an account and ends its sessions
    Disable { email: String },
    /// Unblocks an account
    Enable { email: String },
    /// Reads a new password from the terminal or standard input, and ends the account's sessions
    SetPassword { email: String },
    /// Ends the account's sessions
    EndSessions { email: String },
    /// Deletes an account and ends its sessions
    Delete { email: String },
}

/// Runs a command. Sessions are invalid before their rows are deleted, because each request reads the account.
pub async fn run(command: Command, pool: &PgPool) -> anyhow::Result<()> {
    let is_disabled = matches!(command, Command::Disable { .. });
    let ends_sessions = !matches!(command, Command::Enable { .. });
    let (id, change) = match command {
        Command::List => {
            let list = sqlx::query!("select id, email, disabled_at from accounts order by id");
            for account in list.fetch_all(pool).await? {
                let blocked = if account.disabled_at.is_some() { "blocked" } else { "" };
                writeln!(io::stdout(), "{}  {}  {blocked}", account.id, account.email)?;
            }
            return Ok(());
        }
        Command::Disable { email } | Command::Enable { email } => {
            let id = find(pool, &email).await?.id;
            table::set_disabled(pool, id, is_disabled).await?;
            (id, if is_disabled { "blocked the account" } else { "unblocked the account" })
        }
        Command::SetPassword { email } => {
            let mut account = find(pool, &email).await?;
            let password = read_password().context("can't read the password")?;
            if let Some(problem) = passwords::problem(&password, &account.email) {
                bail!("{problem}");
            }
            let hash = Passwords::default().hash(0, &password).await?;
            table::raise_epoch(pool, &mut account, Some(&hash)).await.context("can't change the account")?;
            (account.id, "set the password")
        }
        Command::EndSessions { email } => {
            let mut account = find(pool, &email).await?;
            table::raise_epoch(pool, &mut account, None).await.context("can't change the account")?;
            (account.id, "ended all sessions")
        }
        Command::Delete { email } => {
            let id = find(pool, &email).await?.id;
            table::delete(pool, id).await?;
            (id, "deleted the account")
        }
    };
    tracing::info!(target: "accounts", account = %id, "{change}");
    if ends_sessions {
        PgSessionStore::new(pool.clone()).end_all_of(&id, None).await?;
    }
    Ok(())
}

async fn find(pool: &PgPool, email: &str) -> anyhow::Result<Account> {
    let email = table::email(email).context("this is not an email address")?;
    table::find(pool, None, Some(&email)).await?.context("there is no account with this address")
}

/// Reads a password. Other users of the machine could see it in an argument.
fn read_password() -> io::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("New password: ");
    }
    io::stdin().lines().next().unwrap_or_else(|| Ok(String::new()))
}
