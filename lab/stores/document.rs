//! `docs/stores.md` says what the suite finds. This command measures again and writes it:
//!
//! ```sh
//! cargo dev lab stores --ignored
//! ```

use std::{fs, path::PathBuf};

use crate::{
    has_redis,
    kind::Kind,
    measure::{Column, column},
};

const BEGIN: &str = "<!-- begin: written by `cargo dev lab stores --ignored` -->\n";
const END: &str = "<!-- end -->\n";

/// A row of the table.
struct Row {
    title: String,
    cells: Vec<String>,
    /// The figure that the cells must agree on with a later run. Races differ in everything else.
    fixed: Option<&'static str>,
}

fn row(title: &str, columns: &[Column], cell: impl Fn(&Column) -> String) -> Row {
    Row { title: title.to_owned(), cells: columns.iter().map(cell).collect(), fixed: None }
}

fn guarantees(columns: &[Column]) -> Vec<Row> {
    let rows = columns[0].report.0.iter().enumerate().map(|(n, guarantee)| {
        row(guarantee.sentence, columns, |column| match column.report.0[n].verdict {
            "broken" => "**broken**".to_owned(),
            verdict => verdict.to_owned(),
        })
    });
    rows.collect()
}

fn figures(columns: &[Column]) -> Vec<Row> {
    let counted = row("visits counted of 200 at once, with the count in the session", columns, |column| {
        column.counted.to_string()
    });
    let undone =
        row(
            "logouts undone by a request that runs at the same time, of 1,000",
            columns,
            |column| match column.undone {
                1_000 => "1,000".to_owned(),
                undone => undone.to_string(),
            },
        );
    vec![
        Row { fixed: Some("200"), ..counted },
        row("the same, with the count in a table of its own", columns, |column| {
            column.counted_in_table.map_or("–".to_owned(), |counted| counted.to_string())
        }),
        Row { fixed: Some("0"), ..undone },
        row("bytes in the cookie, with nothing but the count", columns, |column| column.cookie.to_string()),
        row("statements or commands for a visit", columns, |column| column.statements.to_string()),
        row("sessions that survive a crash and restart, of 100", columns, |column| {
            match column.survivors_with_defaults {
                Some(defaults) => {
                    format!("{} with `appendfsync always`, {defaults} by default", column.survivors)
                }
                None => column.survivors.to_string(),
            }
        }),
        row("what one more server needs", columns, |column| {
            let needs = match column.kind {
                Kind::Memory => "a proxy that sends each visitor to the same process",
                Kind::Redis => "the same Redis and secret",
                Kind::Cookie => "the same secret",
                Kind::Postgres => "the same PostgreSQL and secret",
            };
            needs.to_owned()
        }),
    ]
}

fn table(rows: &[Row]) -> String {
    let heading = "| | memory | Redis | cookie | PostgreSQL |\n| --- | --- | --- | --- | --- |\n".to_owned();
    rows.iter().fold(heading, |table, row| format!("{table}| {} | {} |\n", row.title, row.cells.join(" | ")))
}

fn path() -> PathBuf {
    dev::project().expect("a project").join("docs/stores.md")
}

/// Returns a cell of the document.
fn documented(title: &str, kind: Kind) -> String {
    let document = fs::read_to_string(path()).expect("docs/stores.md");
    let line = document.lines().find_map(|line| line.strip_prefix(&format!("| {title} | ")));
    let cells = line.unwrap_or_else(|| panic!("docs/stores.md has no row {title:?}")).trim_end_matches(" |");
    let position = Kind::ALL.iter().position(|other| *other == kind).expect("a kind");
    cells.split(" | ").nth(position).expect("a cell for each kind").to_owned()
}

/// Measures a store, and compares the document with the result.
async fn check(kind: Kind) -> Column {
    let columns = [column(kind).await];
    for row in guarantees(&columns).iter().chain(&figures(&columns)) {
        let (found, documented) = (&row.cells[0], documented(&row.title, kind));
        let agrees = match row.fixed {
            Some(fixed) => (found == fixed) == (documented == fixed),
            None => *found == documented,
        };
        // Only Linux has a way to set the clock of Redis.
        let agrees = agrees || !cfg!(target_os = "linux") && found == "not applicable";
        let report = &columns[0].report;
        assert!(agrees, "{}: found {found:?}, but docs/stores.md has {documented:?}\n{report}", row.title);
    }
    let [column] = columns;
    column
}

#[actix_web::test]
async fn our_store_keeps_every_guarantee_and_the_document_says_so() {
    let column = check(Kind::Postgres).await;

    assert!(column.report.0.iter().all(|finding| finding.verdict == "kept"), "{}", column.report);
    assert_eq!((column.undone, column.survivors, column.counted_in_table), (0, 100, Some(200)));
}

#[actix_web::test]
async fn the_memory_store_keeps_what_it_claims_and_the_document_says_so() {
    check(Kind::Memory).await.report.assert_claims();
}

#[actix_web::test]
async fn the_document_says_what_the_suite_finds_about_the_cookie_store() {
    check(Kind::Cookie).await;
}

#[actix_web::test]
async fn the_document_says_what_the_suite_finds_about_the_redis_store() {
    if has_redis("actix-session's Redis store") {
        check(Kind::Redis).await;
    }
}

#[actix_web::test]
#[ignore = "writes docs/stores.md"]
async fn measure_the_stores_and_write_the_document() {
    let mut columns = Vec::new();
    for kind in Kind::ALL {
        columns.push(column(kind).await);
        println!("{}\n{}", kind.name(), columns.last().expect("a column").report);
    }
    let document = fs::read_to_string(path()).expect("docs/stores.md");
    let (before, rest) = document.split_once(BEGIN).expect("the mark before the tables");
    let (_, after) = rest.split_once(END).expect("the mark after the tables");
    let tables = format!("\n{}\n{}\n", table(&guarantees(&columns)), table(&figures(&columns)));
    assert!(columns[3].report.0.iter().all(|finding| finding.verdict == "kept"));
    fs::write(path(), format!("{before}{BEGIN}{tables}{END}{after}")).expect("written");
}
