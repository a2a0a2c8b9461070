//! An analysis as values: tables, what they were made with, and what was left out.

use loopscope_analysis::bootstrap::Interval;
use serde_json::{Map, Value, json};

/// A number with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Estimate {
    /// The estimate; `None` where it does not apply.
    pub value: Option<f64>,
    /// Its interval over runs; `None` with fewer than two runs.
    pub interval: Option<Interval>,
}

/// One cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// How many.
    Count(u64),
    /// A number; `None` where it does not apply.
    Number(Option<f64>),
    /// A number with its interval.
    Estimate(Estimate),
}

impl Cell {
    /// Returns words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a count.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

/// A column: the key in JSON and CSV, and what people read above it, with the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Snake case, the same for ever.
    pub key: &'static str,
    /// For people.
    pub heading: &'static str,
}

/// A table of results.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultTable {
    /// Its name in JSON and in the names of CSV files.
    pub name: &'static str,
    /// What it shows, for people.
    pub title: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// As many cells as columns each.
    pub rows: Vec<Vec<Cell>>,
    /// How many rows the limit on lists left out.
    pub rows_left_out: usize,
}

impl ResultTable {
    pub(super) fn new(name: &'static str, title: impl Into<String>, columns: &[(&'static str, &'static str)]) -> Self {
        let columns = columns.iter().map(|&(key, heading)| Column { key, heading }).collect();
        Self { name, title: title.into(), columns, rows: Vec::new(), rows_left_out: 0 }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row of {}", self.name);
        self.rows.push(cells);
    }
}

/// An analysis of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The word that asks for it.
    pub name: &'static str,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's id.
    pub experiment_id: String,
    /// What it was made with, by name.
    pub parameters: Vec<(&'static str, Cell)>,
    /// The tables, the main one first.
    pub tables: Vec<ResultTable>,
    /// What was left out, continued or replaced, and what methods mean.
    pub notes: Vec<String>,
}

impl Analysis {
    /// Returns it as JSON: estimates as `{value, low, high}`, numbers that do not apply or are infinite as null.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(key, cell)| ((*key).to_owned(), json_of(cell))).collect();
        let tables: Vec<Value> = self.tables.iter().map(table_json).collect();
        json!({
            "analysis": self.name, "experiment": self.experiment, "experiment_id": self.experiment_id,
            "parameters": parameters, "notes": self.notes, "tables": tables,
        })
    }
}

fn table_json(table: &ResultTable) -> Value {
    let row = |cells: &Vec<Cell>| -> Value {
        let pairs = table.columns.iter().zip(cells);
        Value::Object(pairs.map(|(column, cell)| (column.key.to_owned(), json_of(cell))).collect())
    };
    let columns: Vec<Value> =
        table.columns.iter().map(|column| json!({ "key": column.key, "heading": column.heading })).collect();
    json!({
        "name": table.name, "title": table.title, "columns": columns, "rows_left_out": table.rows_left_out,
        "rows": table.rows.iter().map(row).collect::<Vec<Value>>(),
    })
}

fn json_of(cell: &Cell) -> Value {
    let number = |value: Option<f64>| json!(value.filter(|value| value.is_finite()));
    match cell {
        Cell::Text(text) => json!(text),
        Cell::Count(count) => json!(count),
        Cell::Number(value) => number(*value),
        Cell::Estimate(estimate) => {
            let (low, high) = (estimate.interval.map(|ends| ends.low), estimate.interval.map(|ends| ends.high));
            json!({ "value": number(estimate.value), "low": number(low), "high": number(high) })
        }
    }
}

impl ResultTable {
    /// Returns it as CSV (RFC 4180, with line feeds): an estimate takes three columns, what does not apply is empty, infinite is `inf`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let is_estimate = |column: usize| self.rows.iter().any(|row| matches!(row[column], Cell::Estimate(_)));
        let mut lines = vec![Vec::new()];
        for (index, column) in self.columns.iter().enumerate() {
            lines[0].push(column.key.to_owned());
            if is_estimate(index) {
                lines[0].extend([format!("{}_low", column.key), format!("{}_high", column.key)]);
            }
        }
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for row in &self.rows {
            let cells = row.iter().flat_map(|cell| match cell {
                Cell::Text(text) => vec![quoted(text)],
                Cell::Count(count) => vec![count.to_string()],
                Cell::Number(value) => vec![number(*value)],
                Cell::Estimate(estimate) => {
                    let ends = estimate.interval;
                    vec![number(estimate.value), number(ends.map(|e| e.low)), number(ends.map(|e| e.high))]
                }
            });
            lines.push(cells.collect());
        }
        lines.iter().map(|cells| cells.join(",") + "\n").collect()
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> ResultTable {
        let mut table = ResultTable::new("t", "T", &[("prompt", "prompt"), ("tau", "τ"), ("n", "n")]);
        let interval = Some(Interval { low: 1.0, high: f64::INFINITY });
        table.row(vec![
            Cell::text("a \"b\", c"),
            Cell::Estimate(Estimate { value: Some(2.5), interval }),
            Cell::Count(3),
        ]);
        table.row(vec![Cell::text(""), Cell::Estimate(Estimate::default()), Cell::Number(None)]);
        table
    }

    #[test]
    fn csv_quotes_and_spreads_estimates() {
        assert_eq!(table().to_csv(), "prompt,tau,tau_low,tau_high,n\n\"a \"\"b\"\", c\",2.5,1,inf,3\n,,,,\n");
    }

    #[test]
    fn json_has_no_infinity() {
        let json = table_json(&table());
        assert_eq!(json["rows"][0]["tau"], json!({ "value": 2.5, "low": 1.0, "high": null }));
        assert_eq!(json["rows"][1]["n"], Value::Null);
    }
}
