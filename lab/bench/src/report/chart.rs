//! The results as a bar chart.

use std::fmt::Write;

use super::Row;
use crate::measure::Figure;

/// The colors of text, numbers, the app's bars and the other bars.
type Colors = [&'static str; 4];

pub(super) const LIGHT: Colors = ["#1f2328", "#59636e", "#b5561d", "#b9c0c8"];
pub(super) const DARK: Colors = ["#f0f6fc", "#9198a1", "#e0883f", "#4b535d"];

const WIDTH: f64 = 760.0;
/// The width of the longest bar, which starts after the names.
const LONGEST: f64 = 450.0;
const LEFT: f64 = 190.0;

/// Draws the visits per second of all contenders except the bound, with 64 connections, or with the most
/// connections if 64 wasn't measured.
pub(super) fn draw(rows: &[Row], [text, number, app, other]: Colors) -> String {
    let (mut body, mut y) = (String::new(), 8.0);
    for rows in rows.chunk_by(|one, next| one.cell.scenario == next.cell.scenario) {
        let last = rows[rows.len() - 1].cell.connections;
        let connections = if rows.iter().any(|row| row.cell.connections == 64) { 64 } else { last };
        let is_drawn = |row: &&Row| row.cell.connections == connections && row.contender != "bound";
        let mut bars: Vec<&Row> = rows.iter().filter(is_drawn).collect();
        bars.sort_by(|one, other| rate(other).total_cmp(&rate(one)));
        let Some(&fastest) = bars.first() else { continue };
        let title = format!("Visits per second: {}", fastest.cell);
        let _ = writeln!(body, r#"<text y="{}" font-weight="600">{title}</text>"#, y + 24.0);
        y += 38.0;
        for row in bars {
            let width = (rate(row) / rate(fastest).max(1.0) * LONGEST).max(1.0);
            // The app with a different store counts as a peer.
            let is_app = row.contender.starts_with("app") && !row.contender.starts_with("app on ");
            let color = if is_app { app } else { other };
            let baseline = y + 15.0;
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"20\" rx=\"2\" fill=\"{color}\"/>\n\
                 <text x=\"{:.1}\" y=\"{baseline}\" fill=\"{number}\">{}</text>",
                LEFT - 10.0,
                row.contender,
                LEFT + width + 8.0,
                thousands(rate(row)),
            );
            y += 28.0;
        }
    }
    let height = y + 4.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"14\" fill=\"{text}\">\n{body}</svg>\n"
    )
}

fn rate(row: &Row) -> f64 {
    row.figures.get(&Figure::Rate).copied().unwrap_or(0.0)
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}
