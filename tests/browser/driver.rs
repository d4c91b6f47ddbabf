//! ChromeDriver: one for the test process, started by the first test that needs it, and gone with the process, in
//! whatever way that ends.

use std::{
    env,
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use dev::Kept;

/// What to do where there is no browser.
pub const HOW_TO_GET: &str = "These tests need Chromium and its WebDriver: `apt install chromium chromium-driver` on \
     Debian, `brew install --cask chromium chromedriver` on macOS. SKIP_BROWSER_TESTS=1 goes without.";

/// A running ChromeDriver.
pub struct Driver {
    pub url: String,
    /// Whether we are root, as whom Chromium runs without its sandbox only.
    pub is_root: bool,
    /// Kept here for its lifetime: that of the process.
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
        let program = program().ok_or("There is no chromedriver.")?;
        // Everything that the driver and its browsers write goes here, and is removed by the script.
        let home = env::temp_dir().join(format!("browser-tests-{}", process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&home)
            .map_err(|error| format!("{}: {error}", home.display()))?;
        let is_root = fs::metadata(&home).is_ok_and(|home| home.uid() == 0);
        let mut script = Command::new("/bin/sh");
        script.arg("-c").arg(include_str!("driver.sh")).arg("driver").arg(program).arg(&home);
        let mut process = Kept::spawn(&script).map_err(|error| format!("{error:#}"))?;
        let port = port(&mut process, &home.join("log"))?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), is_root, _process: process })
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // GitHub's machines have it outside of the path.
    let places = env::var_os("CHROMEWEBDRIVER").map(PathBuf::from).into_iter().chain(env::split_paths(&path));
    places.map(|place| place.join("chromedriver")).find(|program| program.is_file())
}

/// The port that the driver chose, which it tells in its log.
fn port(process: &mut Kept, log: &Path) -> Result<u16, String> {
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("started successfully on port ")
            && let Some((port, _)) = rest.split_once('.')
        {
            return port.parse().map_err(|_| text);
        }
        let ended = process.try_wait().ok().flatten().is_some();
        if ended || begin.elapsed() > Duration::from_secs(30) {
            return Err(format!("chromedriver does not start: {text}"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}
