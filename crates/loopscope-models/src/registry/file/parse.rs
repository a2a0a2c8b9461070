//! From the tables of the file to endpoints and models.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use loopscope_core::backend::nearest_name;
use loopscope_core::codec::PIXELS_MAX;
use loopscope_core::experiment::{ModelKind, ModelName, parse_size};
use serde_json::Value;
use toml::Value as Toml;

use super::section::{Section, address, text};
use super::{EndpointConfig, GivenModel, ModelsFile, Place, Prices, RemoteModel};
use crate::family::Family;
use crate::registry::catalogue::Known;
use crate::registry::dialect::Dialect;
use crate::registry::is_dummy;
use crate::registry::url::BaseUrl;

const ENDPOINT_KEYS: &[&str] = &[
    "dialect",
    "url",
    "key_env",
    "key_header",
    "concurrency",
    "requests_per_minute",
    "connect_timeout_s",
    "idle_timeout_s",
    "timeout_s",
    "body_max",
    "currency",
];
const MODEL_KEYS: &[&str] = &[
    "kind",
    "endpoint",
    "model",
    "dimension",
    "batch",
    "pixels_max",
    "parameters",
    "extra",
    "omit",
    "price_per_call",
    "price_per_image",
    "price_per_million_tokens",
    "price_per_million_input_tokens",
    "price_per_million_output_tokens",
    "directory",
    "repository",
    "revision",
    "family",
];
/// What says where a model is; a name has exactly one of them.
const PLACES: [&str; 3] = ["endpoint", "directory", "repository"];
/// Keys that only a model at an endpoint has.
const REMOTE_KEYS: &[&str] = &[
    "model",
    "dimension",
    "batch",
    "pixels_max",
    "extra",
    "omit",
    "price_per_call",
    "price_per_image",
    "price_per_million_tokens",
    "price_per_million_input_tokens",
    "price_per_million_output_tokens",
];

/// The longest answer that is read where nobody says otherwise, and the most that anybody may say.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Returns what the tables say, or everything that is wrong with them.
pub(super) fn file_of(table: &toml::Table, folder: &Path) -> Result<ModelsFile, Vec<String>> {
    let mut problems = Vec::new();
    Section::new("", table, &["endpoints", "models"], &mut problems);
    let mut file = ModelsFile::default();
    for (name, table) in tables_of(table, "endpoints", &mut problems) {
        if let Some(endpoint) = endpoint_of(name, table, &mut problems) {
            file.endpoints.insert(name.to_owned(), endpoint);
        }
    }
    // A table that has problems of its own is there all the same for the models that name it.
    let endpoints = table.get("endpoints").and_then(Toml::as_table);
    let named: Vec<&str> = endpoints.map(|table| table.keys().map(String::as_str).collect()).unwrap_or_default();
    for (name, table) in tables_of(table, "models", &mut problems) {
        let reader = ModelReader { name, named: &named, endpoints: &file.endpoints, folder };
        if let Some(model) = reader.read(table, &mut problems) {
            file.models.insert(ModelName::new(name), model);
        }
    }
    if problems.is_empty() { Ok(file) } else { Err(problems) }
}

