//! Adds the crate to an empty app, as a user would, from the archives that `cargo package` creates. The build
//! has neither a database nor `.sqlx`. The app's workspace also contains `examples/login`, as
//! github.com/actix/examples would. The test then uses both apps.
//!
//! It takes minutes, so it runs only when named: `cargo test -p actix-session-postgres --test package`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dev::Postgres;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// This project's build directory, where most dependencies are already built.
const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/..");
const PACKAGES: [&str; 3] = ["sqlx-batcher", "actix-session-postgres", "session-store-suite"];

#[test]
fn an_app_built_from_the_packages_keeps_its_sessions() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    let app = place.join("app");
    let _ = fs::remove_dir_all(app.join("src"));
    for package in [&app, &app.join("login")] {
        fs::create_dir_all(package.join("src")).expect("a directory");
    }
    let packages = package(&place);
    write_app(&app, &packages);
    cargo(&app, &["build", "--workspace", "--target-dir", TARGET]);

    visits_rotates_and_logs_out();
    shows_a_page_to_members_only();
}

/// Tests `examples/minimal.rs`.
fn visits_rotates_and_logs_out() {
    let app = App::start("new-app");
    let first = app.get("/", "");
    assert_eq!(first.body, "Visit 1 of a visitor\n");
    assert_eq!(app.get("/", &first.cookie).body, "Visit 2 of a visitor\n");

    let login = app.get("/log-in/7", &first.cookie);
    assert_eq!(app.get("/", &login.cookie).body, "Visit 1 of account 7\n");
    assert_eq!(app.get("/", &first.cookie).body, "Visit 1 of a visitor\n", "the old key is invalid");

    let rotated = app.get("/rotate", &login.cookie);
    assert_eq!(app.get("/", &rotated.cookie).body, "Visit 2 of account 7\n");
    assert_eq!(app.get("/", &login.cookie).body, "Visit 1 of a visitor\n");

    app.get("/log-out", &rotated.cookie);
    assert_eq!(app.get("/", &rotated.cookie).body, "Visit 1 of a visitor\n");
}

/// Tests `examples/login`.
fn shows_a_page_to_members_only() {
    let app = App::start("postgres-session");
    assert_eq!(app.get("/members", "").location, "/");

    let refused = app.post("/login", "", "name=ferris&password=crayfish");
    assert_eq!((&*refused.body, &*refused.cookie), ("Wrong name or password\n", ""));
    let login = app.post("/login", "", "name=ferris&password=crab");
    assert_eq!(login.location, "/members");
    let page = app.get("/members", &login.cookie);
    assert!(page.body.starts_with("Hello, ferris!"), "{}", page.body);

    assert_eq!(app.post("/logout", &login.cookie, "").location, "/");
    assert_eq!(app.get("/members", &login.cookie).location, "/");
}

/// Packages the crates and unpacks the archives. Returns each package's directory.
fn package(place: &Path) -> Vec<(&'static str, PathBuf)> {
    let target = place.join("archives");
    let mut arguments = vec!["package", "--no-verify", "--allow-dirty", "--target-dir"];
    arguments.push(target.to_str().expect("text"));
    arguments.extend(PACKAGES.iter().flat_map(|package| ["--package", package]));
    cargo(Path::new(ROOT), &arguments);
    PACKAGES.iter().map(|&package| (package, unpack(package, &target.join("package")))).collect()
}

fn unpack(package: &str, archives: &Path) -> PathBuf {
    let directory = archives.join(format!("{package}-0.1.0"));
    let _ = fs::remove_dir_all(&directory);
    let archive = format!("{package}-0.1.0.crate");
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).current_dir(archives).status();
    assert!(unpacked.expect("tar").success());
    directory
}

