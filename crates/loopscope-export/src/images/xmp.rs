//! XMP: what programs for pictures, archives and searches read, in a namespace of our own beside the common ones.

use roxmltree::Document;
use xmp_writer::{CustomNamespace, DateTime, Namespace, Timezone, XmpWriter};

use super::PictureMetadata;

/// The namespace of our own properties. It names, and leads nowhere.
const OURS: &str = "urn:loopscope:metadata:1:";

/// Returns the packet.
pub(super) fn xmp_of(metadata: &PictureMetadata) -> String {
    let mut writer = XmpWriter::new();
    let prompt = shown(&metadata.initial_prompt);
    writer.description([(None, prompt.as_str())]);
    writer.creator_tool(&metadata.program);
    writer.identifier(&format!("urn:uuid:{}", metadata.invocation_id));
    if let Some(moment) = time_of(&metadata.started_at) {
        writer.create_date(moment);
    }
    let namespace = || Namespace::Custom(Box::new(CustomNamespace::new("loopscope", "loopscope", OURS)));
    for (name, value) in properties_of(metadata) {
        writer.element(name, namespace()).value(shown(&value).as_str());
    }
    let network: Vec<String> = metadata.network.iter().map(|model| shown(model)).collect();
    writer.element("network", namespace()).ordered_array(network.iter().map(String::as_str));
    writer.finish(None)
}

fn properties_of(metadata: &PictureMetadata) -> [(&'static str, String); 12] {
    [
        ("experimentId", metadata.experiment_id.clone()),
        ("experimentName", metadata.experiment_name.clone()),
        ("runId", metadata.run_id.clone()),
        ("invocationId", metadata.invocation_id.clone()),
        ("modelVersionId", metadata.model_version_id.clone()),
        ("initialPrompt", metadata.initial_prompt.clone()),
        ("model", metadata.model.clone()),
        ("sequenceNumber", metadata.sequence_number.to_string()),
        ("seed", metadata.seed.to_string()),
        ("runSeed", metadata.run_seed.to_string()),
        ("runNumber", metadata.run_number.to_string()),
        ("startedAt", metadata.started_at.clone()),
    ]
}

/// Returns what a packet says, when it has our properties.
pub(super) fn metadata_of_xmp(packet: &[u8]) -> Option<PictureMetadata> {
    let text = std::str::from_utf8(packet).ok()?;
    let document = Document::parse(text.trim_start_matches('\u{FEFF}').trim_end_matches('\0')).ok()?;
    // Other programs write a property as an attribute of its subject.
    let find = |name: &str| {
        document.descendants().find_map(|node| match node.has_tag_name((OURS, name)) {
            true => Some(node.text().unwrap_or_default().to_owned()),
            false => node.attribute((OURS, name)).map(str::to_owned),
        })
    };
    let network = document.descendants().find(|node| node.has_tag_name((OURS, "network")))?;
    let items = network.descendants().filter(|node| node.tag_name().name() == "li");
    let tool = document.descendants().find(|node| node.tag_name().name() == "CreatorTool");
    Some(PictureMetadata {
        experiment_id: find("experimentId")?,
        experiment_name: find("experimentName")?,
        run_id: find("runId")?,
        invocation_id: find("invocationId")?,
        model_version_id: find("modelVersionId")?,
        network: items.map(|item| item.text().unwrap_or_default().to_owned()).collect(),
        initial_prompt: find("initialPrompt")?,
        model: find("model")?,
        sequence_number: find("sequenceNumber")?.parse().ok()?,
        seed: find("seed")?.parse().ok()?,
        run_seed: find("runSeed")?.parse().ok()?,
        run_number: find("runNumber")?.parse().ok()?,
        started_at: find("startedAt")?,
        program: tool.and_then(|node| node.text()).unwrap_or("unknown").to_owned(),
    })
}

/// Returns a text with what XML cannot hold shown as what cannot be shown; EXIF has it exactly.
fn shown(text: &str) -> String {
    let fits = |letter: char| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        letter => letter >= ' ',
    };
    text.chars().map(|letter| if fits(letter) { letter } else { '\u{FFFD}' }).collect()
}

fn time_of(moment: &str) -> Option<DateTime> {
    let number = |range: std::ops::Range<usize>| moment.get(range)?.parse::<u16>().ok();
    let small = |range| number(range).and_then(|value| u8::try_from(value).ok());
    let (year, month, day) = (number(0..4)?, small(5..7)?, small(8..10)?);
    Some(DateTime::new(year, month, day, small(11..13)?, small(14..16)?, small(17..19)?, Timezone::Utc))
}
