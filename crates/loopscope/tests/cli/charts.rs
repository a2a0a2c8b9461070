//! `export charts|mosaic|timeline|grid|video|site` as people meet them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Place;

const CONFIG: &str = "networks = [[\"DummyT2I\", \"DummyI2T\"], [\"DummyT2I2\", \"DummyI2T\"]]\n\
                      prompts = [\"a red circle\", \"<b>a house</b> & a very long prompt that goes on about 漢字 and the sea, the sea\"]\n\
                      seeds = [1, 2, 3]\nembedding_models = [\"DummyText\", \"DummyVision\"]\nmax_length = 24\n";

fn place(config: &str) -> Place {
    let place = Place::new();
    place.write("circles.toml", config);
    place.ok(&["experiment", "run", "circles.toml", "--quiet"]);
    place
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    names
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn charts_are_drawn_the_same_twice_and_say_what_does_not_apply() {
    let place = place(CONFIG);
    let ended = place.run(&["export", "charts", "circles", "--out", "one"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let why = "cluster-timelines: not drawn: no clustering is stored; `loopscope cluster run DummyText` makes one";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    for model in ["DummyText", "DummyVision"] {
        place.ok(&["cluster", "run", model]);
    }
    place.ok(&["export", "charts", "circles", "--out", "one", "--force"]);
    let json = place.json(&["export", "charts", "circles", "--out", "two", "--json"]);
    let (one, two) = (files(&place.path("one")), files(&place.path("two")));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    assert!(one == two, "the same bytes");
    let drawn = json["charts"].as_array().unwrap().len();
    assert_eq!(drawn + 1, two.len(), "the list of what was written is beside them");
    let kinds: std::collections::BTreeSet<&str> =
        json["charts"].as_array().unwrap().iter().map(|chart| chart["kind"].as_str().unwrap()).collect();
    let skipped = json["skipped"].as_array().unwrap().len();
    assert_eq!(kinds.len() + skipped, 26);
    assert!(kinds.len() >= 20, "{json:#}");
    for (name, bytes) in one.iter().filter(|(name, _)| name.ends_with(".svg")) {
        let svg = std::str::from_utf8(bytes).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{name}");
        assert!(!svg.contains("<b>") && !svg.contains("NaN") && !svg.contains("inf\""), "{name}");
        assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count(), "{name}");
        assert!(svg.contains("<title id=\"t\">") && svg.contains("<desc id=\"d\">"), "{name}");
        assert!(svg.contains("n = ") || svg.contains("Different pictures"), "{name} says how many it rests on");
    }
    let faceted = std::str::from_utf8(&one["persistence-diagram-faceted.svg"]).unwrap();
    assert_eq!(faceted.matches("<g class=\"panel\">").count(), 4, "two embedders, two networks");
    assert!(faceted.contains("H1 (loops)") && faceted.contains("birth (distance)"));
}

/// What a chart comes to: its size, its texts and where they stand, and of every kind of form how many there are and the sum of
/// their coordinates, all in whole pixels. Whoever moves, adds or leaves out anything that shows changes it.
fn digest(svg: &str) -> String {
    let attribute = |element: &str, name: &str| -> Option<String> {
        Some(element.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.to_owned())
    };
    let numbers = |text: &str| -> Vec<f64> {
        let is_in_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
        text.split(|letter: char| !is_in_number(letter)).filter_map(|number| number.parse().ok()).collect()
    };
    let (mut forms, mut texts): (BTreeMap<String, (usize, f64)>, String) = (BTreeMap::new(), String::new());
    for element in svg.split('<').skip(1) {
        let name = element.split([' ', '>', '/']).next().unwrap();
        let place: Vec<f64> = ["x", "y", "width", "height", "cx", "cy", "r", "d"]
            .into_iter()
            .filter_map(|name| attribute(element, name))
            .flat_map(|value| numbers(&value))
            .collect();
        if name == "text" {
            let words = element.split_once('>').unwrap().1;
            texts += &format!("{:4.0} {:4.0} {words}\n", place[0], place[1]);
        } else if ["rect", "path", "circle", "image"].contains(&name) {
            let look = ["fill", "stroke", "stroke-dasharray"].map(|name| attribute(element, name).unwrap_or_default());
            let form = forms.entry(format!("{name} {}", look.join(" ").trim())).or_default();
            *form = (form.0 + 1, form.1 + place.iter().sum::<f64>());
        }
    }
    let (width, height) = (attribute(svg, "width").unwrap(), attribute(svg, "height").unwrap());
    let forms: String = forms.iter().map(|(look, (count, sum))| format!("{count} × {look}: {sum:.0}\n")).collect();
    format!("{width} × {height}\n{texts}{forms}")
}

#[test]
fn every_kind_of_chart_looks_as_it_did() {
    let place = Place::new();
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/fixtures/shapes.sqlite"),
        place.path("loopscope.sqlite"),
    )
    .unwrap();
    let json = place.json(&["export", "charts", "shapes", "--out", "c", "--json"]);
    assert_eq!(json["skipped"].as_array().map(Vec::len), Some(0), "every kind is drawn of it: {json:#}");
    let mut all = String::new();
    for (name, bytes) in files(&place.path("c")).iter().filter(|(name, _)| name.ends_with(".svg")) {
        all += &format!("== {name}\n{}\n", digest(std::str::from_utf8(bytes).unwrap()));
    }
    insta::assert_snapshot!("every_kind_of_chart", all);
}

#[test]
fn letters_that_no_font_has_are_told_and_shown_as_boxes() {
    // No script has U+0378, so that no machine has a font for it.
    let place = place(
        &CONFIG.replace("a red circle", "a red \u{378} circle").replace("[1, 2, 3]", "[1]").replace("= 24", "= 4"),
    );
    let kinds = ["--kind", "entropy-by-prompt,sense-check"];
    let told = |arguments: &[&str]| place.run(&[&["export", "charts", "circles"][..], &kinds[..], arguments].concat());
    let ended = told(&["--format", "png", "--out", "p"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("of 1 chart: boxes stand for ") && ended.stderr.contains("(U+0378)"),
        "{}",
        ended.stderr
    );
    let svg = told(&["--format", "svg", "--out", "s"]);
    assert!(!svg.stderr.contains("boxes"), "an SVG is drawn elsewhere: {}", svg.stderr);
    let json = place
        .json(&[&["export", "charts", "circles", "--format", "pdf", "--out", "j", "--json"][..], &kinds[..]].concat());
    assert!(json["letters_without_font"].as_array().unwrap().contains(&"\u{378}".into()), "{json:#}");
}

#[test]
fn charts_are_written_in_three_formats_and_show_a_run() {
    let place = place(CONFIG);
    let run = place.json(&["run", "list", "circles", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let kinds = "barcode,recurrence-plot,embedding-map,cluster-examples";
    place.ok(&["cluster", "run", "DummyVision"]);
    let arguments = ["--format", "svg,png,pdf", "--run", &run, "--out", "c", "--kind", kinds];
    place.ok(&[&["export", "charts", "circles"][..], &arguments[..]].concat());
    let files = files(&place.path("c"));
    assert!(files["barcode.dummytext.png"].starts_with(b"\x89PNG"));
    for name in ["barcode.dummytext.pdf", "cluster-examples.dummyvision.pdf"] {
        let pdf = &files[name];
        assert!(pdf.starts_with(b"%PDF-") && pdf.trim_ascii_end().ends_with(b"%%EOF"), "{name}");
    }
    let svg = String::from_utf8(files["barcode.dummytext.svg"].clone()).unwrap();
    assert_eq!(svg.matches("<g class=\"panel\">").count(), 1, "the run that was asked for");
    assert!(svg.contains("the one that was asked for"));
}

#[test]
fn charts_refuse_what_they_should() {
    let place = place(CONFIG);
    let unknown = place.complaint(&["export", "charts", "circles", "--kind", "barcod"]);
    assert!(unknown.starts_with("exit 2\n") && unknown.contains("did you mean \"barcode\"?"), "{unknown}");
    place.ok(&["export", "charts", "circles", "--kind", "barcode", "--out", "c"]);
    let again = place.complaint(&["export", "charts", "circles", "--kind", "barcode", "--out", "c"]);
    assert!(again.contains("c is not empty") && again.contains("--force"), "{again}");
    let nothing = place.complaint(&["export", "charts", "circles", "--kind", "markov-graph", "--out", "d"]);
    assert!(nothing.contains("there is nothing to export") && nothing.contains("cluster run"), "{nothing}");
    assert!(!place.path("d").exists(), "nothing is left behind");
    place.write("file", "");
    assert!(place.complaint(&["export", "charts", "circles", "--out", "file"]).contains("expected a directory"));
    assert_eq!(place.ok(&["export", "charts", "--kind", "list"]).lines().count(), 26);
}

#[test]
fn sheets_have_the_formats_and_limits_that_they_say() {
    let place = place(CONFIG);
    for (command, name, magic) in [
        ("mosaic", "m.png", &b"\x89PNG"[..]),
        ("timeline", "t.jpg", &b"\xFF\xD8\xFF"[..]),
        ("mosaic", "m.webp", &b"RIFF"[..]),
    ] {
        place.ok(&["export", command, "circles", "--out", name, "--tile", "48"]);
        assert!(std::fs::read(place.path(name)).unwrap().starts_with(magic), "{name}");
    }
    place.ok(&["export", "grid", "latest", "--out", "g.png", "--columns", "3"]);
    let refused = |arguments: &[&str]| place.complaint(arguments);
    assert!(refused(&["export", "mosaic", "circles", "--out", "m.gif"]).contains("expected .png, .jpg or .webp"));
    assert!(refused(&["export", "mosaic", "circles", "--out", "m.png"]).contains("m.png exists"));
    let large = refused(&["export", "timeline", "circles", "--out", "x.webp", "--tile", "2048"]);
    assert!(large.contains("WebP holds 16383 on a side") && large.contains("smaller --tile"), "{large}");
    let none = refused(&["export", "mosaic", "circles", "--out", "x.png", "--prompt", "zebra"]);
    assert!(none.contains("no prompt of experiment \"circles\" holds \"zebra\""), "{none}");
    assert!(!place.path("x.webp").exists() && !place.path("x.png").exists());
}

#[test]
fn a_site_needs_nothing_but_itself() {
    let place = place(CONFIG);
    place.ok(&["export", "site", "circles", "site"]);
    let page = std::fs::read_to_string(place.path("site/index.html")).unwrap();
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"), "no request, no script");
    assert!(page.contains("&lt;b&gt;a house&lt;/b&gt;") && !page.contains("<b>a house"));
    for file in page.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(place.path("site").join(file).exists(), "{file}");
    }
    assert_eq!(page.matches("<img ").count(), page.matches(" alt=\"").count(), "every picture is described");
    assert!(place.complaint(&["export", "site", "circles", "site"]).contains("is not empty"));
}

/// The boxes of an MP4: their names, and where their contents lie.
#[cfg(feature = "video")]
fn boxes(bytes: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at + 8 <= bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let name = String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned();
        let (head, size) = match size {
            1 => (16, u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize),
            0 => (8, bytes.len() - at),
            size => (8, size),
        };
        assert!(size >= head && at + size <= bytes.len(), "{name} of {size} at {at}");
        found.push((name, at + head..at + size));
        at += size;
    }
    assert_eq!(at, bytes.len(), "boxes fill the file");
    found
}

#[cfg(feature = "video")]
#[test]
fn a_video_is_an_mp4_with_every_turn_in_it() {
    let place = place(&CONFIG.replace("max_length = 24", "max_length = 4").replace("seeds = [1, 2, 3]", "seeds = [1]"));
    let json = place.json(&["export", "video", "circles", "--out", "v.mp4", "--fps", "5", "--json"]);
    // A card of 3 seconds, a turn, and the last turn for 3 seconds.
    assert_eq!((json["written"]["frames"].as_u64(), json["written"]["held"].as_u64()), (Some(3), Some(0)));
    assert_eq!(json["written"]["seconds"].as_f64(), Some(3.0 + 0.2 + 3.0));
    let bytes = std::fs::read(place.path("v.mp4")).unwrap();
    let top = boxes(&bytes);
    let names: Vec<&str> = top.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "free").collect();
    assert_eq!(names, ["ftyp", "moov", "mdat"], "the index comes first, so that it plays while it loads");
    let moov = &bytes[top.iter().find(|(name, _)| name == "moov").unwrap().1.clone()];
    let has = |word: &[u8]| moov.windows(word.len()).any(|window| window == word);
    assert!(has(b"av01") && has(b"av1C"));
    let at = moov.windows(4).position(|window| window == b"stsz").unwrap();
    let count = u32::from_be_bytes(moov[at + 12..at + 16].try_into().unwrap());
    assert_eq!(count, 3, "samples");
    let ffmpeg = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i", "v.mp4", "-f", "null", "-"])
        .current_dir(place.folder.path())
        .output();
    if let Ok(output) = ffmpeg {
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(place.complaint(&["export", "video", "circles", "--out", "v.avi"]).contains("does not end in .mp4"));
    assert!(place.complaint(&["export", "video", "circles", "--out", "v.mp4"]).contains("v.mp4 exists"));
    let other =
        place.complaint(&["export", "video", "circles", "--out", "w.mp4", "--encoder", "builtin", "--codec", "h264"]);
    assert!(other.contains("makes AV1, and H.264 was asked for") && other.contains("leave out --encoder"), "{other}");
    let mut without = place.command(&["export", "video", "circles", "--out", "w.mp4", "--resolution", "4k"]);
    let ended = crate::support::ended(without.env("PATH", "").output().unwrap());
    assert!(ended.stderr.contains("--resolution 4k needs ffmpeg, and there is none on the path"), "{}", ended.stderr);
    assert!(ended.stderr.contains("AV1 in HD needs nothing") && !place.path("w.mp4").exists(), "{}", ended.stderr);
}
