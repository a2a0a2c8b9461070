//! `model list|show`.

use loopscope_core::backend::Registry;
use loopscope_core::experiment::{ModelKind, ModelName};
use loopscope_models::{Listing, ModelRegistry, State};

use super::{info_json, info_of};
use crate::args::{Global, Kind};
use crate::failure::{Exit, UsageError};
use crate::memory;
use crate::report::{Table, bytes, print, print_json};

/// Which models a list is of.
pub(super) struct Filter {
    pub(super) kind: Option<Kind>,
    pub(super) installed: bool,
    pub(super) fits: bool,
}

pub(super) fn list(registry: &ModelRegistry, filter: &Filter, global: &Global) -> anyhow::Result<Exit> {
    let wanted = filter.kind.map(|kind| match kind {
        Kind::TextToImage => ModelKind::TextToImage,
        Kind::ImageToText => ModelKind::ImageToText,
        Kind::TextEmbedder => ModelKind::TextEmbedder,
        Kind::ImageEmbedder => ModelKind::ImageEmbedder,
    });
    let free = if filter.fits { Some(memory_free()?) } else { None };
    let mut listings = registry.listings();
    listings.retain(|listing| {
        wanted.is_none_or(|wanted| listing.kind == wanted)
            && (!filter.installed || listing.state == State::Ready)
            && free.is_none_or(|free| listing.memory_bytes <= free)
    });
    if global.json {
        print_json(&listings.iter().map(|listing| listing_json(registry, listing)).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["name", "kind", "backend", "state", ">memory", "licence", "about"]);
    for listing in &listings {
        let memory = if listing.backend == "candle" && listing.memory_bytes > 0 {
            format!("~{}", bytes(listing.memory_bytes))
        } else {
            String::new()
        };
        let gated = if listing.is_gated { " (gated)" } else { "" };
        table.row(vec![
            listing.name.to_string(),
            listing.kind.to_string(),
            listing.backend.to_owned(),
            listing.state.as_str().to_owned(),
            memory,
            listing.licence.map_or_else(String::new, |licence| format!("{licence}{gated}")),
            listing.about.clone(),
        ]);
    }
    table.print()?;
    if let Some(path) = registry.path() {
        print(&format!("\nnames of your own are those of {}", path.display()))?;
    }
    if listings.iter().any(|listing| listing.state != State::Ready) {
        print("\nmemory is estimated; `loopscope model show NAME` says what it takes to have a model here")?;
    }
    Ok(Exit::Ok)
}

/// What is known of a model, with what it says of itself where asking costs nothing: weights are not looked at.
fn listing_json(registry: &ModelRegistry, listing: &Listing) -> serde_json::Value {
    let mut document = serde_json::json!({
        "name": listing.name, "kind": listing.kind, "backend": listing.backend, "state": listing.state.as_str(),
        "family": listing.family, "repository": listing.repository, "revision": listing.revision,
        "is_pinned": listing.is_pinned, "licence": listing.licence, "is_gated": listing.is_gated,
        "download_bytes_estimate": listing.download_bytes, "memory_bytes": listing.memory_bytes,
        "servers": listing.servers, "about": listing.about, "reason": listing.reason, "remedy": listing.remedy,
    });
    let asks = listing.state == State::Ready && listing.backend != "candle";
    let info = asks.then(|| registry.info(&listing.name, &serde_json::Map::new()).ok()).flatten();
    if let (Some(document), Some(info)) = (document.as_object_mut(), info)
        && let serde_json::Value::Object(said) = info_json(&info)
    {
        document.extend(said);
    }
    document
}

pub(super) fn show(registry: &ModelRegistry, name: &ModelName, global: &Global) -> anyhow::Result<Exit> {
    let Some(listing) = registry.listing(name) else {
        return Err(info_of(registry, name).map_or_else(anyhow::Error::from, |_| {
            UsageError { message: format!("unknown model \"{name}\""), hint: None }.into()
        }));
    };
    let info = if listing.state == State::Ready { Some(info_of(registry, name)?) } else { None };
    if global.json {
        let mut document = listing_json(registry, &listing);
        if let (Some(document), Some(info)) = (document.as_object_mut(), &info)
            && let serde_json::Value::Object(said) = info_json(info)
        {
            document.extend(said);
        }
        print_json(&document)?;
        return Ok(Exit::Ok);
    }
    let about = if listing.about.is_empty() { String::new() } else { format!(", {}", listing.about) };
    print(&format!("{name}: {}{about}", listing.kind))?;
    let mut rows: Vec<(&str, String)> = vec![("state", listing.state.as_str().to_owned())];
    if !listing.reason.is_empty() {
        rows.push(("why", listing.reason.clone()));
    }
    rows.push((
        "backend",
        match listing.family {
            Some(family) if listing.backend == "candle" => format!("candle, family {family}"),
            _ => listing.backend.to_owned(),
        },
    ));
    if let Some(repository) = &listing.repository {
        let revision = listing.revision.as_deref().unwrap_or("main");
        let moves = if listing.is_pinned { "" } else { "; a name that may move" };
        rows.push(("repository", format!("{repository} at {revision}{moves}")));
    }
    if let Some(licence) = listing.licence {
        let gated = if listing.is_gated { "; to be accepted at the hub before a download" } else { "" };
        rows.push(("licence", format!("{licence}{gated}")));
    }
    if let Some(download) = listing.download_bytes {
        rows.push(("download", format!("about {} (estimated from {})", bytes(download), "the number of parameters")));
        rows.push(("memory", format!("about {} in this process (estimated)", bytes(listing.memory_bytes))));
    }
    if !listing.servers.is_empty() {
        rows.push(("servers", listing.servers.join(", ")));
    }
    if let Some(info) = &info {
        rows.push(("revision", info.revision.clone()));
        rows.push(("weights", info.weights_hash.clone()));
        rows.push(("determinism", info.determinism.as_str().to_owned()));
        if let Some(dimension) = info.dimension {
            rows.push(("numbers", dimension.to_string()));
        }
        rows.push(("batch", format!("at most {}", info.batch_max)));
        rows.push(("parameters", serde_json::Value::Object(info.parameters.clone()).to_string()));
    }
    for (key, value) in rows {
        print(&format!("  {key:<12}{value}"))?;
    }
    if !listing.remedy.is_empty() {
        print(&format!("\n{}", listing.remedy))?;
    }
    Ok(Exit::Ok)
}

/// Returns the memory that this machine has free, in bytes.
fn memory_free() -> Result<u64, UsageError> {
    memory::free().ok_or_else(|| UsageError {
        message: "this system does not say how much memory is free".to_owned(),
        hint: Some("`loopscope model list` without --fits shows the estimates".to_owned()),
    })
}