/// Returns the tables below a key, by name.
fn tables_of<'a>(table: &'a toml::Table, key: &str, problems: &mut Vec<String>) -> Vec<(&'a str, &'a toml::Table)> {
    let below = match table.get(key) {
        None => return Vec::new(),
        Some(Toml::Table(below)) => below,
        Some(_) => {
            problems.push(format!("{key}: expected tables, each [{key}.NAME]"));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (name, value) in below {
        match value {
            _ if name.trim().is_empty() => problems.push(format!("{key}: a name is not blank")),
            Toml::Table(table) => found.push((name.as_str(), table)),
            _ => problems.push(format!("{}: expected a table [{key}.NAME]", address(key, name))),
        }
    }
    found
}

fn endpoint_of(name: &str, table: &toml::Table, problems: &mut Vec<String>) -> Option<EndpointConfig> {
    let mut section = Section::new(&address("endpoints", name), table, ENDPOINT_KEYS, problems);
    let words = Dialect::ALL.map(Dialect::as_str);
    if !section.has("dialect") {
        section.wrong("dialect", &format!("missing; expected one of {}", words.join(", ")));
    }
    let dialect = section.word("dialect", &words, Dialect::from_word);
    let url = url_of(&mut section, dialect);
    let seconds = |section: &mut Section<'_, '_>, key: &str, usual: f64| {
        Duration::from_secs_f64(section.number(key, 0.1, 86_400.0).unwrap_or(usual))
    };
    let of_variable = "the name of an environment variable in capitals, such as \"OPENAI_API_KEY\"";
    let key_env = unshown(&mut section, ("key_env", table.get("key_env")), of_variable, variable);
    let of_header = "the name of a header, such as \"api-key\"";
    let key_header = unshown(&mut section, ("key_header", table.get("key_header")), of_header, header);
    let concurrency = section.integer("concurrency", 1..=64).unwrap_or(4);
    let requests_per_minute = section.number("requests_per_minute", 0.01, 1e6);
    let connect_timeout = seconds(&mut section, "connect_timeout_s", 10.0);
    let idle_timeout = seconds(&mut section, "idle_timeout_s", 300.0);
    let timeout = seconds(&mut section, "timeout_s", 600.0);
    let body = section.read("body_max", "a size from 1KiB to 64MiB", |value| {
        parse_size(value.as_str()?).ok().filter(|bytes| (1024..=BODY_BYTES_MAX).contains(bytes))
    });
    let currency = section.text("currency").unwrap_or_else(|| "USD".to_owned());
    Some(EndpointConfig {
        name: name.to_owned(),
        dialect: dialect?,
        url: url?,
        key_env,
        key_header,
        concurrency: usize::try_from(concurrency).unwrap_or(1),
        requests_per_minute,
        connect_timeout,
        idle_timeout,
        timeout,
        body_bytes_max: body.unwrap_or(BODY_BYTES_MAX),
        currency,
    })
}

/// Reads the address. It is not shown when it is wrong: a key may be in it.
fn url_of(section: &mut Section<'_, '_>, dialect: Option<Dialect>) -> Option<BaseUrl> {
    if !section.has("url") {
        let usual = dialect.map_or("http://127.0.0.1:8000/v1", Dialect::usual_url);
        section.wrong("url", &format!("missing; expected an address such as \"{usual}\""));
        return None;
    }
    let text = section.text("url")?;
    match BaseUrl::parse(&text) {
        Ok(url) => Some(url),
        Err(reason) => {
            section.wrong("url", &format!("it {reason}"));
            None
        }
    }
}

/// Reads what a key could stand in for by mistake. A value that does not fit is therefore not shown.
fn unshown(
    section: &mut Section<'_, '_>,
    (key, value): (&str, Option<&Toml>),
    expected: &str,
    read: impl FnOnce(&Toml) -> Option<String>,
) -> Option<String> {
    let name = read(value?);
    if name.is_none() {
        section.wrong(key, &format!("expected {expected}; keys themselves do not belong into the file"));
    }
    name
}

fn variable(value: &Toml) -> Option<String> {
    let name = text(value)?;
    let is_name = name.len() <= 64
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_name.then_some(name)
}

fn header(value: &Toml) -> Option<String> {
    let fits = |name: &String| name.len() <= 64 && !name.to_ascii_lowercase().starts_with("sk-");
    text(value).filter(fits).filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// What it takes to read a model's table.
struct ModelReader<'a> {
    name: &'a str,
    /// The endpoints of the file, whether or not they are good.
    named: &'a [&'a str],
    endpoints: &'a BTreeMap<String, EndpointConfig>,
    folder: &'a Path,
}

impl ModelReader<'_> {
    fn read(&self, table: &toml::Table, problems: &mut Vec<String>) -> Option<GivenModel> {
        let mut section = Section::new(&address("models", self.name), table, MODEL_KEYS, problems);
        if is_dummy(self.name) {
            section.wrong("", "this name is a built-in dummy's; choose another");
            return None;
        }
        let given: Vec<&str> = PLACES.into_iter().filter(|place| section.has(place)).collect();
        let [place] = given.as_slice() else {
            let got = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            section.wrong("", &format!("expected exactly one of {}, got {got}", PLACES.join(", ")));
            return None;
        };
        let family = section.word("family", &Family::ALL.map(Family::as_str), Family::from_word);
        let kind = section.word("kind", &ModelKind::ALL.map(ModelKind::as_str), ModelKind::from_word);
        let parameters = section.free("parameters");
        let known = Known::of(self.name);
        if *place == "endpoint" {
            if section.has("family") {
                section.wrong("family", "only a model with a directory or a repository has it");
            }
            let kind = self.kind(&mut section, kind.or(known.map(|known| known.kind)))?;
            let place = self.remote(&mut section, kind)?;
            return Some(GivenModel { kind, parameters, place: Place::Remote(place) });
        }
        for key in REMOTE_KEYS {
            if !section.has(key) {
                continue;
            }
            section.wrong(key, "only a model with an endpoint has it");
        }
        let Some(family) = family.or(known.and_then(|known| known.family)) else {
            let families = Family::ALL.map(Family::as_str).join(", ");
            section.wrong("family", &format!("missing; expected one of {families}"));
            return None;
        };
        let usual = known.map(|known| known.kind).filter(|kind| family.kinds().contains(kind));
        let kind = kind.or(usual).unwrap_or(family.kinds()[0]);
        if !family.kinds().contains(&kind) {
            let kinds: Vec<&str> = family.kinds().iter().map(|kind| kind.as_str()).collect();
            section.wrong("kind", &format!("the family {family} is {}, got {}", kinds.join(" or "), kind.as_str()));
            return None;
        }
        let place = self.native(&mut section, family, known)?;
        Some(GivenModel { kind, parameters, place })
    }

    fn kind(&self, section: &mut Section<'_, '_>, kind: Option<ModelKind>) -> Option<ModelKind> {
        if kind.is_none() && !section.has("kind") {
            let kinds = ModelKind::ALL.map(ModelKind::as_str).join(", ");
            section.wrong("kind", &format!("missing; expected one of {kinds}"));
        }
        kind
    }

    fn native(&self, section: &mut Section<'_, '_>, family: Family, known: Option<&Known>) -> Option<Place> {
        let revision = section.text("revision");
        if section.has("directory") {
            let directory = self.folder.join(section.text("directory")?);
            return Some(Place::Directory { directory, family, revision });
        }
        let expected = "an owner and a name, such as \"sentence-transformers/all-MiniLM-L6-v2\"";
        let repository = section.read("repository", expected, repository)?;
        let usual = known.filter(|known| known.repository == repository).map_or("main", |known| known.revision);
        Some(Place::Repository { repository, revision: revision.unwrap_or_else(|| usual.to_owned()), family })
    }

    fn remote(&self, section: &mut Section<'_, '_>, kind: ModelKind) -> Option<RemoteModel> {
        let endpoint = section.text("endpoint");
        if let Some(endpoint) = endpoint.as_deref().filter(|endpoint| !self.named.contains(endpoint)) {
            let hint = match nearest_name(endpoint, self.named.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if self.named.is_empty() => "the file has no [endpoints.NAME]".to_owned(),
                None => format!("the endpoints are {}", self.named.join(", ")),
            };
            section.wrong("endpoint", &format!("there is no [endpoints.{endpoint}]; {hint}"));
        }
        let dialect = endpoint.as_ref().and_then(|name| self.endpoints.get(name)).map(|endpoint| endpoint.dialect);
        if let Some(dialect) = dialect.filter(|dialect| !dialect.serves(kind)) {
            let serving = Dialect::ALL.into_iter().filter(|other| other.serves(kind)).map(Dialect::as_str);
            let serving: Vec<&str> = serving.collect();
            section.wrong(
                "endpoint",
                &format!("its dialect {dialect} has no {}; {} have", kind.as_str(), serving.join(" and ")),
            );
        }
        let is_embedder = kind.output().is_none();
        for (key, fits) in [
            ("dimension", is_embedder),
            ("batch", kind == ModelKind::TextEmbedder),
            ("pixels_max", kind == ModelKind::TextToImage),
            ("price_per_image", kind == ModelKind::TextToImage),
        ] {
            if section.has(key) && !fits {
                section.wrong(key, &format!("models of the kind {} have none", kind.as_str()));
            }
        }
        let model = section.required("model", "what the server calls the model", text);
        let dimension = section.integer("dimension", 1..=65_536).and_then(|dimension| usize::try_from(dimension).ok());
        let batch = section.integer("batch", 1..=1024).unwrap_or(32);
        let prices = prices_of(section);
        let extra = section.free("extra");
        for key in extra.iter().flat_map(|(key, value)| secrets_in(&format!("extra.{key}"), key, value)) {
            section.wrong(&key, "it would be stored with every result; name the key's variable in key_env");
        }
        Some(RemoteModel {
            revision: section.text("revision"),
            dimension,
            batch_max: if kind == ModelKind::TextEmbedder { usize::try_from(batch).unwrap_or(1) } else { 1 },
            pixels_max: section.integer("pixels_max", 1..=PIXELS_MAX),
            extra,
            omit: section.words("omit"),
            prices,
            endpoint: endpoint?,
            model: model?,
        })
    }
}

