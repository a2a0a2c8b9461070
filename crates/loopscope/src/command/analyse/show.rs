//! An analysis as people read it.

use loopscope_core::analysis::{Analysis, Cell, Estimate, ResultTable};

use crate::report::{Table, count, one_line, print};

/// Letters of a text in a cell.
const TEXT_MAX: usize = 48;
/// Letters of a line of notes.
const LINE_MAX: usize = 100;

/// Prints an analysis: tables, then what they were made with, then notes.
///
/// # Errors
///
/// When stdout is closed.
pub(super) fn print_analysis(analysis: &Analysis) -> std::io::Result<()> {
    let short = &analysis.experiment_id[analysis.experiment_id.len().saturating_sub(8)..];
    print(&format!("{} of experiment \"{}\" ({short})", analysis.name, one_line(&analysis.experiment, 60)))?;
    for table in &analysis.tables {
        print("")?;
        print_table(table)?;
    }
    print("")?;
    for (name, cell) in &analysis.parameters {
        print(&format!("{}: {}", name.replace('_', " "), text_of(cell, usize::MAX)))?;
    }
    for note in &analysis.notes {
        let mut lead = "- ";
        for line in wrapped(note) {
            print(&format!("{lead}{line}"))?;
            lead = "  ";
        }
    }
    Ok(())
}

fn print_table(table: &ResultTable) -> std::io::Result<()> {
    print(&table.title)?;
    if table.rows.is_empty() {
        return print("  (no rows)");
    }
    // A column of remarks that says nothing is left out.
    let kept: Vec<usize> = (0..table.columns.len())
        .filter(|&column| table.columns[column].key != "remark" || !table.rows.iter().all(|row| is_blank(&row[column])))
        .collect();
    let is_number = |column: usize| table.rows.iter().any(|row| !matches!(row[column], Cell::Text(_)));
    let headings: Vec<String> = kept
        .iter()
        .enumerate()
        .map(|(place, &column)| {
            let lead = if place == 0 { "  " } else { "" };
            let mark = if is_number(column) { ">" } else { "" };
            format!("{mark}{lead}{}", table.columns[column].heading)
        })
        .collect();
    let mut printed = Table::new(&headings.iter().map(String::as_str).collect::<Vec<&str>>());
    let mut before: Option<&Vec<Cell>> = None;
    for row in &table.rows {
        // Remarks are ours and short; texts of models are neither.
        let length = |column: usize| if table.columns[column].key == "remark" { usize::MAX } else { TEXT_MAX };
        let mut cells: Vec<String> = kept.iter().map(|&column| text_of(&row[column], length(column))).collect();
        // What stands in the row above already, from the left, is not said again.
        for (place, &column) in kept.iter().enumerate() {
            let is_same = before.is_some_and(|before| before[column] == row[column]);
            if !is_same || !matches!(row[column], Cell::Text(_)) || place + 1 == kept.len() {
                break;
            }
            cells[place].clear();
        }
        cells[0] = format!("  {}", cells[0]);
        printed.row(cells);
        before = Some(row);
    }
    printed.print()?;
    if table.rows_left_out > 0 {
        print(&format!("  ({} more rows; --top shows more)", count(table.rows_left_out as u64)))?;
    }
    Ok(())
}

fn is_blank(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if text.is_empty())
}

fn text_of(cell: &Cell, length: usize) -> String {
    match cell {
        Cell::Text(text) if text.is_empty() => String::new(),
        Cell::Text(text) => one_line(text, length),
        Cell::Count(number) => count(*number),
        Cell::Number(value) => number(*value),
        Cell::Estimate(Estimate { value, interval }) => match (value, interval) {
            (Some(_), Some(ends)) => {
                format!("{} [{}, {}]", number(*value), number(Some(ends.low)), number(Some(ends.high)))
            }
            _ => number(*value),
        },
    }
}

/// Writes a number with three digits that count.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match value.abs() {
        size if size.is_infinite() => if value > 0.0 { "∞" } else { "−∞" }.to_owned(),
        0.0 => "0".to_owned(),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let is_full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > LINE_MAX);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let texts: Vec<String> = [0.0, 1e-5, 0.0123, 0.999, 1.0, 12.345, 123.4, f64::INFINITY, -2.5]
            .map(|value| number(Some(value)))
            .to_vec();
        assert_eq!(texts, ["0", "1.0e-5", "0.012", "0.999", "1.00", "12.3", "123", "∞", "-2.50"]);
        assert_eq!(number(None), "–");
    }
}
