//! What docs/models.md says, against what the program says.

use std::path::Path;

use loopscope_core::backend::{Registry, RegistryError};
use loopscope_models::{Listing, ModelRegistry};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md")).unwrap()
}

/// The examples of the page; each is a models file of its own.
fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_example_is_a_good_models_file() {
    let page = page();
    let examples = examples(&page);
    assert!(examples.len() >= 8, "{}", examples.len());
    for example in examples {
        let registry = ModelRegistry::of_text(example, Path::new("models.toml"))
            .unwrap_or_else(|error| panic!("{error}\n{example}"))
            .with_environment(|name| name.ends_with("_KEY").then(|| "a key for the examples".to_owned()));
        let own = registry.names().into_iter().filter(|name| example.contains(&format!("[models.{name}]")));
        for name in own {
            match registry.info(&name, &serde_json::Map::new()) {
                Ok(info) => assert_eq!(info.backend, "http"),
                // The checkpoints of the examples are on nobody's machine.
                Err(RegistryError::NotHere { .. }) => assert!(example.contains("family = "), "{name}"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

fn row(listing: &Listing) -> String {
    let size = |bytes: u64| match bytes {
        0..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    };
    let gated = if listing.is_gated { ", gated" } else { "" };
    let servers = if listing.servers.is_empty() { "none known".to_owned() } else { listing.servers.join(", ") };
    let revision = listing.revision.clone().unwrap_or_default();
    let revision = if listing.is_pinned { format!("`{}…`", &revision[..12]) } else { format!("`{revision}`") };
    format!(
        "| {} | `{}` | {revision} | {}{gated} | {} | {} | {} | {servers} |",
        listing.name,
        listing.repository.clone().unwrap_or_default(),
        listing.licence.unwrap_or_default(),
        size(listing.download_bytes.unwrap_or(0)),
        size(listing.memory_bytes),
        listing.family.unwrap_or("no"),
    )
}

#[test]
fn the_table_of_names_is_the_catalogue() {
    // No variable is set, so that no cache is looked into.
    let registry = ModelRegistry::without_file().with_environment(|_| None);
    let listings = registry.listings();
    let rows: Vec<String> = listings.iter().filter(|listing| listing.repository.is_some()).map(row).collect();
    let page = page();
    let missing: Vec<&String> = rows.iter().filter(|row| !page.contains(row.as_str())).collect();
    let table = rows.join("\n");
    assert!(missing.is_empty(), "docs/models.md lacks {} rows; the table is\n{table}", missing.len());
}
