//! Pictures of each cluster: what its outputs look like, or what its texts were said of.

use std::collections::BTreeMap;
use std::rc::Rc;

use loopscope_core::analysis::detail::ClusterDetail;
use loopscope_core::experiment::InvocationId;
use loopscope_core::store::{OutputRow, StoreError, StoredOutput};

use super::barcode::part;
use super::facet::{Names, counted, finish, subtitle};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{FAINT, INK};
use crate::figure::{Anchor, Axis, Figure, Mark, Panel};
use crate::pixels::scaled;

/// Clusters of a chart, the largest.
const CLUSTERS_MAX: usize = 12;
/// Pictures of a cluster.
const PICTURES: usize = 7;
/// Longer side of a picture, in pixels.
const SIDE: usize = 176;

/// One picture of a run, by number.
struct Shot {
    id: InvocationId,
    hash: String,
}

pub(super) fn examples(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let found = match source.clusters()? {
        Ok(found) => found,
        Err(skip) => return Ok(Err(skip)),
    };
    let shots = shots(source)?;
    let mut charts = Vec::new();
    for clusters in found {
        if let Some(chart) = sheet(source, clusters, &shots)? {
            charts.push(chart);
        }
    }
    if charts.is_empty() {
        return Ok(Err(Skip::new(
            "no cluster has a picture: neither its outputs nor what they were made from are pictures",
        )));
    }
    Ok(Ok(charts))
}

/// Returns the pictures of every run.
fn shots(source: &Source<'_>) -> Result<Vec<BTreeMap<u64, Shot>>, StoreError> {
    source
        .details()
        .runs()
        .map(|run| {
            let mut shots = BTreeMap::new();
            source.store().visit_invocations(run.run.id, |row| -> Result<(), StoreError> {
                if let OutputRow::Image { pixel_hash, .. } = row.output {
                    shots.insert(row.sequence_number.0, Shot { id: row.id, hash: pixel_hash });
                }
                Ok(())
            })?;
            Ok(shots)
        })
        .collect()
}

fn sheet(
    source: &Source<'_>,
    clusters: &ClusterDetail,
    shots: &[BTreeMap<u64, Shot>],
) -> Result<Option<Chart>, ExportError> {
    let shown = clusters.names.len().min(CLUSTERS_MAX);
    let names = Names::of("Clusters, by the output in their middle", &clusters.names[..shown]);
    let runs: Vec<_> = source.details().runs().map(|run| run.run.clone()).collect();
    let (mut marks, mut said_of, mut drawn) = (Vec::new(), false, 0);
    for cluster in 0..shown {
        let mut members: Vec<(usize, u64)> = Vec::new();
        if let Some((run_id, number)) = source.store().output_of_embedding(clusters.medoids[cluster])? {
            members.extend(runs.iter().position(|run| run.id == run_id).map(|run| (run, number.0)));
        }
        for sequence in &clusters.sequences {
            let length = runs[sequence.key.run].key.network.len() as u64;
            let stored = sequence.labels[..sequence.stored].iter();
            let turns = (0_u64..).zip(stored).filter(|(_, label)| **label == Some(cluster));
            members.extend(turns.map(|(turn, _)| (sequence.key.run, sequence.key.position as u64 + turn * length)));
        }
        let mut different: Vec<(&Shot, bool)> = Vec::new();
        for &(run, number) in &members {
            // A text has the picture that it was said of: the output before it.
            let own = shots[run].get(&number);
            let before = number.checked_sub(1).and_then(|number| shots[run].get(&number));
            if let Some(shot) =
                own.or(before).filter(|shot| !different.iter().any(|(other, _)| other.hash == shot.hash))
            {
                different.push((shot, own.is_none()));
            }
        }
        let y = cluster as f64;
        let count = different.len();
        for place in 0..count.min(PICTURES) {
            // The medoid, then others evenly over the runs.
            let (shot, is_before) =
                if count <= PICTURES { &different[place] } else { &different[place * count / PICTURES] };
            said_of |= is_before;
            let StoredOutput::Image(picture) = source.store().output(shot.id)? else { continue };
            let small = scaled(&picture, SIDE, SIDE);
            let size = (small.width, small.height);
            let x = place as f64;
            marks.push(Mark::Picture {
                x: (x + 0.03, x + 0.97),
                y: (y + 0.04, y + 0.96),
                png: Rc::new(small.to_png(None)?),
                size,
            });
            drawn += 1;
        }
        let note = format!("{} outputs, {count} pictures", clusters.sizes[cluster]);
        marks.push(Mark::Text {
            at: (PICTURES as f64, y + 0.5),
            text: note,
            size: 10.5,
            is_bold: false,
            color: if count == 0 { INK } else { FAINT },
            anchor: Anchor::Start,
            shift: (6.0, 4.0),
            width_max: 130.0,
        });
    }
    if drawn == 0 {
        return Ok(None);
    }
    let mut figure = Figure::new("Pictures of clusters");
    figure.subtitle = subtitle(source, clusters.embedder.as_str());
    figure.panel_height = Some(shown as f64 * 84.0);
    let x = Axis::Bare { low: 0.0, high: PICTURES as f64 + 1.5 };
    figure.panels.push(Panel { title: String::new(), x, y: Axis::Band(names.short.clone()), marks });
    figure.caption.push(format!(
        "Different pictures of each cluster, the one in its middle first, then evenly over its runs, at most {PICTURES}. {}{}",
        if said_of { "The outputs are texts: shown are the pictures that they were said of. " } else { "" },
        match clusters.names.len() - shown {
            0 => String::new(),
            more => format!("{} are not drawn.", counted(more, "smaller cluster")),
        }
    ));
    figure.caption.extend(names.key.clone());
    finish(source, &mut figure, 0);
    Ok(Some(Chart::of(part(source, clusters.embedder.as_str()), &figure)))
}
