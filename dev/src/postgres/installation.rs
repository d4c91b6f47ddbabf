//! Finds PostgreSQL's programs.

use std::path::{Path, PathBuf};
use std::{env, fs, process::Command};

use anyhow::Result;

use super::download;

/// Where Debian, Gentoo, Fedora, Alpine, builds from source, Homebrew and Postgres.app install PostgreSQL.
const PLACES: &str = "/usr/lib/postgresql /usr/lib64/postgresql /usr /usr/libexec /usr/local /usr/local/opt \
    /opt/homebrew/opt /home/linuxbrew/.linuxbrew/opt /Applications/Postgres.app/Contents/Versions";

/// Returns the directory with `postgres`, `psql` and the other programs of PostgreSQL 15 or newer: the first one on
/// `PATH`, or the newest in the usual places, or a download.
///
/// `DEV_POSTGRES=download` ignores installed versions. If everything fails, the error says how to get PostgreSQL.
pub fn programs() -> Result<PathBuf> {
    if env::var_os("DEV_POSTGRES").is_some_and(|value| value == "download") {
        return download::get();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&path).find_map(|bin| version(&bin));
    let usual = PLACES.split(' ').flat_map(fs::read_dir).flatten().flatten();
    let usual = usual.filter_map(|place| version(&place.path().join("bin")));
    first.or_else(|| usual.max()).map_or_else(download::get, |(_, bin)| Ok(bin))
}

/// Returns the major version of the programs in this directory, and where they really are, if they run and are new
/// enough.
pub(super) fn version(bin: &Path) -> Option<(u32, PathBuf)> {
    // Some directories contain only links to a few of the programs.
    let bin = fs::canonicalize(bin.join("initdb")).ok()?.parent()?.to_owned();
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // For example, `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or with `19beta1` as the version.
    let version = text.split_whitespace().nth(2)?;
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (major >= 15).then_some((major, bin))
}