/// Writes an app with the code from `examples/minimal.rs`. Its workspace is set up like that of
/// actix/examples and includes a copy of `examples/login`.
fn write_app(app: &Path, packages: &[(&str, PathBuf)]) {
    let patches: String = packages
        .iter()
        .map(|(name, path)| format!("{name} = {{ path = \"{}\" }}\n", path.display()))
        .collect();
    // The versions and features are those of the README's `cargo add`, except for TLS.
    let manifest = format!(
        "[package]\nname = \"new-app\"\nedition = \"2024\"\n\n[workspace]\nmembers = [\"login\"]\n\n\
        [workspace.package]\nedition = \"2024\"\nrust-version = \"1.94\"\n\n\
        [workspace.dependencies]\nactix-session = \"0.11\"\nactix-web = \"4.11\"\n\
        serde = {{ version = \"1\", features = [\"derive\"] }}\n\n\
        [dependencies]\nactix-session = \"0.11\"\nactix-session-postgres = \"0.1.0\"\n\
        actix-web = {{ version = \"4\", features = [\"secure-cookies\"] }}\n\
        sqlx = {{ version = \"0.9\", default-features = false, features = [\"postgres\", \"runtime-tokio\", \"tls-none\"] }}\n\n\
        [dev-dependencies]\nsession-store-suite = \"0.1.0\"\n\n\
        [patch.crates-io]\n{patches}"
    );
    fs::write(app.join("Cargo.toml"), manifest).expect("written");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/login");
    let manifest = fs::read_to_string(example.join("Cargo.toml")).expect("a manifest");
    fs::write(app.join("login/Cargo.toml"), manifest.replace(", path = \"../..\"", "")).expect("written");
    for (from, to) in [
        (packages[1].1.join("examples/minimal.rs"), "src/main.rs"),
        (example.join("src/main.rs"), "login/src/main.rs"),
    ] {
        let code = fs::read_to_string(from).expect("an example");
        // Lets the kernel choose the port, and makes the app print it.
        let code = code.replace(
            "HttpServer::new(app).bind((\"127.0.0.1\", 8080))?.run().await?",
            "{\n        let server = HttpServer::new(app).workers(2).bind((\"127.0.0.1\", 0))?;\n        \
             println!(\"{}\", server.addrs()[0]);\n        server.run().await?\n    }",
        );
        fs::write(app.join(to), code).expect("written");
    }
}

/// Runs Cargo without this project's sqlx settings.
fn cargo(directory: &Path, arguments: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(directory).env_remove("DATABASE_URL").env("SQLX_OFFLINE", "false");
    // This project's dependencies have no debug information either, so Cargo can use them again.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
    let output = cargo.output().expect("Cargo");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}\n{messages}", arguments.join(" "));
    // Cargo warns about tests that a package leaves out, which is fine.
    let mut warnings =
        messages.lines().filter(|line| line.contains("warning") && !line.contains("ignoring test"));
    assert_eq!(warnings.next(), None, "cargo {}\n{messages}", arguments.join(" "));
}

/// A running app with its database. Dropping it kills the app.
struct App {
    process: Child,
    address: String,
    _postgres: Postgres,
}

struct Response {
    body: String,
    /// The session cookie, if the response sets one.
    cookie: String,
    /// The target of the redirect, if the response is one.
    location: String,
}

impl App {
    fn start(name: &str) -> Self {
        let postgres = Postgres::temporary(&[]).unwrap_or_else(|error| panic!("{error:#}"));
        let mut program = Command::new(Path::new(TARGET).join("debug").join(name));
        program.env("DATABASE_URL", postgres.url("postgres")).stdout(Stdio::piped());
        let mut process = program.spawn().expect("the app starts");
        let mut address = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut address).expect("a line");
        Self { process, address: address.trim().to_owned(), _postgres: postgres }
    }

    fn get(&self, path: &str, cookie: &str) -> Response {
        self.request(path, cookie, &[])
    }

    fn post(&self, path: &str, cookie: &str, form: &str) -> Response {
        self.request(path, cookie, &["--data", form])
    }

    fn request(&self, path: &str, cookie: &str, arguments: &[&str]) -> Response {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--retry-connrefused", "--retry", "5"]);
        curl.args(arguments).args(["--header", &format!("cookie: {cookie}")]);
        let output = curl.arg(format!("http://{}{path}", self.address)).output().expect("curl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text").replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").expect("a response");
        let header = |name| {
            let value = head.lines().find_map(|line| line.strip_prefix(name)?.split(';').next());
            value.unwrap_or_default().to_owned()
        };
        Response { body: body.to_owned(), cookie: header("set-cookie: "), location: header("location: ") }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
