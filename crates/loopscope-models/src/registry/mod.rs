//! Every model by name: the built-in dummies, the names that people know, and those of a user's `models.toml`.
//!
//! A name means one thing: the user's file goes before the catalogue, and the dummies' names belong to the dummies. A
//! name that is known and cannot be called here says why, which servers run it, and what to write into the file.

mod absent;
mod builtin;
mod catalogue;
mod dialect;
mod file;
mod listing;
mod remote;
mod snapshots;
mod url;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use loopscope_core::backend::{LoadedModel, ModelError, ModelInfo, Registry, RegistryError, nearest_name};
use loopscope_core::experiment::{ModelKind, ModelName};
use serde_json::{Map, Value};

use self::absent::{Absence, Absent};
use self::catalogue::{CATALOGUE, Known, is_commit};
use self::file::{GivenModel, ModelsFile, Place};
use self::remote::Served;
use crate::family::Family;

pub use self::builtin::BuiltinRegistry;
pub use self::file::ModelsFileError;
pub use self::listing::{Listing, Price, State};

pub(crate) use self::builtin::is_dummy;
#[cfg(feature = "http")]
pub(crate) use self::dialect::Dialect;
#[cfg(feature = "http")]
pub(crate) use self::file::{EndpointConfig, RemoteModel};
#[cfg(feature = "hub")]
pub(crate) use self::snapshots::unfinished_mark;
#[cfg(feature = "http")]
pub(crate) use self::url::BaseUrl;

/// Reads an environment variable.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The models of this program and its user.
#[derive(Clone)]
pub struct ModelRegistry {
    file: ModelsFile,
    path: Option<PathBuf>,
    variables: Arc<Variables>,
    #[cfg(feature = "http")]
    endpoints: Arc<crate::http::Endpoints>,
}

/// What a name means.
enum Meaning<'a> {
    Dummy,
    Remote(Served<'a>),
    Native(Native),
    Absent(Absent<'a>),
}

/// A checkpoint that is here.
struct Native {
    kind: ModelKind,
    family: Family,
    directory: PathBuf,
    /// The commit of the snapshot, or what the user says of a directory.
    revision: String,
    known: Option<&'static Known>,
}

impl std::fmt::Debug for ModelRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelRegistry").field("file", &self.file).field("path", &self.path).finish_non_exhaustive()
    }
}

impl ModelRegistry {
    /// Returns the registry without a user's file.
    #[must_use]
    pub fn without_file() -> Self {
        Self::of(ModelsFile::default(), None)
    }

    /// Returns the registry with the user's file: `path`, or else `models.toml` in the working directory, or else in
    /// the user's configuration. A `path` that is named must be there; the other places may be empty.
    ///
    /// # Errors
    ///
    /// [`ModelsFileError`] when the file is not there, does not read, or says what cannot be.
    pub fn open(path: Option<&Path>) -> Result<Self, ModelsFileError> {
        let path = match path {
            Some(path) => Some(path.to_owned()),
            None => usual_places().into_iter().find(|place| place.is_file()),
        };
        let file = path.as_deref().map(ModelsFile::read).transpose()?.unwrap_or_default();
        Ok(Self::of(file, path))
    }

    /// Returns the registry with the text of a user's file; `path` is what messages call it.
    ///
    /// # Errors
    ///
    /// [`ModelsFileError`] for a text that says what cannot be.
    pub fn of_text(text: &str, path: &Path) -> Result<Self, ModelsFileError> {
        Ok(Self::of(ModelsFile::parse(text, path)?, Some(path.to_owned())))
    }

    fn of(file: ModelsFile, path: Option<PathBuf>) -> Self {
        Self {
            file,
            path,
            variables: Arc::new(|name| std::env::var(name).ok()),
            #[cfg(feature = "http")]
            endpoints: Arc::default(),
        }
    }

    /// Returns the registry with another environment than the process's.
    #[must_use]
    pub fn with_environment(mut self, variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.variables = Arc::new(variables);
        self
    }

    /// Returns the user's file, if one was read.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns what is known of every model, in the order of [`names`](Registry::names).
    #[must_use]
    pub fn listings(&self) -> Vec<Listing> {
        self.names().iter().filter_map(|name| self.listing(name)).collect()
    }

