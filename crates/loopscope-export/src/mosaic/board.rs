//! Which runs stand where, and which pictures they have.

use std::collections::BTreeMap;

use loopscope_core::experiment::{Experiment, InvocationId, Picture, RunId};
use loopscope_core::store::{OutputRow, Store, StoreError, StoredOutput};

use crate::ExportError;

/// One picture of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunPicture {
    /// The step that gave it.
    pub step: u64,
    /// Its invocation.
    pub id: InvocationId,
    /// Whether it has the pixels of the run's picture before it.
    pub is_repeat: bool,
}

/// One run with its pictures.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// The network, as people write it.
    pub network: String,
    /// Its prompt.
    pub prompt: String,
    /// What tells it from other runs of its network and prompt, such as `seed 3`.
    pub name: String,
    /// Its pictures in order.
    pub pictures: Vec<RunPicture>,
}

/// The runs of an experiment that have pictures, by prompt, network and seed.
#[derive(Clone, Debug)]
pub struct Board {
    /// The experiment.
    pub experiment: Experiment,
    /// Prompts, in the order in which runs have them.
    pub prompts: Vec<String>,
    /// Columns: a network and a seed each.
    pub columns: Vec<(String, String)>,
    /// Runs by prompt and column; a run that is not there is `None`.
    pub rows: Vec<Vec<Option<RunRow>>>,
    /// Runs without any picture.
    pub without: usize,
}

impl Board {
    /// Reads which pictures an experiment has; `wanted` keeps only prompts that hold one of these texts, or all when empty.
    ///
    /// # Errors
    ///
    /// [`ExportError::Nothing`] when there is no picture, [`ExportError::Store`].
    pub fn load(store: &Store, experiment: &Experiment, wanted: &[String]) -> Result<Self, ExportError> {
        let mut found: BTreeMap<(usize, usize), RunRow> = BTreeMap::new();
        let (mut prompts, mut columns): (Vec<String>, Vec<(String, String)>) = (Vec::new(), Vec::new());
        let mut without = 0;
        for run in store.runs(experiment.id)? {
            let key = &run.key;
            let holds = |text: &String| key.initial_prompt.to_lowercase().contains(&text.to_lowercase());
            if !wanted.is_empty() && !wanted.iter().any(holds) {
                continue;
            }
            let (mut pictures, mut before) = (Vec::new(), None);
            store.visit_invocations(run.id, |row| -> Result<(), StoreError> {
                if let OutputRow::Image { pixel_hash, .. } = row.output {
                    let is_repeat = before.as_ref() == Some(&pixel_hash);
                    pictures.push(RunPicture { step: row.sequence_number.0, id: row.id, is_repeat });
                    before = Some(pixel_hash);
                }
                Ok(())
            })?;
            if pictures.is_empty() {
                without += 1;
                continue;
            }
            let name = match (key.seed.is_fresh(), key.run_number) {
                (true, number) => format!("run {number}"),
                (false, 0) => format!("seed {}", key.seed.value()),
                (false, number) => format!("seed {} ({})", key.seed.value(), number + 1),
            };
            let network = key.network.to_string();
            let row = place(&mut prompts, key.initial_prompt.clone());
            let column = place(&mut columns, (network.clone(), name.clone()));
            let run = RunRow { id: run.id, network, prompt: key.initial_prompt.clone(), name, pictures };
            found.insert((row, column), run);
        }
        if found.is_empty() {
            let what = match (without, wanted.is_empty()) {
                (0, false) => {
                    format!("no prompt of experiment \"{}\" holds \"{}\"", experiment.name, wanted.join("\" or \""))
                }
                _ => format!("no run of experiment \"{}\" has a picture", experiment.name),
            };
            return Err(ExportError::Nothing { what });
        }
        // Seeds of one network stand together, whatever order runs were made in.
        let mut order: Vec<usize> = (0..columns.len()).collect();
        let first = |network: &String| columns.iter().position(|column| column.0 == *network);
        order.sort_by_key(|&column| (first(&columns[column].0), column));
        let rows =
            (0..prompts.len()).map(|row| order.iter().map(|&column| found.remove(&(row, column))).collect()).collect();
        let columns = order.iter().map(|&column| columns[column].clone()).collect();
        Ok(Self { experiment: experiment.clone(), prompts, columns, rows, without })
    }

    /// Returns the runs that are there.
    pub fn runs(&self) -> impl Iterator<Item = &RunRow> {
        self.rows.iter().flatten().flatten()
    }

    /// Returns how many pictures the run with the most of them has, at least 1.
    #[must_use]
    pub fn length(&self) -> usize {
        self.runs().map(|run| run.pictures.len()).max().unwrap_or(1)
    }

    /// Returns the width of a picture over its height, as the first run's first has it.
    ///
    /// # Errors
    ///
    /// [`ExportError::Store`].
    pub fn aspect(&self, store: &Store) -> Result<f64, ExportError> {
        let Some(run) = self.runs().next() else { return Ok(1.0) };
        let picture = picture(store, run.pictures[0].id)?;
        Ok(f64::from(picture.width()) / f64::from(picture.height()))
    }
}

fn place<T: PartialEq>(known: &mut Vec<T>, item: T) -> usize {
    known.iter().position(|other| *other == item).unwrap_or_else(|| {
        known.push(item);
        known.len() - 1
    })
}

/// Reads a picture.
pub(crate) fn picture(store: &Store, id: InvocationId) -> Result<Picture, ExportError> {
    match store.output(id)? {
        StoredOutput::Image(picture) => Ok(picture),
        StoredOutput::Text(_) => Err(ExportError::Unfit {
            object: format!("invocation {}", id.short()),
            defect: "gave a text where a picture was".to_owned(),
        }),
    }
}