/// Returns the paths of the fields that keys are put into, at any depth.
fn secrets_in(path: &str, key: &str, value: &Value) -> Vec<String> {
    if is_secret(key) {
        return vec![path.to_owned()];
    }
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| secrets_in(&format!("{path}.{key}"), key, value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| secrets_in(path, "", item)).collect(),
        _ => Vec::new(),
    }
}

/// Whether a field is one that keys are put into.
fn is_secret(field: &str) -> bool {
    let plain: String = field.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let endings = ["apikey", "authorization", "secret", "password", "accesstoken", "apitoken", "bearer"];
    ["key", "token"].contains(&plain.as_str()) || endings.iter().any(|ending| plain.ends_with(ending))
}

fn prices_of(section: &mut Section<'_, '_>) -> Prices {
    let twice = [
        ("price_per_image", ["price_per_call", "price_per_call"]),
        ("price_per_million_tokens", ["price_per_million_input_tokens", "price_per_million_output_tokens"]),
    ];
    for (key, [one, other]) in twice {
        if section.has(key) && section.has(one) && section.has(other) {
            section.wrong(key, &format!("{one} says the same; give one of them"));
        }
    }
    let mut price = |key: &str| section.number(key, 0.0, 1e9);
    let (per_call, per_image, both) =
        (price("price_per_call"), price("price_per_image"), price("price_per_million_tokens"));
    Prices {
        per_call: per_call.or(per_image),
        per_million_input_tokens: price("price_per_million_input_tokens").or(both),
        per_million_output_tokens: price("price_per_million_output_tokens").or(both),
    }
}

fn repository(value: &Toml) -> Option<String> {
    let repository = text(value)?;
    let fits = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let (owner, name) = repository.split_once('/')?;
    (fits(owner) && fits(name)).then_some(repository)
}
