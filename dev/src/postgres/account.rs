//! The account under which PostgreSQL runs: it refuses to run as root.

use std::{
    env, fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Who runs the server.
#[derive(Debug)]
pub(super) enum Account {
    /// We ourselves, an ordinary user.
    Own,
    /// Another one, because we are root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// Whoever owns the data that is there; else `postgres`, else `nobody`.
    pub(super) fn of_server(home: Option<&Path>) -> Result<Self> {
        if id(&["-u"]) != Some(0) {
            return Ok(Account::Own);
        }
        let owner = home.and_then(|home| fs::metadata(home.join("data")).ok());
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            return Ok(Account::Other { uid: owner.uid(), gid: owner.gid() });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                Some(Account::Other {
                    uid: id(&["-u", name])?,
                    gid: id(&["-g", name])?,
                })
            })
            .context("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`: run this as an ordinary user")
    }

    /// Gives a directory to this account.
    pub(super) fn adopt(&self, directory: &Path) -> Result<()> {
        if let Account::Other { uid, gid } = *self {
            std::os::unix::fs::chown(directory, Some(uid), Some(gid))
                .with_context(|| format!("cannot change the owner of {}", directory.display()))?;
        }
        Ok(())
    }

    /// A shell that runs as this account and can reach the programs and the server's home.
    pub(super) fn shell(&self, bin: &Path, home: Option<&Path>) -> Result<Command> {
        let Account::Other { uid, gid } = *self else {
            return Ok(Command::new("/bin/sh"));
        };
        let place_is_open = match home {
            Some(home) => is_open(home, uid),
            None => is_open(&env::temp_dir(), uid) && anyone_may_write(&env::temp_dir()),
        };
        if place_is_open && is_open(bin, uid) {
            let mut shell = Command::new("/bin/sh");
            shell.uid(uid).gid(gid);
            return Ok(shell);
        }
        // A clone in /root, say. The one privilege that gets through closed directories is kept.
        ensure!(
            Command::new("setpriv").arg("--version").output().is_ok(),
            "root's PostgreSQL runs as user {uid}, who cannot get to {}: install `setpriv` (util-linux), or run this as an ordinary user",
            home.unwrap_or(bin).display()
        );
        let mut shell = Command::new("setpriv");
        shell
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .args(["--clear-groups", "--inh-caps=+dac_override"])
            .args(["--ambient-caps=+dac_override", "/bin/sh"]);
        Ok(shell)
    }
}

/// Whether this user can pass through every directory down to `path`.
fn is_open(path: &Path, uid: u32) -> bool {
    path.ancestors().all(|directory| {
        fs::metadata(directory).is_ok_and(|found| {
            let passage = if found.uid() == uid { 0o100 } else { 0o001 };
            found.mode() & passage != 0
        })
    })
}

fn anyone_may_write(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|found| found.mode() & 0o002 != 0)
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
