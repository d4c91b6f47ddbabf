//! `docs/stores.md` contains the suite's results. This command measures the stores again and writes the document:
//!
//! ```sh
//! cargo dev lab stores --ignored
//! ```

use std::{collections::HashMap, fs, path::PathBuf, process::Command};

use crate::column::{COUNTED, Cells, Column, UNDONE};
use crate::{has_redis, kind::Kind, measure::column};

const BEGIN: &str = "<!-- begin: written by `cargo dev lab stores --ignored` -->\n";
const END: &str = "<!-- end -->\n";

/// The only other PostgreSQL store for actix-session. It needs older dependencies, so a program in a separate
/// workspace measures it.
const PEER: &str = "actix-session-sqlx-postgres";

fn table(columns: &[Cells]) -> String {
    let mut table = format!(
        "| | memory | Redis | cookie | PostgreSQL | {PEER} |\n| --- | --- | --- | --- | --- | --- |\n"
    );
    for (n, (title, _)) in columns[0].iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| &*column[n].1).collect();
        table.push_str(&format!("| {title} | {} |\n", cells.join(" | ")));
    }
    table
}

fn path() -> PathBuf {
    dev::project().expect("a project").join("docs/stores.md")
}

/// Returns a store's cells in the document, by the titles of their rows.
fn documented(kind: Kind) -> HashMap<String, String> {
    let document = fs::read_to_string(path()).expect("docs/stores.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let position = kind as usize;
    let cells = rows.filter_map(|(title, cells)| {
        Some((title.to_owned(), cells.trim_end_matches(" |").split(" | ").nth(position)?.to_owned()))
    });
    cells.collect()
}

/// Measures a store, and compares the document with the result.
async fn check(kind: Kind) -> Column {
    let (column, documented) = (column(kind).await, documented(kind));
    for (title, found) in [column.guarantees(), column.figures()].concat() {
        let documented =
            documented.get(&title).unwrap_or_else(|| panic!("docs/stores.md has no row {title:?}"));
        let agrees = match &*title {
            COUNTED => (found == "200") == (documented == "200"),
            UNDONE => (found == "0") == (documented == "0"),
            _ => found == *documented,
        };
        // The test can set Redis's clock only on Linux.
        let agrees = agrees || !cfg!(target_os = "linux") && found == "not applicable";
        let report = &column.report;
        assert!(agrees, "{title}: found {found:?}, but docs/stores.md has {documented:?}\n{report}");
    }
    column
}

#[actix_web::test]
async fn our_store_provides_every_guarantee_as_documented() {
    let column = check(Kind::Postgres).await;

    assert!(column.report.0.iter().all(|finding| finding.verdict == "kept"), "{}", column.report);
    assert_eq!((column.undone, column.survivors, column.counted_in_table), (0, 100, Some(200)));
}

#[actix_web::test]
async fn the_memory_store_provides_the_guarantees_that_it_claims_as_documented() {
    check(Kind::Memory).await.report.assert_claims();
}

#[actix_web::test]
async fn the_document_shows_the_suites_results_for_the_cookie_store() {
    check(Kind::Cookie).await;
}

#[actix_web::test]
async fn the_document_shows_the_suites_results_for_the_redis_store() {
    if has_redis("actix-session's Redis store") {
        check(Kind::Redis).await;
    }
}

#[actix_web::test]
#[ignore = "writes docs/stores.md"]
async fn measure_the_stores_and_write_the_document() {
    let (mut guarantees, mut figures) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let column = column(kind).await;
        println!("{}\n{}", kind.name(), column.report);
        guarantees.push(column.guarantees());
        figures.push(column.figures());
    }
    let peer = peer();
    let (kept, measured) = peer.split_at(guarantees[0].len());
    guarantees.push(kept.to_vec());
    figures.push(measured.to_vec());
    assert!(guarantees[3].iter().all(|(_, cell)| cell == "kept"));
    let document = fs::read_to_string(path()).expect("docs/stores.md");
    let (before, rest) = document.split_once(BEGIN).expect("the mark before the tables");
    let (_, after) = rest.split_once(END).expect("the mark after the tables");
    let tables = format!("\n{}\n\n{}\n{}\n", versions(), table(&guarantees), table(&figures));
    fs::write(path(), format!("{before}{BEGIN}{tables}{END}{after}")).expect("written");
}

/// Measures the other PostgreSQL store.
fn peer() -> Cells {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--locked", "--package", "peer-postgres", "--target-dir", "target/peers"]);
    cargo.args(["--manifest-path", "lab/bench/peers/Cargo.toml"]);
    let output = cargo.current_dir(dev::project().expect("a project")).output().expect("Cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    let cells = lines.lines().map(|line| line.split_once('\t').expect("a title and a cell"));
    cells.map(|(title, cell)| (title.to_owned(), cell.to_owned())).collect()
}

/// Returns a sentence with the versions that were measured.
fn versions() -> String {
    let project = dev::project().expect("a project");
    let version = |lock: &str, package: &str| {
        let lock = fs::read_to_string(project.join(lock)).expect("Cargo.lock");
        let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).expect("a package");
        rest.split('"').next().expect("a version").to_owned()
    };
    let server = Command::new("redis-server").arg("--version").output().expect("Redis").stdout;
    let server = String::from_utf8(server).expect("text");
    let server = server.split("v=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a version");
    let (session, client) = (version("Cargo.lock", "actix-session"), version("Cargo.lock", "redis"));
    format!(
        "Measured with actix-session {session}, Redis {server} (the redis crate {client}) and {PEER} {}.",
        version("lab/bench/peers/Cargo.lock", PEER),
    )
}
