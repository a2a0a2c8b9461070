//! What panels are called, and how many there are beside each other.

pub(super) use loopscope_core::analysis::counted;
use loopscope_core::analysis::detail::StrandKey;

use super::Source;
use crate::figure::{Figure, font};

/// More panels than this are not drawn; the caption says how many are left out.
pub(super) const PANELS_MAX: usize = 24;

/// Members that share a panel, by what they share.
pub(super) struct Facets<T> {
    /// What the members of a panel share; equal in length.
    keys: Vec<Vec<String>>,
    pub(super) members: Vec<Vec<T>>,
}

impl<T> Facets<T> {
    /// Groups items in the order in which keys first appear.
    pub(super) fn of(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> Vec<String>) -> Self {
        let mut facets = Self { keys: Vec::new(), members: Vec::new() };
        for item in items {
            let key = key(&item);
            match facets.keys.iter().position(|known| *known == key) {
                Some(place) => facets.members[place].push(item),
                None => {
                    facets.keys.push(key);
                    facets.members.push(vec![item]);
                }
            }
        }
        facets
    }

    /// Returns titles made of those parts that differ between panels, and the parts that do not, for the subtitle.
    pub(super) fn titles(&self) -> (Vec<String>, String) {
        let parts = self.keys.first().map_or(0, Vec::len);
        let differs: Vec<bool> =
            (0..parts).map(|part| self.keys.iter().any(|key| key[part] != self.keys[0][part])).collect();
        let join = |key: &Vec<String>, wanted: bool| {
            let chosen: Vec<&str> = key
                .iter()
                .zip(&differs)
                .filter(|(text, differs)| **differs == wanted && !text.is_empty())
                .map(|(text, _)| text.as_str())
                .collect();
            chosen.join(" · ")
        };
        let titles = self.keys.iter().map(|key| join(key, true)).collect();
        (titles, self.keys.first().map(|key| join(key, false)).unwrap_or_default())
    }

    /// Returns how many panels stand beside each other so that each row has one value of the first part, or as many as look well.
    pub(super) fn columns(&self) -> usize {
        let count = self.keys.len();
        let firsts = self.keys.iter().map(|key| key.first()).collect::<std::collections::BTreeSet<_>>().len().max(1);
        match count / firsts {
            beside @ 2..=5 if firsts > 1 && count.is_multiple_of(firsts) => beside,
            _ => columns(count),
        }
    }

    /// Keeps as many panels as are drawn, and returns how many it left out.
    pub(super) fn limit(&mut self) -> usize {
        let left_out = self.members.len().saturating_sub(PANELS_MAX);
        self.keys.truncate(PANELS_MAX);
        self.members.truncate(PANELS_MAX);
        left_out
    }
}

/// Returns how many trajectories there are, in words.
pub(super) fn trajectories(count: usize) -> String {
    format!("{count} {}", if count == 1 { "trajectory" } else { "trajectories" })
}

/// Returns how many panels stand beside each other.
pub(super) const fn columns(panels: usize) -> usize {
    match panels {
        0 | 1 => 1,
        2 | 4 => 2,
        3 | 5 | 6 | 9 => 3,
        _ => 4,
    }
}

/// Returns what tells strands apart: embedder, network and place.
pub(super) fn key_of_strand(source: &Source<'_>, key: &StrandKey) -> Vec<String> {
    let length = source.details().runs().nth(key.run).map_or(0, |run| run.run.key.network.len());
    // With two models the embedder's kind says which one's outputs these are.
    let place = if length > 2 { format!("of {}", key.place) } else { String::new() };
    vec![key.embedder.to_string(), source.network(key.run).to_owned(), place]
}

/// Returns the subtitle: the experiment, and what all panels share.
pub(super) fn subtitle(source: &Source<'_>, shared: &str) -> String {
    let experiment = source.details().experiment();
    // A long name must not cut off what follows it.
    let name = font::fit(&experiment.name, NAME_SIZE, false, 2.0 * NAME_MAX);
    let name = format!("experiment “{name}” ({})", experiment.id.short());
    if shared.is_empty() { name } else { format!("{name} · {shared}") }
}

/// Adds what every caption ends with: that an experiment is not complete, and what was left out.
pub(super) fn finish(source: &Source<'_>, figure: &mut Figure, panels_left_out: usize) {
    if panels_left_out > 0 {
        figure.caption.push(format!("{panels_left_out} more panels are not drawn."));
    }
    figure.caption.extend(source.network_key().map(str::to_owned));
    if source.details().experiment().completed_at.is_none() {
        figure.caption.push("The experiment is not complete: drawn is what is there.".to_owned());
    }
}

/// Returns a panel's title with what must not be cut off it, such as how much it rests on, on a line of its own.
pub(super) fn noted(title: &str, note: &str) -> String {
    if title.is_empty() { note.to_owned() } else { format!("{title}\n{note}") }
}

/// Returns the name of a band with how many it rests on, the name cut rather than the number.
pub(super) fn name_with_count(name: &str, count: usize) -> String {
    let count = format!(" ({count})");
    let room = BAND_NAME_MAX - 4.0 - font::width(&count, NAME_SIZE, false);
    format!("{}{count}", font::fit(name, NAME_SIZE, false, room))
}

