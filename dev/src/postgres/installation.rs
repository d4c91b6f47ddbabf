//! Finds PostgreSQL's programs.

use std::path::{Path, PathBuf};
use std::{env, fs, process::Command};

use anyhow::Result;

use super::download;

/// Where Debian, Gentoo, Fedora, Alpine, builds from source, Homebrew and Postgres.app install PostgreSQL.
const PLACES: &str = "/usr/lib/postgresql /usr/lib64/postgresql /usr /usr/libexec /usr/local /usr/local/opt \
    /opt/homebrew/opt /home/linuxbrew/.linuxbrew/opt /Applications/Postgres.app/Contents/Versions";

/// A directory with `postgres`, `initdb` and other programs.
#[derive(Debug)]
pub struct Installation {
    pub bin: PathBuf,
    major: u32,
}

impl Installation {
    /// Finds PostgreSQL 15 or newer: the first one on `PATH`, or the newest in the usual places, or a download.
    ///
    /// `DEV_POSTGRES=download` ignores installed versions. If everything fails, the error says how to get PostgreSQL.
    pub fn find() -> Result<Self> {
        if env::var_os("DEV_POSTGRES").is_some_and(|value| value == "download") {
            return download::get();
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let first = env::split_paths(&path).find_map(|bin| Self::at(&bin));
        let usual = PLACES.split(' ').flat_map(fs::read_dir).flatten().flatten();
        let usual = usual.filter_map(|place| Self::at(&place.path().join("bin")));
        first.or_else(|| usual.max_by_key(|found| found.major)).map_or_else(download::get, Ok)
    }

    /// Returns the installation in this directory, if its programs run and are new enough.
    pub(super) fn at(bin: &Path) -> Option<Self> {
        // Some directories contain only links to a few of the programs.
        let bin = fs::canonicalize(bin.join("initdb")).ok()?.parent()?.to_owned();
        let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        // For example, `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or with `19beta1` as the version.
        let version = text.split_whitespace().nth(2)?;
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        (major >= 15).then_some(Installation { bin, major })
    }
}
