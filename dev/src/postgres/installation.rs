//! Finding PostgreSQL's programs.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// What to do where there is no PostgreSQL.
const HOW_TO_GET_ONE: &str = "found no PostgreSQL. Get one in any of these ways:
  Debian, Ubuntu   apt install postgresql
  Fedora           dnf install postgresql-server postgresql-contrib
  macOS            brew install postgresql@18
  a download       cargo dev fetch
or use a server that you have: set DATABASE_URL, then `cargo test` and `cargo run`.";

/// The lowest major version that the app is written for.
const OLDEST: u32 = 15;

/// A directory with `postgres`, `initdb` and the rest.
#[derive(Debug, Clone)]
pub struct Installation {
    bin: PathBuf,
    major: u32,
}

impl Installation {
    /// The one that the person chose by `PG_CONFIG` or `PATH`, else the newest in the usual places.
    ///
    /// # Errors
    /// Where there is none: the message says how to get one.
    pub fn find() -> Result<Self> {
        candidates().next().context(HOW_TO_GET_ONE)
    }

    /// One of this major version: only that can read a data directory made by it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find_version(major: u32) -> Result<Self> {
        candidates()
            .find(|found| found.major == major)
            .with_context(|| format!("found no PostgreSQL {major}"))
    }

    /// The path of one of its programs, such as `psql`.
    pub fn bin(&self, program: &str) -> PathBuf {
        self.bin.join(program)
    }

    /// The directory of its programs.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// 15, 16, …
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Whether the server can load this library, such as `pg_stat_statements`.
    pub fn has_library(&self, name: &str) -> bool {
        let Some(directory) = pg_config(&self.bin("pg_config"), "--pkglibdir") else {
            return false;
        };
        ["so", "dylib"].iter().any(|extension| directory.join(name).with_extension(extension).exists())
    }

    fn at(bin: PathBuf) -> Option<Self> {
        // The directory of the programs themselves, where links to some of them stand in another.
        let initdb = fs::canonicalize(bin.join("initdb")).ok()?;
        let bin = initdb.parent()?.to_owned();
        let output = Command::new(bin.join("postgres")).arg("--version").output();
        let text = String::from_utf8(output.ok()?.stdout).ok()?;
        // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1); 19beta1 before a release.
        let version = text.split_whitespace().nth(2)?;
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        let major = digits.parse().ok()?;
        (major >= OLDEST).then_some(Installation { bin, major })
    }
}

fn candidates() -> impl Iterator<Item = Installation> {
    let configured = env::var_os("PG_CONFIG").and_then(|program| bin_dir_of(Path::new(&program)));
    let from_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    configured
        .into_iter()
        .chain(from_path)
        .chain(bin_dir_of(Path::new("pg_config")))
        .filter_map(Installation::at)
        .chain(usual_places())
}

fn usual_places() -> Vec<Installation> {
    let home = env::home_dir().unwrap_or_default();
    let families = [
        PathBuf::from("/usr/lib/postgresql"), // Debian, Alpine, Gentoo
        PathBuf::from("/usr/lib64/postgresql"),
        PathBuf::from("/usr"), // /usr/pgsql-17/bin: the PostgreSQL project's own RPMs
        PathBuf::from("/usr/local"), // /usr/local/pgsql/bin: built from source
        PathBuf::from("/opt/homebrew/opt"),
        PathBuf::from("/usr/local/opt"), // Homebrew on Intel
        PathBuf::from("/home/linuxbrew/.linuxbrew/opt"),
        PathBuf::from("/Applications/Postgres.app/Contents/Versions"),
        PathBuf::from("/Library/PostgreSQL"),
        home.join(".theseus/postgresql"), // where `cargo dev fetch` puts it
    ];
    let mut found = families.iter().flat_map(|family| versions_in(family)).collect::<Vec<_>>();
    found.sort_by_key(|installation| std::cmp::Reverse(installation.major));
    found
}

fn versions_in(family: &Path) -> Vec<Installation> {
    let Ok(entries) = fs::read_dir(family) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Installation::at(entry.ok()?.path().join("bin"))).collect()
}

fn bin_dir_of(program: &Path) -> Option<PathBuf> {
    pg_config(program, "--bindir")
}

fn pg_config(program: &Path, question: &str) -> Option<PathBuf> {
    let output = Command::new(program).arg(question).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    (!answer.trim().is_empty()).then(|| PathBuf::from(answer.trim()))
}