    /// Returns what is known of a model, or `None` for a name that nobody knows.
    #[must_use]
    pub fn listing(&self, name: &ModelName) -> Option<Listing> {
        let meaning = self.meaning(name).ok()?;
        let known = self.known(name);
        let source = self.source(name);
        let repository =
            source.as_ref().map(|(repository, ..)| repository.as_str()).or(known.map(|known| known.repository));
        let revision = source.as_ref().map(|(_, revision, _)| revision.as_str()).or(known.map(|known| known.revision));
        let mut listing = Listing {
            name: name.clone(),
            kind: ModelKind::TextToImage,
            state: State::Ready,
            reason: String::new(),
            remedy: String::new(),
            backend: "candle",
            family: known.and_then(|known| known.family).map(Family::as_str),
            repository: repository.map(str::to_owned),
            revision: revision.map(str::to_owned),
            is_pinned: revision.is_some_and(is_commit),
            licence: known.map(|known| known.licence),
            is_gated: known.is_some_and(|known| known.is_gated),
            download_bytes: known.map(Known::download_bytes),
            memory_bytes: known.map_or(0, Known::memory_bytes),
            servers: known.map(servers_of).unwrap_or_default(),
            about: known.map_or_else(String::new, |known| known.about.to_owned()),
        };
        // Of the user's file, also in a build that cannot read the files.
        match self.file.models.get(name).map(|given| &given.place) {
            Some(Place::Directory { directory, family, .. }) => {
                listing.family = Some(family.as_str());
                listing.about = directory.display().to_string();
            }
            Some(Place::Repository { family, .. }) => listing.family = Some(family.as_str()),
            Some(Place::Remote(_)) | None => {}
        }
        match meaning {
            Meaning::Dummy => {
                let info = BuiltinRegistry.info(name, &Map::new()).ok()?;
                listing.kind = info.kind;
                listing.backend = "dummy";
                (listing.memory_bytes, listing.about) = (info.memory_bytes, info.about);
            }
            Meaning::Remote(served) => {
                // What is configured, although its parameters may not fit.
                let info = served.info(&Map::new());
                listing.kind = served.kind;
                listing.backend = "http";
                listing.memory_bytes = 0;
                match info {
                    Ok(info) => listing.about = info.about,
                    Err(error) => {
                        (listing.state, listing.reason) = (State::Broken, error.to_string());
                    }
                }
            }
            Meaning::Native(native) => {
                listing.kind = native.kind;
                listing.family = Some(native.family.as_str());
                listing.revision = Some(native.revision.clone());
                if known.is_none() {
                    listing.about = native.directory.display().to_string();
                }
            }
            Meaning::Absent(absent) => {
                listing.kind = absent.kind;
                listing.state = state_of(&absent.absence);
                if listing.state == State::NeedsServer && listing.servers.is_empty() {
                    listing.state = State::NoBackend;
                }
                (listing.reason, listing.remedy) = (absent.reason(), absent.remedy());
                if matches!(absent.absence, Absence::NotNative | Absence::NoKey { .. } | Absence::NoRemote) {
                    listing.backend = "http";
                }
            }
        }
        Some(listing)
    }

