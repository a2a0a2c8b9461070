//! The card of a data set: what people read first, and what the hub and `datasets` read before they load.

use std::fmt::Write;

use loopscope_core::experiment::ModelName;

use super::super::WrittenTable;
use super::super::columns::{Kind, TableName, table};
use crate::{Selection, Unfinished};

/// Returns the text of `README.md`.
pub(super) fn card_of(
    selection: &Selection,
    tables: &[WrittenTable],
    unfinished: &[Unfinished],
    program_version: &str,
) -> String {
    let mut text = String::new();
    // Writing into memory does not fail.
    write_card(&mut text, selection, tables, unfinished, program_version).ok();
    text
}

/// YAML reads every JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write_card(
    out: &mut String,
    selection: &Selection,
    tables: &[WrittenTable],
    unfinished: &[Unfinished],
    program_version: &str,
) -> std::fmt::Result {
    let is_step = |table: &&WrittenTable| table.file.starts_with("data/");
    let rows: u64 = tables.iter().filter(is_step).map(|table| table.rows).sum();
    let names: Vec<&str> = selection.experiments.iter().map(|experiment| experiment.name.as_str()).collect();
    let title = format!("loopscope: {}", names.join(", "));
    writeln!(out, "---")?;
    writeln!(out, "pretty_name: {}", quoted(&title))?;
    writeln!(out, "tags:\n- loopscope\n- image\n- text")?;
    writeln!(out, "size_categories:\n- {}", size_category(rows))?;
    write_configs(out, tables)?;
    write_features(out, tables, rows)?;
    writeln!(out, "---\n")?;
    writeln!(out, "# {}\n", one_line(&title))?;
    writeln!(
        out,
        "Trajectories of generative models in loops: every output of a model was the input of the next one. \
         Written by loopscope {program_version}.\n"
    )?;
    write_experiments(out, selection, unfinished)?;
    write_columns(out, tables)?;
    writeln!(
        out,
        "## Licence\n\nWhoever publishes this says under which licence: add `license:` to the lines at the top."
    )
}

fn write_configs(out: &mut String, tables: &[WrittenTable]) -> std::fmt::Result {
    writeln!(out, "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/steps-*.parquet")?;
    for table in tables {
        if let Some(name) = vectors_of(table) {
            let (config, path) = (quoted(&format!("embeddings-{name}")), quoted(&table.file));
            writeln!(out, "- config_name: {config}\n  data_files:\n  - split: train\n    path: {path}")?;
        }
    }
    Ok(())
}

/// Returns the name of a file of vectors.
fn vectors_of(table: &WrittenTable) -> Option<&str> {
    table.file.strip_prefix("embeddings/")?.strip_suffix(".parquet")
}

fn write_features(out: &mut String, tables: &[WrittenTable], rows: u64) -> std::fmt::Result {
    let of_steps = || tables.iter().filter(|table| table.file.starts_with("data/"));
    let content: u64 = of_steps().map(|table| table.content_bytes).sum();
    let bytes: u64 = of_steps().map(|table| table.bytes).sum();
    writeln!(out, "dataset_info:\n- config_name: default\n  features:")?;
    for column in table(TableName::Steps, false, 0).columns {
        let kind = match column.kind {
            Kind::Picture => "dtype: image",
            Kind::Integer => "dtype: int64",
            Kind::Time => "dtype: timestamp[us, tz=UTC]",
            Kind::Texts => "sequence: string",
            _ => "dtype: string",
        };
        writeln!(out, "  - name: {}\n    {kind}", column.name)?;
    }
    writeln!(out, "  splits:\n  - name: train\n    num_bytes: {content}\n    num_examples: {rows}")?;
    writeln!(out, "  download_size: {bytes}\n  dataset_size: {content}")
}

fn write_experiments(out: &mut String, selection: &Selection, unfinished: &[Unfinished]) -> std::fmt::Result {
    writeln!(out, "## The experiments\n")?;
    writeln!(out, "| name | networks | prompts | seeds | steps of a run, at most | embedding models |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for experiment in &selection.experiments {
        let config = &experiment.config;
        let networks: Vec<String> = config.networks.iter().map(ToString::to_string).collect();
        let seeds: Vec<String> = config.seeds.iter().map(ToString::to_string).collect();
        let models: Vec<&str> = config.embedding_models.iter().map(ModelName::as_str).collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            cell(&experiment.name),
            cell(&networks.join("; ")),
            config.prompts.iter().count(),
            cell(&seeds.join(", ")),
            config.max_length,
            cell(&models.join(", "))
        )?;
    }
    for experiment in unfinished {
        writeln!(out, "\n`{}` was not complete when it was exported.", one_line(&experiment.name).replace('`', "'"))?;
    }
    writeln!(out)
}

fn write_columns(out: &mut String, tables: &[WrittenTable]) -> std::fmt::Result {
    out.push_str(COLUMNS);
    let Some(name) = tables.iter().find_map(vectors_of) else { return Ok(()) };
    writeln!(out, "## Vectors\n\nOne configuration for each embedding model; they join by `invocation_id`.\n")?;
    writeln!(out, "```python")?;
    writeln!(
        out,
        "vectors = datasets.load_dataset(\".\", {}, split=\"train\")",
        quoted(&format!("embeddings-{name}"))
    )?;
    writeln!(out, "print(len(vectors[0][\"vector\"]))\n```\n")
}

const COLUMNS: &str = r#"## A row is a step

```python
import datasets
steps = datasets.load_dataset(".", split="train")
print(steps[0]["initial_prompt"], steps[0]["image"] or steps[0]["text"])
```

| column | |
|---|---|
| `image`, `text` | what the step gave: one of the two |
| `type` | which: `image` or `text` |
| `experiment_name`, `experiment_id` | the experiment |
| `network` | the models of the loop, in order |
| `initial_prompt`, `seed`, `run_number` | what else makes the run: the first input, its seed (-1: fresh randomness at every step), a count among equal ones |
| `run_id` | the run |
| `sequence_number` | the step in its run, from 0 |
| `model` | the model that made this step |
| `invocation_id` | the step |
| `started_at`, `completed_at` | when, UTC |

"#;

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

/// The hub's words for the number of rows.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    }
}
