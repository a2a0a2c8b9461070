//! Plain tables: columns as wide as what is in them, numbers to the right.

/// A table to print.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// Returns an empty table; a heading that begins with `>` is of a column of numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heading = |heading: &&str| heading.trim_start_matches('>').to_owned();
        Self { rows: vec![headings.iter().map(heading).collect()], right }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Returns the lines, without blanks at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.right.len();
        let width_of =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let mut text = String::new();
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let gap = if column == 0 { "" } else { "  " };
                text += &if self.right[column] { format!("{gap}{pad}{cell}") } else { format!("{gap}{cell}{pad}") };
            }
            text.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// Prints the table.
    ///
    /// # Errors
    ///
    /// When stdout is closed.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        self.lines().iter().try_for_each(|line| super::print(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["name", ">runs"]);
        table.row(vec!["a".into(), "1,000".into()]);
        table.row(vec!["über".into(), "2".into()]);
        assert_eq!(table.lines(), ["name   runs", "a     1,000", "über      2"]);
    }
}
