//! Tables for people.

use std::fmt;

/// Rows of a label, a number and a remark, aligned.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    /// Adds a row.
    pub fn row(&mut self, label: &str, value: impl fmt::Display, remark: impl fmt::Display) {
        self.rows
            .push([label.to_owned(), value.to_string(), remark.to_string()]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let (labels, values) = (width(0), width(1));
        for [label, value, remark] in &self.rows {
            let line = format!("{label:labels$}  {value:>values$}  {remark}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with a comma before every three digits.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::default();
        table.row("a", 1, "x");
        table.row("bcd", 1_000, "");
        assert_eq!(table.to_string(), "a       1  x\nbcd  1000\n");
    }
}
