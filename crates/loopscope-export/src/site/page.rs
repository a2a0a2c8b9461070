//! The page.

use std::fmt::Write;

use loopscope_core::experiment::{Experiment, StopReason};
use loopscope_core::store::{ExperimentCounts, RunProgress, Store, VisitedText};

use super::strip::{Step, evenly};
use crate::ExportError;
use crate::chart::Kind;
use crate::figure::svg::escaped;

/// Steps of a run whose texts are shown, at most.
const TEXTS_MAX: usize = 24;

/// A chart beside the page.
pub(super) struct DrawnChart {
    pub(super) kind: Kind,
    pub(super) file: String,
    pub(super) title: String,
    pub(super) description: String,
}

/// A run on the page.
pub(super) struct RunSection {
    prompt: String,
    network: String,
    name: String,
    id: String,
    end: String,
    steps: Vec<Step>,
    file: Option<String>,
}

impl RunSection {
    pub(super) fn of(progress: &RunProgress, steps: Vec<Step>, file: Option<String>) -> Self {
        let key = &progress.run.key;
        let end = match progress.stop_reason() {
            StopReason::Length => format!("full length, {} outputs", progress.steps),
            StopReason::Cycle { period } => format!("a cycle of {period} after {} outputs", progress.steps),
            StopReason::Failed => format!("failed after {} outputs", progress.steps),
            StopReason::Unfinished => {
                format!("not finished: {} of {} outputs", progress.steps, progress.run.max_length)
            }
        };
        let name =
            if key.seed.is_fresh() { format!("run {}", key.run_number) } else { format!("seed {}", key.seed.value()) };
        Self {
            prompt: key.initial_prompt.clone(),
            network: key.network.to_string(),
            name,
            id: progress.run.id.short(),
            end,
            steps,
            file,
        }
    }
}

/// What the page says.
pub(super) struct Page {
    experiment: Experiment,
    counts: ExperimentCounts,
    visited: Vec<VisitedText>,
    ends: Vec<(String, usize)>,
    pub(super) charts: Vec<DrawnChart>,
    pub(super) skipped: Vec<(&'static str, String)>,
    pub(super) runs: Vec<RunSection>,
    pub(super) runs_left_out: usize,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fbfbfc;--paper:#fff;--ink:#1d1d24;--faint:#5a5a66;--line:#d9d9e0;--accent:#00609a}
@media (prefers-color-scheme:dark){:root{--ground:#141418;--paper:#1e1e24;--ink:#ececf1;--faint:#a9a9b6;--line:#3a3a44;--accent:#7cc4f0}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',Arial,sans-serif}
main,header,footer{max-width:76rem;margin:0 auto;padding:1rem 1.25rem}
h1{font-size:2rem;line-height:1.2;margin:.6rem 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.35rem;margin:1.6rem 0 .8rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1.02rem;margin:1.6rem 0 .3rem;overflow-wrap:anywhere}
p,li,td,th,dd,dt{overflow-wrap:anywhere}
.faint{color:var(--faint)}
a{color:var(--accent)}
a:focus-visible,summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-999px}
.skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.5rem}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:.8rem 0 0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;padding:0;margin:1rem 0}
.facts div{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.facts dt{color:var(--faint);font-size:.85rem}
.facts dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;background:var(--paper);font-size:.95rem}
th,td{text-align:left;padding:.35rem .6rem;border:1px solid var(--line);vertical-align:top}
th{overflow-wrap:normal}
.asked th{width:11rem}
td div+div{margin-top:.3rem}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.charts{display:grid;align-items:start;grid-template-columns:repeat(auto-fill,minmax(min(100%,34rem),1fr));gap:1rem}
figure{margin:0}
.chart{background:#fff;border:1px solid var(--line);border-radius:.5rem;overflow:hidden}
.chart img{display:block;width:100%;height:auto}
.run{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem;margin:.8rem 0}
.run img{display:block;max-width:100%;height:auto;max-height:6rem;border-radius:.25rem}
.run figcaption{margin-bottom:.4rem;overflow-wrap:anywhere}
details{margin-top:.5rem}
summary{cursor:pointer;color:var(--accent)}
ol{padding-left:0;list-style:none;margin:.5rem 0}
ol li{display:grid;grid-template-columns:3.2rem 1fr;gap:.4rem;padding:.1rem 0}
ol .faint{text-align:right;font-variant-numeric:tabular-nums}
pre{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;padding:.8rem;overflow:auto;font-size:.85rem}
@media (max-width:40rem){
.asked tr,.asked th,.asked td{display:block;width:auto}
.asked th{border-bottom:0;padding-bottom:0}
.asked td{border-top:0}
.chart{overflow-x:auto}
.chart img{min-width:44rem}
}
@media print{details{display:none}.chart,.run{break-inside:avoid}}
";

impl Page {
    pub(super) fn of(store: &Store, experiment: &Experiment, runs: &[RunProgress]) -> Result<Self, ExportError> {
        let mut ends: Vec<(String, usize)> = Vec::new();
        for run in runs {
            let end = match run.stop_reason() {
                StopReason::Length => "at full length".to_owned(),
                StopReason::Cycle { period } => format!("in a cycle of {period}"),
                StopReason::Failed => "on a failure".to_owned(),
                StopReason::Unfinished => "not yet".to_owned(),
            };
            match ends.iter_mut().find(|(known, _)| *known == end) {
                Some((_, count)) => *count += 1,
                None => ends.push((end, 1)),
            }
        }
        ends.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(Self {
            experiment: experiment.clone(),
            counts: store.counts(experiment.id)?,
            visited: store.most_visited(experiment.id, 12)?,
            ends,
            charts: Vec::new(),
            skipped: Vec::new(),
            runs: Vec::new(),
            runs_left_out: 0,
        })
    }

    /// Writes the page.
    pub(super) fn to_html(&self) -> String {
        let mut html = String::new();
        self.head(&mut html);
        self.summary(&mut html);
        self.chart_section(&mut html);
        self.run_section(&mut html);
        self.config(&mut html);
        html.push_str("</main>\n<footer class=\"faint\"><p>Made by loopscope from the record; this folder needs nothing else.</p></footer>\n</body>\n</html>\n");
        html
    }

    fn head(&self, html: &mut String) {
        let name = escaped(&self.experiment.name);
        let state = if self.experiment.completed_at.is_some() {
            "complete"
        } else {
            "not complete: this is what is there so far"
        };
        // Writing into a string does not fail, here and below.
        write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name} · loopscope</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">To the content</a>\n<header>\n\
             <h1>{name}</h1>\n<p class=\"faint\">Experiment {}, {state}; made {}</p>\n<nav aria-label=\"Sections\"><ul><li><a href=\"#summary\">Summary</a></li>\
             <li><a href=\"#charts\">Charts</a></li><li><a href=\"#runs\">Runs</a></li><li><a href=\"#config\">Config</a></li></ul></nav>\n</header>\n<main id=\"content\">\n",
            self.experiment.id.short(),
            escaped(&self.experiment.created_at.to_string()[..16].replace('T', " ")),
        )
        .ok();
    }

