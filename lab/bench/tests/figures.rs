//! Tests that the figures in the documents match the committed results.

const RESULTS: &str = include_str!("../results/RESULTS.md");
const DOCUMENT: &str = include_str!("../README.md");

/// Returns a value from the results' tables, such as `result("Returning", 64, "redis", "app is")`.
fn result(visitors: &str, connections: u16, contender: &str, column: &str) -> f64 {
    let heading = format!("## {visitors} visitors, {connections} connection");
    let section = RESULTS.split("\n\n").skip_while(|part| !part.starts_with(&heading)).nth(1);
    let mut rows = section.unwrap_or_else(|| panic!("no {heading}")).lines().map(cells);
    let at = rows.next().expect("a head").iter().position(|name| *name == column).expect(column);
    let row = rows.find(|row| row[0] == contender).expect(contender);
    row[at].trim_end_matches('×').parse().expect("a number")
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// Formats a figure as in the table of targets. `over` means that the target is a maximum. A missed target also has the
/// figure of the bound.
fn shown(value: f64, digits: usize, target: f64, over: bool, bound: f64) -> String {
    let is_missed = if over { value > target } else { value < target };
    if is_missed {
        format!("{value:.digits$}, missed (bound: {bound:.digits$})")
    } else {
        format!("{value:.digits$}")
    }
}

#[test]
fn the_table_of_targets_shows_the_committed_results_and_the_missed_targets() {
    let rate = |visitors, connections, of, target, digits| {
        let [app, bound] = [of, "bound"].map(|of| result(visitors, connections, of, "app is"));
        shown(app, digits, target, false, app / bound)
    };
    let p99 = |visitors| {
        let [app, bound] = ["app", "bound"].map(|of| {
            let [p99, p50] = ["p99 ms", "p50 ms"].map(|column| result(visitors, 64, of, column));
            p99 / p50
        });
        shown(app, 1, 2.5, true, bound)
    };
    let cpu = |visitors| {
        let [app, bound, redis] = ["app", "bound", "redis"].map(|of| result(visitors, 64, of, "both"));
        shown(app / redis, 1, 1.6, true, bound / redis)
    };
    let memory = |visitors| {
        let size = |connections, of| result(visitors, connections, of, "MiB");
        let sizes = [64, 256].map(|n| shown(size(n, "app"), 1, 30.0, true, size(n, "bound")));
        sizes.join("; ")
    };
    let [growth, hot] = ["bytes: growth", "HOT %"].map(|column| result("Returning", 64, "app", column));
    let [returning, new] = ["Returning", "New"];
    let expected = [
        [rate(returning, 1, "axum", 1.0, 2), rate(new, 1, "axum", 1.0, 2)],
        [rate(returning, 1, "axum tuned", 1.0, 2), rate(new, 1, "axum tuned", 1.0, 2)],
        [rate(returning, 1, "redis", 0.9, 2), rate(new, 1, "redis", 0.9, 2)],
        [rate(returning, 64, "express", 15.0, 1), String::new()],
        [rate(returning, 64, "redis", 1.0, 2), rate(new, 64, "redis", 1.0, 2)],
        [rate(returning, 64, "app on redis", 0.95, 2), rate(new, 64, "app on redis", 0.95, 2)],
        [rate(returning, 256, "redis", 1.0, 2), rate(new, 256, "redis", 1.0, 2)],
        [p99(returning), p99(new)],
        [cpu(returning), cpu(new)],
        [memory(returning), memory(new)],
        [format!("{growth:.0} bytes, {hot:.0}%"), String::new()],
    ];

    let (_, table) = DOCUMENT.split_once("| target | returning | new |\n").expect("the table");
    let rows: Vec<_> = table.lines().skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row[1..], expected, "{}", row[0]);
    }
}

#[test]
fn the_statements_about_the_results_are_true() {
    let [app, redis] = ["app", "redis"].map(|contender| result("Returning", 1, contender, "store"));
    let of_bound = result("Returning", 1, "bound", "app is") * 100.0;
    for figure in [format!("{app:.0} µs"), format!("{redis:.0} µs"), format!("{of_bound:.0}% of the bound")]
    {
        assert!(DOCUMENT.contains(&figure), "{figure}");
    }
    let readme = include_str!("../../../README.md").replace('\n', " ");
    for visitors in ["Returning", "New"] {
        let is_slower = result(visitors, 64, "redis", "app is") < 1.0;
        assert_eq!(readme.contains("Redis is faster"), is_slower, "{visitors}");
    }
}
