//! The `accounts` commands. The app sends no email, so an operator resets passwords here. Each change is logged.

use std::io::{self, IsTerminal, Write};

use actix_session_postgres::PgSessionStore;
use anyhow::{Context, bail};
use sqlx::PgPool;

use super::passwords::{self, Passwords};
use super::table::{self, Account};

/// The arguments of `accounts`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
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

impl Arguments {
    /// Runs the command. The sessions that it ends are already invalid before their rows are deleted, because each
    /// request reads the account.
    ///
    /// # Errors
    /// Returns an error if there is no such account, if it changes at the same time, or if the database can't be reached.
    pub async fn run(self, pool: &PgPool) -> anyhow::Result<()> {
        let (account, change) = match self.command {
            Command::List => {
                for account in table::list(pool).await? {
                    let blocked = if account.disabled_at.is_some() { "blocked" } else { "" };
                    writeln!(io::stdout(), "{}  {}  {blocked}", account.id, account.email)?;
                }
                return Ok(());
            }
            Command::Disable { email } => {
                let account = find(pool, &email).await?;
                table::set_disabled(pool, account.id, true).await?;
                (account, "blocked the account")
            }
            Command::Enable { email } => {
                let account = find(pool, &email).await?;
                table::set_disabled(pool, account.id, false).await?;
                tracing::info!(target: "accounts", account = %account.id, "unblocked the account");
                return Ok(());
            }
            Command::SetPassword { email } => {
                let account = find(pool, &email).await?;
                let password = read_password().context("can't read the password")?;
                if let Some(problem) = passwords::problem(&password, &account.email) {
                    bail!("{problem}");
                }
                let hash = Passwords::default().hash(0, &password).await?;
                let changed = table::raise_epoch(pool, &account, Some(&hash)).await?;
                changed.context("the account has just changed")?;
                (account, "set the password")
            }
            Command::EndSessions { email } => {
                let account = find(pool, &email).await?;
                let ended = table::raise_epoch(pool, &account, None).await?;
                ended.context("the account has just changed")?;
                (account, "ended all sessions")
            }
            Command::Delete { email } => {
                let account = find(pool, &email).await?;
                table::delete(pool, account.id).await?;
                (account, "deleted the account")
            }
        };
        tracing::info!(target: "accounts", account = %account.id, "{change}");
        PgSessionStore::new(pool.clone()).end_all_of(&account.id, None).await?;
        Ok(())
    }
}

async fn find(pool: &PgPool, email: &str) -> anyhow::Result<Account> {
    let email = table::email(email).context("this is not an email address")?;
    table::find(pool, None, Some(&email)).await?.context("there is no account with this address")
}

/// Reads a password. It isn't an argument, because other users of the machine could see it there.
fn read_password() -> io::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("New password: ");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
