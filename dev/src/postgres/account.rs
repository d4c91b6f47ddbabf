//! The account that runs PostgreSQL, which refuses to run as root.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Returns a shell for the server in `home`.
///
/// For root, the shell runs as the data's owner, or as `postgres` or `nobody`. It may enter private directories,
/// because the project may be in `/root`.
pub(super) fn shell(home: &Path) -> Result<Command> {
    if id(&["-u"]) != Some(0) {
        return Ok(Command::new("/bin/sh"));
    }
    let owner = fs::metadata(home.join("data")).map(|data| (data.uid(), data.gid())).ok();
    let named = |name: &&str| Some((id(&["-u", name])?, id(&["-g", name])?));
    let (uid, gid) = owner
        .or_else(|| ["postgres", "nobody"].iter().find_map(named))
        .context("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`")?;
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    ensure!(has_setpriv, "PostgreSQL refuses to run as root: install `setpriv` (util-linux)");
    let mut shell = Command::new("setpriv");
    shell.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
    // Without the last option, access(2) would ignore the privilege.
    shell.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]);
    shell.arg("/bin/sh");
    Ok(shell)
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
