//! Which rows a table has.

use super::material::{Material, Strand};
use super::report::Cell;

/// What tells rows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// One row for each network, otherwise all pooled.
    pub network: bool,
    /// One row for each prompt, otherwise all pooled.
    pub prompt: bool,
    /// One row for each embedder. Vectors of different embedders are apart whatever this says; counts may be pooled.
    pub embedder: bool,
}

impl Default for By {
    fn default() -> Self {
        Self { network: true, prompt: false, embedder: true }
    }
}

/// What the members of a row share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    network: Option<String>,
    prompt: Option<String>,
    embedder: Option<String>,
    place: Option<String>,
}

impl Group {
    /// Returns the first cells of a row, as [`columns`] heads them.
    pub(super) fn cells(&self) -> Vec<Cell> {
        [&self.embedder, &self.network, &self.prompt, &self.place].into_iter().flatten().map(Cell::text).collect()
    }
}

/// Returns the columns that name a group of strands.
pub(super) fn columns(by: By, rest: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut columns = vec![("embedder", "embedder")];
    columns.extend(run_columns(by, &[("output_of", "output of")]));
    columns.extend_from_slice(rest);
    columns
}

/// Returns the columns that name a group of runs.
pub(super) fn run_columns(by: By, rest: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let network = by.network.then_some(("network", "network"));
    let prompt = by.prompt.then_some(("prompt", "prompt"));
    network.into_iter().chain(prompt).chain(rest.iter().copied()).collect()
}

/// Groups strands of one embedder, in the order in which groups first appear; a run has one strand in a group at most.
pub(super) fn of_strands<'a>(
    material: &Material<'_>,
    strands: &'a [Strand],
    embedder: &str,
    by: By,
) -> Vec<(Group, Vec<&'a Strand>)> {
    let key = |strand: &&'a Strand| {
        let mut group = group_of_run(material, strand.run, by);
        group.embedder = Some(embedder.to_owned());
        group.place = Some(strand.place.clone());
        group
    };
    collect(strands.iter(), key)
}

/// Groups runs, by index.
pub(super) fn of_runs(material: &Material<'_>, by: By) -> Vec<(Group, Vec<usize>)> {
    collect(0..material.runs.len(), |&run| group_of_run(material, run, by))
}

pub(super) fn group_of_run(material: &Material<'_>, run: usize, by: By) -> Group {
    let key = &material.runs[run].run.key;
    Group {
        network: by.network.then(|| key.network.to_string()),
        prompt: by.prompt.then(|| key.initial_prompt.clone()),
        embedder: None,
        place: None,
    }
}

fn collect<T>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> Group) -> Vec<(Group, Vec<T>)> {
    let mut groups: Vec<(Group, Vec<T>)> = Vec::new();
    for item in items {
        let group = key(&item);
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, members)) => members.push(item),
            None => groups.push((group, vec![item])),
        }
    }
    groups
}