    /// Returns what the catalogue says of a name: nothing where the user's file puts other weights in its place.
    fn known(&self, name: &ModelName) -> Option<&'static Known> {
        let known = Known::of(name.as_str());
        match self.file.models.get(name).map(|given| &given.place) {
            Some(Place::Directory { .. }) => None,
            Some(Place::Repository { repository, .. }) => known.filter(|known| known.repository == *repository),
            Some(Place::Remote(_)) | None => known,
        }
    }

    /// Returns what a model costs, where the user's file says so.
    #[must_use]
    pub fn price(&self, name: &ModelName) -> Option<Price> {
        let Place::Remote(model) = &self.file.models.get(name)?.place else { return None };
        let prices = model.prices;
        let currency = self.file.endpoints.get(&model.endpoint)?.currency.clone();
        let any = [prices.per_call, prices.per_million_input_tokens, prices.per_million_output_tokens];
        any.iter().any(Option::is_some).then_some(Price {
            per_call: prices.per_call,
            per_million_input_tokens: prices.per_million_input_tokens,
            per_million_output_tokens: prices.per_million_output_tokens,
            currency,
        })
    }

    /// Returns the repository and revision that hold a model's files, and the family that says which of them it needs.
    pub(crate) fn source(&self, name: &ModelName) -> Option<(String, String, Family)> {
        match self.file.models.get(name).map(|given| &given.place) {
            Some(Place::Repository { repository, revision, family }) => {
                Some((repository.clone(), revision.clone(), *family))
            }
            Some(Place::Directory { .. }) => None,
            Some(Place::Remote(_)) | None => {
                let known = Known::of(name.as_str())?;
                Some((known.repository.to_owned(), known.revision.to_owned(), known.family?))
            }
        }
    }

    /// Returns the folder of the hub's cache.
    #[cfg(feature = "hub")]
    pub(crate) fn cache_directory(&self) -> Option<PathBuf> {
        snapshots::cache_directory(&*self.variables)
    }

    /// Returns what the cache has of a repository.
    #[cfg(feature = "hub")]
    pub(crate) fn cached(&self, repository: &str, revision: &str) -> Option<crate::Pulled> {
        let snapshot = self.snapshot(repository, revision)?;
        Some(crate::Pulled {
            repository: repository.to_owned(),
            commit: snapshot.commit,
            directory: snapshot.directory,
            file_count: 0,
            downloaded_count: 0,
        })
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }

    /// Says what a name means.
    fn meaning<'a>(&'a self, name: &'a ModelName) -> Result<Meaning<'a>, RegistryError> {
        if is_dummy(name.as_str()) {
            return Ok(Meaning::Dummy);
        }
        let known = self.known(name);
        let absent = |kind, absence| Meaning::Absent(Absent { name, kind, known, absence });
        if let Some(given) = self.file.models.get(name) {
            return Ok(self.given_meaning(name, given, known));
        }
        let Some(known) = known else {
            let names = self.names();
            let nearest = nearest_name(name.as_str(), names.iter().map(ModelName::as_str)).map(ModelName::new);
            return Err(RegistryError::UnknownModel { name: name.clone(), nearest });
        };
        let Some(family) = known.family else { return Ok(absent(known.kind, Absence::NotNative)) };
        if !cfg!(feature = "candle") {
            return Ok(absent(known.kind, Absence::NotInThisBuild));
        }
        Ok(match self.snapshot(known.repository, known.revision) {
            None => absent(known.kind, Absence::NotDownloaded),
            Some(snapshot) => Meaning::Native(Native {
                kind: known.kind,
                family,
                directory: snapshot.directory,
                revision: snapshot.commit,
                known: Some(known),
            }),
        })
    }

    /// Says what a name of the user's file means.
    fn given_meaning<'a>(
        &'a self,
        name: &'a ModelName,
        given: &'a GivenModel,
        known: Option<&'static Known>,
    ) -> Meaning<'a> {
        let absent = |absence| Meaning::Absent(Absent { name, kind: given.kind, known, absence });
        let (directory, revision, family) = match &given.place {
            Place::Remote(model) => {
                // Reading the file made sure that the endpoint is there.
                let Some(endpoint) = self.file.endpoints.get(&model.endpoint) else {
                    return absent(Absence::NotNative);
                };
                if !cfg!(feature = "http") {
                    return absent(Absence::NoRemote);
                }
                if let Some(variable) = &endpoint.key_env
                    && self.variable(variable).is_none_or(|key| key.trim().is_empty())
                {
                    return absent(Absence::NoKey { variable: variable.clone() });
                }
                let defaults = &given.parameters;
                return Meaning::Remote(Served { name, kind: given.kind, model, endpoint, defaults });
            }
            Place::Directory { directory, revision, family } => {
                if !directory.is_dir() {
                    return absent(Absence::Broken(format!("{} is no directory", directory.display())));
                }
                (directory.clone(), revision.clone().unwrap_or_else(|| "unknown".to_owned()), *family)
            }
            Place::Repository { repository, revision, family } => match self.snapshot(repository, revision) {
                None => return absent(Absence::NotDownloaded),
                Some(snapshot) => (snapshot.directory, snapshot.commit, *family),
            },
        };
        if !cfg!(feature = "candle") {
            return absent(Absence::NotInThisBuild);
        }
        Meaning::Native(Native { kind: given.kind, family, directory, revision, known })
    }

    fn snapshot(&self, repository: &str, revision: &str) -> Option<snapshots::Snapshot> {
        let cache = snapshots::cache_directory(&*self.variables)?;
        snapshots::find(&cache, repository, revision)
    }

    /// Returns the parameters of a native name: the file's, and over them those that are given.
    fn native_parameters(&self, name: &ModelName, given: &Map<String, Value>) -> Map<String, Value> {
        let mut parameters = self.file.models.get(name).map(|model| model.parameters.clone()).unwrap_or_default();
        parameters.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
        parameters
    }
}

impl Default for ModelRegistry {
    fn default() -> Self {
        Self::without_file()
    }
}

impl Registry for ModelRegistry {
    /// The dummies, then the user's names, then those that people know, each in its order.
    fn names(&self) -> Vec<ModelName> {
        let mut names = BuiltinRegistry.names();
        names.extend(self.file.models.keys().cloned());
        let known = CATALOGUE.iter().map(|known| ModelName::new(known.name));
        names.extend(known.filter(|name| !self.file.models.contains_key(name)));
        names
    }

