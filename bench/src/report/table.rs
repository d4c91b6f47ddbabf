//! A table that reads well in a terminal and is Markdown too.

use std::fmt;

/// Columns; all but the first are flush right.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows yet.
    pub fn new(head: &[&str]) -> Self {
        Table { head: head.iter().map(|&text| text.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).chain([&self.head[column]]);
        cells.map(|text| text.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.width(column)).collect();
        let mut line = |row: &[String]| {
            for (column, (text, &width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "| {text:width$} ")?,
                    _ => write!(f, "| {text:>width$} ")?,
                }
            }
            writeln!(f, "|")
        };
        line(&self.head)?;
        let rule = |(column, &width): (usize, &usize)| match column {
            0 => "-".repeat(width),
            _ => "-".repeat(width - 1) + ":",
        };
        line(&widths.iter().enumerate().map(rule).collect::<Vec<_>>())?;
        self.rows.iter().try_for_each(|row| line(row))
    }
}
