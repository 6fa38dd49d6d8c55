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

/// Three digits, or all before the point.
pub(crate) fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// One digit behind the point.
pub(crate) fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

/// A part of a whole.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_shown_and_all_before_the_point() {
        let texts = [0.0, 0.0123, 0.999, 1.0, -9.876, 12.34, 123.4, 12345.6].map(significant);
        assert_eq!(texts, ["0", "0.012", "0.999", "1.00", "-9.88", "12.3", "123", "12346"]);
        assert_eq!(significant(f64::NAN), "NaN");
    }
}