    fn summary(&self, html: &mut String) {
        let config = &self.experiment.config;
        html.push_str("<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<dl class=\"facts\">\n");
        for (name, count) in [
            ("runs", self.counts.runs),
            ("outputs", self.counts.invocations),
            ("embeddings", self.counts.embeddings),
            ("diagrams", self.counts.persistence_diagrams),
            ("failed attempts", self.counts.failures),
        ] {
            writeln!(html, "<div><dt>{name}</dt><dd>{count}</dd></div>").ok();
        }
        html.push_str("</dl>\n<table class=\"asked\">\n<tbody>\n");
        let mut row = |name: &str, values: &mut dyn Iterator<Item = String>| {
            let values: Vec<String> = values.map(|value| escaped(&value)).collect();
            // Each in a block of its own: lines that wrap must not look like more of them.
            writeln!(html, "<tr><th scope=\"row\">{name}</th><td><div>{}</div></td></tr>", values.join("</div><div>"))
                .ok();
        };
        row("Networks", &mut config.networks.iter().map(ToString::to_string));
        row(
            "Prompts",
            &mut config
                .prompts
                .iter()
                .map(|prompt| if prompt.is_empty() { "(empty)".to_owned() } else { prompt.clone() }),
        );
        let seeds: Vec<String> = config.seeds.iter().map(|seed| seed.value().to_string()).collect();
        row("Seeds", &mut std::iter::once(seeds.join(", ")));
        row("Embedding models", &mut config.embedding_models.iter().map(ToString::to_string));
        row("Outputs of a run, at most", &mut std::iter::once(config.max_length.to_string()));
        row("Runs ended", &mut self.ends.iter().map(|(end, count)| format!("{count} {end}")));
        html.push_str("</tbody>\n</table>\n");
        if !self.visited.is_empty() {
            html.push_str("<h3>Texts that come most often</h3>\n<table>\n<thead><tr><th scope=\"col\" class=\"number\">times</th><th scope=\"col\" class=\"number\">runs</th><th scope=\"col\">text</th></tr></thead>\n<tbody>\n");
            for text in &self.visited {
                let words: String = text.text.chars().take(400).collect();
                let words = if words.is_empty() { "(empty)" } else { &words };
                writeln!(
                    html,
                    "<tr><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
                    text.visits,
                    text.runs,
                    escaped(words)
                )
                .ok();
            }
            html.push_str("</tbody>\n</table>\n");
        }
        html.push_str("</section>\n");
    }

