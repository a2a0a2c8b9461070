//! Models that fail when they are told to, through the traits that the engine knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopscope_core::backend::{
    ImageEmbedder, ImageToText, LoadedModel, ModelError, ModelInfo, Registry, RegistryError, Request, TextEmbedder,
    TextToImage,
};
use loopscope_core::experiment::{ModelKind, ModelName, Picture};
use serde_json::{Map, Value};

use crate::support::TestRegistry;

/// What can go wrong at a call of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ModelFault {
    Transient,
    Permanent,
    Panic,
    Delay,
    /// One result fewer than inputs.
    Fewer,
    /// One result more.
    More,
    WrongDimension,
    NotFinite,
    AllZero,
}

impl ModelFault {
    pub(crate) const ALL: [Self; 9] = [
        Self::Transient,
        Self::Permanent,
        Self::Panic,
        Self::Delay,
        Self::Fewer,
        Self::More,
        Self::WrongDimension,
        Self::NotFinite,
        Self::AllZero,
    ];

    /// Returns whether it can happen there: only vectors have dimensions, and a load gives no results.
    pub(crate) fn fits(self, (call, kind): ModelSite) -> bool {
        let is_vector = matches!(kind, ModelKind::TextEmbedder | ModelKind::ImageEmbedder);
        match self {
            Self::Transient | Self::Permanent | Self::Panic | Self::Delay => true,
            Self::Fewer | Self::More => call == ModelCall::Use,
            Self::WrongDimension | Self::NotFinite | Self::AllZero => call == ModelCall::Use && is_vector,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ModelCall {
    Load,
    Use,
}

/// A place from which the engine calls a model.
pub(crate) type ModelSite = (ModelCall, ModelKind);

pub(crate) const SITES: [ModelSite; 8] = [
    (ModelCall::Load, ModelKind::TextToImage),
    (ModelCall::Load, ModelKind::ImageToText),
    (ModelCall::Load, ModelKind::TextEmbedder),
    (ModelCall::Load, ModelKind::ImageEmbedder),
    (ModelCall::Use, ModelKind::TextToImage),
    (ModelCall::Use, ModelKind::ImageToText),
    (ModelCall::Use, ModelKind::TextEmbedder),
    (ModelCall::Use, ModelKind::ImageEmbedder),
];

/// Calls that are to fail, and what came of it.
#[derive(Default)]
pub(crate) struct ModelFaults {
    /// For a site and the number of its call, from 0.
    pub(crate) planned: BTreeMap<(ModelSite, u64), ModelFault>,
    pub(crate) calls: BTreeMap<ModelSite, u64>,
    pub(crate) met: BTreeMap<(ModelSite, ModelFault), u64>,
    /// Failures that must be on record: one for each result that was spoilt.
    pub(crate) failures: u64,
    /// Loads that failed: each is on record for every input that waited for it.
    pub(crate) loads_failed: u64,
}

impl ModelFaults {
    fn meet(&mut self, site: ModelSite) -> Option<ModelFault> {
        let calls = self.calls.entry(site).or_default();
        let fault = self.planned.get(&(site, *calls)).copied();
        *calls += 1;
        if let Some(fault) = fault {
            *self.met.entry((site, fault)).or_default() += 1;
        }
        fault
    }
}

pub(crate) type SharedFaults = Arc<Mutex<ModelFaults>>;

/// The test's models, with faults.
pub(crate) struct FaultyRegistry {
    pub(crate) inner: TestRegistry,
    pub(crate) faults: SharedFaults,
}

impl Registry for FaultyRegistry {
    fn names(&self) -> Vec<ModelName> {
        self.inner.names()
    }

    fn info(&self, name: &ModelName, parameters: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        let mut info = self.inner.info(name, parameters)?;
        // Said in advance, so that the first vector does not decide: it may be the wrong one.
        info.dimension = match info.kind {
            ModelKind::TextEmbedder => Some(4),
            ModelKind::ImageEmbedder => Some(3),
            _ => None,
        };
        Ok(info)
    }

    fn load(&self, info: &ModelInfo) -> Result<LoadedModel, ModelError> {
        let fault = self.faults.lock().unwrap().meet((ModelCall::Load, info.kind));
        if fault.is_some_and(|fault| fault != ModelFault::Delay) {
            self.faults.lock().unwrap().loads_failed += 1;
        }
        match fault {
            Some(ModelFault::Delay) => std::thread::sleep(Duration::from_millis(2)),
            Some(ModelFault::Panic) => panic!("injected: a load that panics"),
            Some(ModelFault::Transient) => return Err(ModelError::transient("injected: a load that passes")),
            Some(_) => return Err(ModelError::permanent("injected: a load that fails")),
            None => {}
        }
        let shared = Arc::clone(&self.faults);
        Ok(match self.inner.load(info)? {
            LoadedModel::TextToImage(inner) => LoadedModel::TextToImage(Box::new(Faulty { inner, shared })),
            LoadedModel::ImageToText(inner) => LoadedModel::ImageToText(Box::new(Faulty { inner, shared })),
            LoadedModel::TextEmbedder(inner) => LoadedModel::TextEmbedder(Box::new(Faulty { inner, shared })),
            LoadedModel::ImageEmbedder(inner) => LoadedModel::ImageEmbedder(Box::new(Faulty { inner, shared })),
        })
    }
}

struct Faulty<T: ?Sized> {
    inner: Box<T>,
    shared: SharedFaults,
}

impl<T: ?Sized> Faulty<T> {
    /// Calls the model, before or after which something goes wrong; `spoil` makes a result unfit.
    fn call<O>(
        &mut self,
        (kind, inputs): (ModelKind, usize),
        ask: impl FnOnce(&mut T) -> Vec<Result<O, ModelError>>,
        spoil: impl FnOnce(O, ModelFault) -> O,
    ) -> Vec<Result<O, ModelError>> {
        let fault = {
            let mut faults = self.shared.lock().unwrap();
            let fault = faults.meet((ModelCall::Use, kind));
            faults.failures += match fault {
                None | Some(ModelFault::Delay) => 0,
                // A batch that breaks as a whole is called again one by one, and each of its inputs has failed once.
                Some(ModelFault::Panic | ModelFault::Fewer | ModelFault::More) => inputs as u64,
                Some(_) => 1,
            };
            fault
        };
        assert!(fault != Some(ModelFault::Panic), "injected: a model that panics");
        let mut results = ask(&mut self.inner);
        match fault {
            None | Some(ModelFault::Panic) => {}
            Some(ModelFault::Delay) => std::thread::sleep(Duration::from_millis(2)),
            Some(ModelFault::Transient) => results[0] = Err(ModelError::transient("injected: it passes")),
            Some(ModelFault::Permanent) => results[0] = Err(ModelError::permanent("injected: it stays")),
            Some(ModelFault::Fewer) => drop(results.pop()),
            Some(ModelFault::More) => results.push(Err(ModelError::permanent("injected: one too many"))),
            Some(fault) => {
                let first = results.remove(0);
                results.insert(0, first.map(|output| spoil(output, fault)));
            }
        }
        results
    }
}

fn spoil_vector(mut vector: Vec<f32>, fault: ModelFault) -> Vec<f32> {
    match fault {
        ModelFault::WrongDimension => vector.push(1.0),
        ModelFault::AllZero => vector.fill(0.0),
        _ => vector[0] = f32::NAN,
    }
    vector
}

impl TextToImage for Faulty<dyn TextToImage> {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        self.call((ModelKind::TextToImage, batch.len()), |inner| inner.generate(batch), |picture, _| picture)
    }
}

impl ImageToText for Faulty<dyn ImageToText> {
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>> {
        self.call((ModelKind::ImageToText, batch.len()), |inner| inner.describe(batch), |text, _| text)
    }
}

impl TextEmbedder for Faulty<dyn TextEmbedder> {
    fn embed(&mut self, batch: &[&str]) -> Vec<Result<Vec<f32>, ModelError>> {
        self.call((ModelKind::TextEmbedder, batch.len()), |inner| inner.embed(batch), spoil_vector)
    }
}

impl ImageEmbedder for Faulty<dyn ImageEmbedder> {
    fn embed(&mut self, batch: &[&Picture]) -> Vec<Result<Vec<f32>, ModelError>> {
        self.call((ModelKind::ImageEmbedder, batch.len()), |inner| inner.embed(batch), spoil_vector)
    }
}