/// Returns how many clusters a chart with a row for each shows in every panel: fewer where there are many panels, lest a page gets
/// longer than anybody scrolls.
pub(super) const fn rows_of_clusters(most: usize, panels: usize) -> usize {
    match panels {
        0..=4 => most,
        _ if most < 8 => most,
        _ => 8,
    }
}

/// Short names of long texts, each other than the others.
pub(super) struct Names {
    /// As they are drawn.
    pub(super) short: Vec<String>,
    /// What the caption says of them all, where they were cut.
    pub(super) key: Option<String>,
    noun: &'static str,
    /// What it says of each; none where none was cut.
    whole: Vec<String>,
}

/// Width in pixels of a name beside an axis, at most: what is wider the layout cuts.
const BAND_NAME_MAX: f64 = 230.0;
/// Width in pixels of a name that is not cut.
const NAME_MAX: f64 = 170.0;
/// Size that names are measured at.
const NAME_SIZE: f64 = 11.5;
/// Letters of one text in a caption.
const KEY_MAX: usize = 160;

impl Names {
    /// Names texts; where one is cut, all are numbered and the caption has the texts.
    pub(super) fn of(noun: &'static str, texts: &[String]) -> Self {
        let lines: Vec<String> = texts.iter().map(|text| one_line(text)).collect();
        if lines.iter().all(|line| font::width(line, NAME_SIZE, false) <= NAME_MAX) {
            return Self { short: lines, key: None, noun, whole: Vec::new() };
        }
        let short = (1..)
            .zip(&lines)
            .map(|(number, line)| font::fit(&format!("{number} {line}"), NAME_SIZE, false, NAME_MAX).into_owned())
            .collect();
        let whole = (1..).zip(&lines).map(|(number, line): (usize, &String)| {
            let cut: String = line.chars().take(KEY_MAX).collect();
            let end = if cut.len() < line.len() { "…" } else { "" };
            format!("{number} “{cut}{end}”")
        });
        let mut names = Self { short, key: None, noun, whole: whole.collect() };
        names.key = names.key_of(names.short.len());
        names
    }

    /// Returns what the caption says of the first names, where a chart shows no others.
    pub(super) fn key_of(&self, shown: usize) -> Option<String> {
        let whole = &self.whole[..shown.min(self.whole.len())];
        (!whole.is_empty()).then(|| format!("{}: {}.", self.noun, whole.join("; ")))
    }

    /// Returns the numbers that names begin with, where the caption tells them: for axes that have no room for names.
    pub(super) fn numbers(&self) -> Option<Vec<String>> {
        (!self.whole.is_empty()).then(|| (1..=self.short.len()).map(|number| number.to_string()).collect())
    }
}

/// Returns a text on one line, `(empty)` for nothing.
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    if line.is_empty() { "(empty)".to_owned() } else { line }
}

/// Returns the prompts of an experiment, in the order in which its runs have them.
pub(super) fn prompts(source: &Source<'_>) -> Vec<String> {
    let mut prompts: Vec<String> = Vec::new();
    for run in source.details().runs() {
        if !prompts.contains(&run.run.key.initial_prompt) {
            prompts.push(run.run.key.initial_prompt.clone());
        }
    }
    prompts
}

/// Returns which prompt a run has, as an index into [`prompts`].
pub(super) fn prompt_of_runs(source: &Source<'_>, prompts: &[String]) -> Vec<usize> {
    let place = |prompt: &str| prompts.iter().position(|known| known == prompt).unwrap_or(0);
    source.details().runs().map(|run| place(&run.run.key.initial_prompt)).collect()
}

/// Returns how people call a run: its seed, and its number where several have that seed.
pub(super) fn run_name(source: &Source<'_>, run: usize) -> String {
    source.details().runs().nth(run).map_or_else(String::new, |run| {
        let key = &run.run.key;
        match (key.seed.is_fresh(), key.run_number) {
            (true, number) => format!("run {number}"),
            (false, 0) => format!("seed {}", key.seed.value()),
            (false, number) => format!("seed {} again {number}", key.seed.value()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_what_differs() {
        let items = [("a", "x"), ("a", "y"), ("a", "x")];
        let facets = Facets::of(items, |item| vec![item.0.to_owned(), item.1.to_owned()]);
        assert_eq!(facets.titles(), (vec!["x".to_owned(), "y".to_owned()], "a".to_owned()));
        assert_eq!(facets.members[0].len(), 2);
    }

    #[test]
    fn long_names_are_numbered_and_told_in_the_caption() {
        let long = "a prompt that goes on and on about a lighthouse by the sea".to_owned();
        let names = Names::of("Prompts", &[long.clone(), format!("{long} at night"), String::new()]);
        assert!(names.short[0].starts_with("1 a prompt") && names.short[1].starts_with("2 a prompt"));
        assert_eq!(names.short[2], "3 (empty)");
        assert!(names.key.unwrap().contains(&format!("2 “{long} at night”")));
        assert!(Names::of("Prompts", &["short".to_owned()]).key.is_none());
    }
}
