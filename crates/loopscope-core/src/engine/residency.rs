//! Which models a thread has loaded: within a budget of memory, the least recently used go first.

use crate::backend::{LoadedModel, ModelError, ModelInfo, Registry};

/// The loaded models of one thread.
pub(super) struct Residency<'a> {
    registry: &'a dyn Registry,
    memory_bytes_max: u64,
    /// Model index, memory, model; the most recently used last.
    loaded: Vec<(usize, u64, LoadedModel)>,
}

impl<'a> Residency<'a> {
    pub(super) fn new(registry: &'a dyn Registry, memory_bytes_max: u64) -> Self {
        Self { registry, memory_bytes_max, loaded: Vec::new() }
    }

    /// Returns the model that was used last.
    pub(super) fn last_used(&self) -> Option<usize> {
        self.loaded.last().map(|(index, _, _)| *index)
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.loaded.iter().any(|(model, _, _)| *model == index)
    }

    /// Returns the model, loaded; frees others before it loads, so that both never share the memory.
    pub(super) fn get(&mut self, index: usize, info: &ModelInfo) -> Result<&mut LoadedModel, ModelError> {
        let entry = match self.loaded.iter().position(|(model, _, _)| *model == index) {
            Some(position) => self.loaded.remove(position),
            None => {
                self.make_room(info.memory_bytes);
                let model = self.registry.load(info)?;
                if model.kind() != info.kind {
                    let message =
                        format!("{} loaded as a {}, but is listed as a {}", info.name, model.kind(), info.kind);
                    return Err(ModelError::permanent(message));
                }
                (index, info.memory_bytes, model)
            }
        };
        Ok(&mut self.loaded.push_mut(entry).2)
    }

    /// Drops a model whose state may be broken.
    pub(super) fn forget(&mut self, index: usize) {
        self.loaded.retain(|(model, _, _)| *model != index);
    }

    fn make_room(&mut self, memory_bytes: u64) {
        let used = |loaded: &[(usize, u64, LoadedModel)]| loaded.iter().map(|(_, bytes, _)| *bytes).sum::<u64>();
        while !self.loaded.is_empty() && used(&self.loaded).saturating_add(memory_bytes) > self.memory_bytes_max {
            self.loaded.remove(0);
        }
    }
}
