//! Text in columns, as aligned text or as Markdown.

use std::fmt::Write;

/// A table: the first column is of words, the others of numbers.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(first: &str, others: impl Iterator<Item = &'static str>) -> Self {
        let mut table = Self::default();
        table.row(first, others.map(str::to_owned));
        table
    }

    pub(crate) fn row(&mut self, first: &str, others: impl Iterator<Item = String>) {
        self.rows.push([first.to_owned()].into_iter().chain(others).collect());
    }

    /// With columns as wide as they must be.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end()).expect("text takes all");
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            writeln!(text, "| {} |", row.join(" | ")).expect("text takes all");
            if number == 0 {
                writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1)).expect("text takes all");
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width =
            |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| cell.chars().count());
        (0..columns).map(|column| width(column).max().unwrap_or_default()).collect()
    }
}
