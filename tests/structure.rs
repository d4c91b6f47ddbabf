//! Rules about files, such as the order of the modules in `src/`: a module only uses modules above it in the list.

use std::{collections::BTreeSet, fs, path::Path};

const ORDER: &[&str] = &[
    "limits",
    "fetch_metadata",
    "rate_limit", // accounts, demo
    "secret",
    "proxies",
    "database_url",
    "config",
    "error",
    "log",
    "database",
    "readiness",
    "visitors", // demo
    "session",
    "sweep",
    "view",
    "http",
    "session_limit", // demo
    "accounts",      // accounts
    "pages",
    "metrics",
    "app",
    "server",
    "cli",
];

/// Items that the crate's root exports, and their modules.
const EXPORTED: [(&str, &str); 5] =
    [("Config", "config"), ("Error", "error"), ("Dependencies", "app"), ("Pages", "app"), ("get", "http")];

fn place(module: &str) -> usize {
    let exported = EXPORTED.iter().find(|(name, _)| *name == module).map_or(module, |(_, module)| *module);
    let place = ORDER.iter().position(|known| *known == exported);
    place.unwrap_or_else(|| panic!("{exported} is not in the list of this test: add it where it belongs"))
}

/// Returns the modules that a file names after `crate::` outside comments, alone or in a list.
fn used(text: &str) -> Vec<String> {
    let mut used = Vec::new();
    let text: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    for rest in text.split("crate::").skip(1) {
        let mut depth = 0;
        let list = rest.strip_prefix('{').and_then(|list| list.split_once("};").map(|(list, _)| list));
        let names = list
            .unwrap_or_else(|| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""));
        for part in names.split_inclusive(['{', '}', ',']) {
            let name = part.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
            if depth == 0 && !name.is_empty() {
                used.push(name.split("::").next().unwrap_or(name).to_owned());
            }
            depth += part.matches('{').count();
            depth -= part.matches('}').count().min(depth);
        }
    }
    used
}

fn files(path: &Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    fs::read_dir(path).expect("a folder").flat_map(|entry| files(&entry.expect("an entry").path())).collect()
}

#[test]
fn a_module_only_uses_modules_that_are_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in files(&src).iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")) {
        let path = file.strip_prefix(&src).expect("below src/").with_extension("");
        let module = path.iter().next().expect("a name").to_str().expect("text").to_owned();
        if module == "main" || module == "lib" {
            continue;
        }
        for other in used(&fs::read_to_string(file).expect("text")) {
            assert!(other == module || place(&other) < place(&module), "{} uses {other}", path.display());
        }
    }
}

#[test]
fn the_modules_in_a_list_are_found() {
    let text = "use crate::{\n    Config, Error,\n    http::{client::client, deadline},\n    view::page,\n};\ncrate::error::x()";

    assert_eq!(used(text), ["Config", "Error", "http", "view", "error"]);
}

/// Different line endings would break scripts. They would also change the hashes of the migrations, so the app
/// wouldn't start.
#[test]
fn every_checkout_has_the_same_line_endings() {
    let attributes = fs::read_to_string(".gitattributes").expect("the file");

    assert_eq!(attributes.lines().next(), Some("* text=auto eol=lf"));
    for file in ["migrations", "src", "dev", ".sqlx"].iter().flat_map(|folder| files(Path::new(folder))) {
        let text = fs::read(&file).expect("a file");
        assert!(!text.contains(&b'\r'), "{}", file.display());
    }
}

#[test]
fn the_development_container_and_the_image_have_the_same_compiler() {
    let read = |file: &str| fs::read_to_string(file).expect(file);
    let compiler = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("FROM rust:")?.split(' ').next().map(str::to_owned))
    };
    let container: serde_json::Value =
        serde_json::from_str(&read(".devcontainer/devcontainer.json")).expect("JSON");
    let name = container["build"]["dockerfile"].as_str().expect("a Dockerfile");
    let dockerfile = read(&format!(".devcontainer/{name}"));

    assert_eq!(compiler(&dockerfile).expect("an image"), compiler(&read("Dockerfile")).expect("an image"));
    let user = container["remoteUser"].as_str().expect("a user");
    assert!(dockerfile.contains(&format!("USER {user}\n")), "{dockerfile}");
}

/// Returns the images that Dockerfiles and Compose files name.
fn images(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(str::trim);
    let images = lines.filter_map(|line| line.strip_prefix("FROM ").or(line.strip_prefix("image: ")));
    images.filter_map(|image| image.split(' ').next()).collect()
}

fn without_hashes(text: &str) -> String {
    let (start, rest) = text.split_once("@sha256:").unwrap_or((text, ""));
    let end = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    if rest.is_empty() { start.to_owned() } else { start.to_owned() + &without_hashes(end) }
}

/// `deploy/pinned/` must also have the images of new services, and the changes in the other Dockerfile.
#[test]
fn production_pins_every_image_by_its_hash() {
    let read = |file: &str| fs::read_to_string(file).expect(file);
    let mut named = read("Dockerfile") + &read("docker-compose.yml");
    for file in files(Path::new("deploy")).iter().filter_map(|file| file.to_str()) {
        if file.starts_with("deploy/compose.") {
            named += &read(file);
        }
    }
    let dockerfile = read("deploy/pinned/Dockerfile");
    let pinned = read("deploy/pinned/compose.yml") + &dockerfile;

    for image in images(&pinned) {
        let hash = image.split_once("@sha256:").expect(image).1;
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{image}");
    }
    assert_eq!(images(&without_hashes(&pinned)), images(&named));
    let (_comment, rest) = dockerfile.split_once('\n').expect("a comment");
    assert_eq!(without_hashes(rest), read("Dockerfile"));
}

#[test]
fn each_id_in_the_styles_is_in_a_template() {
    let templates: String = files(Path::new("templates"))
        .iter()
        .map(|file| fs::read_to_string(file).expect("a template"))
        .collect();
    for rest in fs::read_to_string("static/app.css").expect("the styles").split('#').skip(1) {
        let id = rest.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or("");
        let is_color = id.chars().all(|c| c.is_ascii_hexdigit());
        assert!(is_color || templates.contains(&format!("id=\"{id}\"")), "no template has #{id}");
    }
}
