//! `config check|schema`.

use std::collections::BTreeMap;

use loopscope_core::backend::ModelInfo;
use loopscope_core::config::{CONFIG_SCHEMA, check_config, read_config};
use loopscope_core::experiment::{ModelKind, ModelName};
use loopscope_core::plan::{PlanSummary, plan_summary};
use loopscope_models::ModelRegistry;

use crate::args::{ConfigCommand, Global};
use crate::failure::Exit;
use crate::report::{Table, bytes, count, print, print_json};

/// Tokens that a text of a loop is taken for.
const TEXT_TOKENS: u64 = 64;
/// Tokens that a picture is taken for: between what servers count for 256² and for 1024².
const PICTURE_TOKENS: u64 = 1000;

pub(super) fn execute(command: &ConfigCommand, global: &Global) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Check { file } => {
            let given = read_config(file)?;
            let registry = global.registry()?;
            let models = check_config(&given.config, &registry).map_err(|error| error.in_file(file))?;
            let plan = plan_summary(&given.config, &models);
            let costs = costs_of(&plan, &models, &registry);
            if global.json {
                let mut document = serde_json::to_value(&plan)?;
                document["cost_max"] = serde_json::to_value(sums_of(&costs))?;
                print_json(&document)?;
                return Ok(Exit::Ok);
            }
            print(&format!("{} is a good config. It asks for, at most:", file.display()))?;
            let mut table = Table::new(&["", ">"]);
            table.row(vec!["  runs".to_owned(), count(plan.runs)]);
            table.row(vec!["  invocations".to_owned(), count(plan.invocations_max)]);
            table.row(vec!["  embeddings".to_owned(), count(plan.embeddings_max)]);
            table.row(vec!["  diagrams".to_owned(), count(plan.persistence_diagrams_max)]);
            table.row(vec!["  disk, estimated".to_owned(), bytes(plan.disk_bytes_estimate)]);
            table.row(vec!["  largest model in memory".to_owned(), bytes(plan.model_memory_bytes_max)]);
            for (model, calls) in &plan.calls_max {
                let backend =
                    models.iter().find(|(name, _)| name.as_str() == model).map_or("", |(_, info)| &info.backend);
                table.row(vec![format!("  calls of {model} ({backend})"), count(*calls)]);
            }
            for (model, (cost, currency)) in &costs {
                table.row(vec![format!("  cost of {model}, estimated"), money(*cost, currency)]);
            }
            if costs.len() > 1 {
                for (currency, cost) in sums_of(&costs) {
                    table.row(vec!["  cost of all, estimated".to_owned(), money(cost, currency)]);
                }
            }
            table.lines().iter().skip(1).try_for_each(|line| print(line))?;
            print("Runs with a seed of their own end early when their state comes back.")?;
            if !costs.is_empty() {
                print(&format!(
                    "Costs are by the prices of the models file, without what is tried again; a text is taken for {TEXT_TOKENS} tokens, a \
                     picture for {PICTURE_TOKENS}, a caption for as many as it may have."
                ))?;
            }
        }
        ConfigCommand::Schema => print(CONFIG_SCHEMA.trim_end())?,
    }
    Ok(Exit::Ok)
}

fn money(cost: f64, currency: &str) -> String {
    let decimals = if cost < 1.0 { 4 } else { 2 };
    format!("{cost:.decimals$} {currency}")
}

/// By model, with the currency.
type Costs = BTreeMap<ModelName, (f64, String)>;

/// Returns what each model with a price costs at most.
fn costs_of(plan: &PlanSummary, models: &BTreeMap<ModelName, ModelInfo>, registry: &ModelRegistry) -> Costs {
    let cost = |(name, info): (&ModelName, &ModelInfo)| {
        let price = registry.price(name)?;
        let calls = *plan.calls_max.get(name.as_str())? as f64;
        let (taken, given) = tokens_of(info);
        let million = |price: Option<f64>, tokens: u64| price.unwrap_or(0.0) * tokens as f64 / 1e6;
        let call = price.per_call.unwrap_or(0.0)
            + million(price.per_million_input_tokens, taken)
            + million(price.per_million_output_tokens, given);
        Some((name.clone(), (calls * call, price.currency)))
    };
    models.iter().filter_map(cost).collect()
}

/// Returns the tokens that a call takes and gives.
fn tokens_of(info: &ModelInfo) -> (u64, u64) {
    let parameter = |key: &str| info.parameters.get(key);
    match info.kind {
        ModelKind::TextToImage => (TEXT_TOKENS, PICTURE_TOKENS),
        ModelKind::ImageToText => {
            let prompt =
                parameter("prompt").and_then(|prompt| prompt.as_str()).map_or(0, |prompt| prompt.len() as u64 / 4);
            let caption = parameter("max_tokens").and_then(serde_json::Value::as_u64).unwrap_or(TEXT_TOKENS);
            (PICTURE_TOKENS + prompt, caption)
        }
        ModelKind::TextEmbedder => (TEXT_TOKENS, 0),
        ModelKind::ImageEmbedder => (PICTURE_TOKENS, 0),
    }
}

/// Returns the sum of each currency.
fn sums_of(costs: &Costs) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for (cost, currency) in costs.values() {
        *sums.entry(currency.as_str()).or_insert(0.0) += cost;
    }
    sums
}