    fn chart_section(&self, html: &mut String) {
        html.push_str("<section aria-labelledby=\"charts\">\n<h2 id=\"charts\">Charts</h2>\n<div class=\"charts\">\n");
        for chart in &self.charts {
            let title = escaped(&chart.title);
            writeln!(
                html,
                "<figure class=\"chart\" id=\"{}\"><a href=\"{}\"><img src=\"{}\" loading=\"lazy\" alt=\"{title}. {}\"></a></figure>",
                escaped(chart.file.trim_start_matches("charts/").trim_end_matches(".svg")),
                chart.file,
                chart.file,
                escaped(&chart.description)
            )
            .ok();
            debug_assert!(chart.file.contains(chart.kind.name()));
        }
        html.push_str("</div>\n");
        if !self.skipped.is_empty() {
            writeln!(html, "<details><summary>{} kinds of charts do not apply</summary><ul>", self.skipped.len()).ok();
            for (kind, why) in &self.skipped {
                writeln!(html, "<li>{kind}: {}</li>", escaped(why)).ok();
            }
            html.push_str("</ul></details>\n");
        }
        html.push_str("</section>\n");
    }

    fn run_section(&self, html: &mut String) {
        html.push_str("<section aria-labelledby=\"runs\">\n<h2 id=\"runs\">Runs</h2>\n");
        let mut before: Option<(&str, &str)> = None;
        for run in &self.runs {
            let heading = (run.prompt.as_str(), run.network.as_str());
            if before != Some(heading) {
                let prompt =
                    if run.prompt.is_empty() { "(empty prompt)".to_owned() } else { format!("“{}”", run.prompt) };
                writeln!(html, "<h3>{} <span class=\"faint\">{}</span></h3>", escaped(&prompt), escaped(&run.network))
                    .ok();
                before = Some(heading);
            }
            writeln!(html, "<figure class=\"run\"><figcaption><strong>{}</strong> <span class=\"faint\">{} · ended: {}</span></figcaption>", run.name, run.id, escaped(&run.end)).ok();
            if let Some(file) = &run.file {
                let alt = format!("Pictures of {}, evenly spaced, first to last", run.name);
                writeln!(
                    html,
                    "<a href=\"{file}\"><img src=\"{file}\" loading=\"lazy\" alt=\"{}\"></a>",
                    escaped(&alt)
                )
                .ok();
            }
            let texts: Vec<&Step> = run.steps.iter().filter(|step| step.text.is_some()).collect();
            if !texts.is_empty() {
                let shown = evenly(texts.len(), TEXTS_MAX);
                let of = if shown.len() < texts.len() {
                    format!("{} of {} texts", shown.len(), texts.len())
                } else {
                    format!("{} texts", texts.len())
                };
                writeln!(html, "<details><summary>{of}</summary><ol>").ok();
                for place in shown {
                    let text: String = texts[place].text.as_deref().unwrap_or_default().chars().take(600).collect();
                    let text = if text.is_empty() { "(empty)".to_owned() } else { escaped(&text) };
                    writeln!(html, "<li><span class=\"faint\">{}</span><span>{text}</span></li>", texts[place].number)
                        .ok();
                }
                html.push_str("</ol></details>\n");
            }
            html.push_str("</figure>\n");
        }
        if self.runs_left_out > 0 {
            writeln!(html, "<p>{} more runs are not shown.</p>", self.runs_left_out).ok();
        }
        html.push_str("</section>\n");
    }

    fn config(&self, html: &mut String) {
        let config = super::pretty(&self.experiment.config_as_given);
        let escaped: Vec<String> = config.lines().map(escaped).collect();
        write!(
            html,
            "<section aria-labelledby=\"config\">\n<h2 id=\"config\">Config</h2>\n<p>As it was given; <a href=\"config.json\">config.json</a> holds it too.</p>\n<pre>{}</pre>\n</section>\n",
            escaped.join("\n")
        )
        .ok();
    }
}