    fn info(&self, name: &ModelName, parameters: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        match self.meaning(name)? {
            Meaning::Dummy => BuiltinRegistry.info(name, parameters),
            Meaning::Remote(served) => served.info(parameters),
            Meaning::Native(native) => native_info(name, &native, &self.native_parameters(name, parameters)),
            Meaning::Absent(absent) => Err(absent.into_error()),
        }
    }

    fn kind(&self, name: &ModelName) -> Option<ModelKind> {
        match self.meaning(name).ok()? {
            Meaning::Dummy => BuiltinRegistry.kind(name),
            Meaning::Remote(served) => Some(served.kind),
            Meaning::Native(native) => Some(native.kind),
            Meaning::Absent(_) => None,
        }
    }

    fn load(&self, info: &ModelInfo) -> Result<LoadedModel, ModelError> {
        let refused = |error: RegistryError| ModelError::permanent(error.to_string());
        match self.meaning(&info.name).map_err(refused)? {
            Meaning::Dummy => BuiltinRegistry.load(info),
            Meaning::Remote(served) => self.load_remote(&served, info),
            Meaning::Native(native) => load_native(info, &native),
            Meaning::Absent(absent) => Err(refused(absent.into_error())),
        }
    }
}

impl ModelRegistry {
    #[cfg(feature = "http")]
    fn load_remote(&self, served: &Served<'_>, info: &ModelInfo) -> Result<LoadedModel, ModelError> {
        let endpoint = self.endpoints.open(served.endpoint, &|name| self.variable(name))?;
        Ok(crate::http::load(served.model, info, endpoint))
    }

    #[cfg(not(feature = "http"))]
    fn load_remote(&self, served: &Served<'_>, _: &ModelInfo) -> Result<LoadedModel, ModelError> {
        Err(ModelError::permanent(format!("{}: this build calls no servers", served.name)))
    }
}

#[cfg(feature = "candle")]
fn native_info(name: &ModelName, native: &Native, given: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
    let parameters = crate::candle::parameters(native.family, native.kind, name, given)?;
    let broken = |error: ModelError| {
        let absence = Absence::Broken(error.to_string());
        Absent { name, kind: native.kind, known: native.known, absence }.into_error()
    };
    let described = crate::candle::describe(&native.model(name, &parameters)).map_err(broken)?;
    let parameters = crate::candle::settled(&native.model(name, &parameters)).map_err(broken)?;
    let about = native.known.map_or_else(|| native.directory.display().to_string(), |known| known.about.to_owned());
    Ok(ModelInfo {
        name: name.clone(),
        kind: native.kind,
        backend: "candle".to_owned(),
        revision: native.revision.clone(),
        weights_hash: described.weights_hash,
        parameters,
        determinism: described.determinism,
        dimension: described.dimension,
        batch_max: described.batch_max,
        memory_bytes: described.memory_bytes,
        lane: described.lane,
        about,
    })
}

#[cfg(feature = "candle")]
impl Native {
    fn model<'a>(&'a self, name: &'a ModelName, parameters: &'a Map<String, Value>) -> crate::candle::NativeModel<'a> {
        crate::candle::NativeModel {
            name,
            family: self.family,
            kind: self.kind,
            directory: &self.directory,
            parameters,
        }
    }
}

#[cfg(feature = "candle")]
fn load_native(info: &ModelInfo, native: &Native) -> Result<LoadedModel, ModelError> {
    crate::candle::load(&native.model(&info.name, &info.parameters))
}

#[cfg(not(feature = "candle"))]
fn native_info(name: &ModelName, native: &Native, _: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
    let absence = Absence::NotInThisBuild;
    Err(Absent { name, kind: native.kind, known: native.known, absence }.into_error())
}

#[cfg(not(feature = "candle"))]
fn load_native(info: &ModelInfo, native: &Native) -> Result<LoadedModel, ModelError> {
    let (name, place) = (&info.name, native.directory.display());
    Err(ModelError::permanent(format!("{name}: this build has no native models to read {place} with")))
}

fn servers_of(known: &Known) -> Vec<&'static str> {
    known.servers.iter().map(|dialect| dialect.server(known.kind)).collect()
}

const fn state_of(absence: &Absence) -> State {
    match absence {
        Absence::NotNative | Absence::NoRemote => State::NeedsServer,
        Absence::NotInThisBuild => State::NotInThisBuild,
        Absence::NotDownloaded => State::NotDownloaded,
        Absence::Broken(_) => State::Broken,
        Absence::NoKey { .. } => State::NoKey,
    }
}

/// Where a user's file may lie without being named.
fn usual_places() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    let mut places = vec![PathBuf::from("models.toml")];
    places.extend(config.map(|config| config.join("loopscope/models.toml")));
    places
}
