//! The results as a picture: a bar for each contender.

use std::fmt::Write;

use super::{Written, markdown, summary::Row};
use crate::load::Scenario;

/// What it is drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Colours {
    text: &'static str,
    quiet: &'static str,
    own: &'static str,
    other: &'static str,
}

/// On white.
pub const LIGHT: Colours = Colours { text: "#1f2328", quiet: "#59636e", own: "#b5561d", other: "#b9c0c8" };

/// On black.
pub const DARK: Colours = Colours { text: "#f0f6fc", quiet: "#9198a1", own: "#e0883f", other: "#4b535d" };

const WIDTH: f64 = 760.0;
/// For the names.
const LEFT: f64 = 190.0;
/// For the figures behind the longest bar.
const RIGHT: f64 = 120.0;
const BAR: f64 = 20.0;
const STEP: f64 = 28.0;

/// Visits a second of everyone, at the number of connections that the targets are set for.
pub fn draw(written: &Written<'_>, colours: Colours) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for scenario in [Scenario::Returning, Scenario::New] {
        let mut connections: Vec<usize> = rows(written, scenario).map(|row| row.cell.connections).collect();
        connections.sort_unstable();
        let connections = markdown::headline(&connections);
        let mut bars: Vec<&Row> =
            rows(written, scenario).filter(|row| row.cell.connections == connections).collect();
        if bars.is_empty() {
            continue;
        }
        bars.sort_by(|one, other| other.rate.total_cmp(&one.rate));
        y += 24.0;
        let _ = writeln!(
            body,
            r#"<text y="{y}" font-weight="600">{} visitors a second, {connections} connections</text>"#,
            markdown::title(scenario)
        );
        y += 14.0;
        let most = bars.iter().map(|row| row.rate).fold(1.0, f64::max);
        for row in bars {
            bar(&mut body, row, y, most, colours);
            y += STEP;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\" fill=\"{text}\">\n{body}</svg>\n",
        height = y + 4.0,
        text = colours.text,
    )
}

fn rows<'a>(written: &'a Written<'_>, scenario: Scenario) -> impl Iterator<Item = &'a Row> {
    written.summary.iter().filter(move |row| row.cell.scenario == scenario)
}

fn bar(body: &mut String, row: &Row, y: f64, most: f64, colours: Colours) {
    let width = (row.rate / most * (WIDTH - LEFT - RIGHT)).max(1.0);
    let is_own = row.contender.starts_with("app");
    let colour = if is_own { colours.own } else { colours.other };
    let baseline = y + 15.0;
    let _ = writeln!(
        body,
        "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>\n\
         <text x=\"{:.1}\" y=\"{baseline}\" fill=\"{}\">{}</text>",
        LEFT - 10.0,
        row.contender,
        LEFT + width + 8.0,
        colours.quiet,
        thousands(row.rate),
    );
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
