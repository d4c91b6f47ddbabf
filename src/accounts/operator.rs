//! The `accounts` commands. The app sends no email, so an operator resets passwords here. Each change is logged.

use std::io::{self, IsTerminal, Write};

use actix_session_postgres::PgSessionStore;
use anyhow::{Context, bail};
use sqlx::PgPool;

use super::{
    passwords::{self, Passwords},
    table::{self, Account},
};

/// The arguments of `accounts`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
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
    /// Runs the command.
    ///
    /// # Errors
    /// Returns an error if there is no such account, or if the database can't be reached.
    pub async fn run(self, pool: &PgPool) -> anyhow::Result<()> {
        match self.command {
            Command::List => {
                for account in table::list(pool).await? {
                    let blocked = if account.disabled_at.is_some() { "blocked" } else { "" };
                    writeln!(io::stdout(), "{}  {}  {blocked}", account.id, account.email)?;
                }
            }
            Command::Disable { email } => {
                let account = find(pool, &email).await?;
                table::set_disabled(pool, account.id, true).await?;
                changed(pool, &account, "blocked the account").await?;
            }
            Command::Enable { email } => {
                let account = find(pool, &email).await?;
                table::set_disabled(pool, account.id, false).await?;
                tracing::info!(target: "accounts", account = %account.id, "unblocked the account");
            }
            Command::SetPassword { email } => {
                let account = find(pool, &email).await?;
                let password = read_password().context("can't read the password")?;
                if let Some(problem) = passwords::problem(&password, &account.email) {
                    bail!("{problem}");
                }
                let hash = Passwords::default().hash(0, &password).await?;
                table::change_password(pool, &account, &hash)
                    .await?
                    .context("the account has just changed")?;
                changed(pool, &account, "set the password").await?;
            }
            Command::EndSessions { email } => {
                let account = find(pool, &email).await?;
                table::raise_epoch(pool, account.id, None).await?;
                changed(pool, &account, "ended all sessions").await?;
            }
            Command::Delete { email } => {
                let account = find(pool, &email).await?;
                table::delete(pool, account.id).await?;
                changed(pool, &account, "deleted the account").await?;
            }
        }
        Ok(())
    }
}

async fn find(pool: &PgPool, email: &str) -> anyhow::Result<Account> {
    let email = table::email(email).context("this is not an email address")?;
    table::find_by_email(pool, &email).await?.context("there is no account with this address")
}

/// Logs a change and deletes the sessions. They are already invalid, because each request reads the account.
async fn changed(pool: &PgPool, account: &Account, what: &str) -> anyhow::Result<()> {
    tracing::info!(target: "accounts", account = %account.id, "{what}");
    PgSessionStore::new(pool.clone()).end_all_of(&account.id, None).await?;
    Ok(())
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
