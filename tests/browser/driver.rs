//! ChromeDriver. The first test starts it, and it exits with the test process.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, sync::OnceLock, thread};

use dev::Kept;

/// Tells the user what to do if there is no browser.
pub const HOW_TO_GET: &str = "Run `cargo dev browser` to see how to get Chromium and chromedriver.";

/// A running ChromeDriver.
pub struct Driver {
    pub url: String,
    /// Whether the user is root. If so, Chromium runs without its sandbox.
    pub is_root: bool,
    /// Exits with the test process.
    _process: Kept,
}

impl Driver {
    pub fn get() -> &'static Self {
        static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
        match DRIVER.get_or_init(Self::start) {
            Ok(driver) => driver,
            Err(problem) => panic!("{problem}\n{HOW_TO_GET}"),
        }
    }

    fn start() -> Result<Self, String> {
        let program = program().ok_or("chromedriver isn't installed.")?;
        // `driver.sh` removes this directory.
        let home = env::temp_dir().join(format!("browser-tests-{}", process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&home)
            .map_err(|error| format!("{}: {error}", home.display()))?;
        let is_root = fs::metadata(&home).is_ok_and(|home| home.uid() == 0);
        let mut script = Command::new("/bin/sh");
        script.arg("-c").arg(include_str!("driver.sh")).arg("driver").arg(program).arg(&home);
        let mut process =
            Kept::spawn(&script, "TERM", Stdio::inherit()).map_err(|error| format!("{error:#}"))?;
        let port = port(&mut process, &home.join("log"))?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), is_root, _process: process })
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // On GitHub's runners, chromedriver isn't in `PATH`.
    let places = env::var_os("CHROMEWEBDRIVER").map(PathBuf::from).into_iter().chain(env::split_paths(&path));
    places.map(|place| place.join("chromedriver")).find(|program| program.is_file())
}

/// Reads the port from the driver's log.
fn port(process: &mut Kept, log: &Path) -> Result<u16, String> {
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("started successfully on port ")
            && let Some((port, _)) = rest.split_once('.')
        {
            return port.parse().map_err(|_| text);
        }
        let ended = process.script.try_wait().ok().flatten().is_some();
        if ended || begin.elapsed() > Duration::from_secs(30) {
            return Err(format!("chromedriver didn't start: {text}"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}
