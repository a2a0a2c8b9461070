//! Downloads, from a hub of our own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loopscope_core::experiment::ModelName;
use loopscope_models::{ModelRegistry, PullError, PullEvent, pull};

const TOKEN: &str = "hf_canary0123456789";
const COMMIT: &str = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf";
const FILES: [(&str, &str); 5] = [
    ("config.json", "{\"model_type\": \"bert\"}"),
    ("model.safetensors", "weights"),
    ("pytorch_model.bin", "the same, pickled"),
    ("onnx/model.onnx", "the same for others"),
    ("1_Pooling/config.json", "{}"),
];

/// A hub with one repository; what it answers to a request for a file without the token is `gate`.
fn hub(gate: u16) -> (String, Arc<AtomicUsize>) {
    hub_without("", gate)
}

/// The same, of which one file cannot be had.
fn hub_without(lacking: &'static str, gate: u16) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || serve(stream, gate, lacking, &counter).ok());
        }
    });
    (url, served)
}

fn serve(mut stream: TcpStream, gate: u16, lacking: &str, served: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let header =
            |name: &str| head.iter().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
        let has_token = header("authorization:").is_some_and(|value| value.contains(TOKEN));
        if gate != 200 && !has_token {
            write!(stream, "HTTP/1.1 {gate} No\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        }
        if path.starts_with("/api/models/") {
            let siblings: Vec<_> = FILES.iter().map(|(name, _)| serde_json::json!({ "rfilename": name })).collect();
            let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
            continue;
        }
        let name = path.split_once(&format!("/resolve/{COMMIT}/")).map(|(_, name)| name.to_owned());
        let Some((name, text)) = FILES.iter().find(|(file, _)| name.as_deref() == Some(*file) && *file != lacking)
        else {
            write!(stream, "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        let whole = text.len();
        let body = if header("range:").is_some_and(|range| range.contains("bytes=0-0")) { &text[..1] } else { text };
        served.fetch_add(usize::from(body.len() == whole), Ordering::Relaxed);
        write!(
            stream,
            "HTTP/1.1 206 OK\r\ncontent-length: {}\r\ncontent-range: bytes 0-{}/{whole}\r\netag: \"{}\"\r\nx-repo-commit: {COMMIT}\r\n\r\n{body}",
            body.len(),
            body.len() - 1,
            name.replace('/', "-"),
        )?;
    }
}

fn registry(cache: &Path, url: &str, set: &[(&str, &str)]) -> ModelRegistry {
    let mut variables: Vec<(String, String)> =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    variables.push(("HF_HUB_CACHE".to_owned(), cache.display().to_string()));
    variables.push(("HF_ENDPOINT".to_owned(), url.to_owned()));
    ModelRegistry::without_file()
        .with_environment(move |name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
}

fn minilm() -> ModelName {
    ModelName::new("MiniLM")
}

#[test]
fn a_download_takes_what_is_read_once_and_is_found_offline() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("hub");
    let (url, served) = hub(401);
    let registry_of = |set: &[(&str, &str)]| registry(&cache, &url, set);
    let mut told = Vec::new();
    let pulled = pull(&registry_of(&[("HF_TOKEN", TOKEN)]), &minilm(), &mut |event| told.push(event)).unwrap();
    assert_eq!((pulled.commit.as_str(), pulled.file_count, pulled.downloaded_count), (COMMIT, 3, 3));
    let files = |name: &str| std::fs::read_to_string(pulled.directory.join(name));
    assert_eq!(files("model.safetensors").unwrap(), "weights");
    assert_eq!(files("1_Pooling/config.json").unwrap(), "{}");
    assert!(files("pytorch_model.bin").is_err() && files("onnx/model.onnx").is_err());
    assert_eq!(told[0], PullEvent::Planned { commit: COMMIT.to_owned(), files: 3 });
    assert!(told.contains(&PullEvent::File { name: "model.safetensors".to_owned(), bytes: 7 }));
    let before = served.load(Ordering::Relaxed);
    let again = pull(&registry_of(&[("HF_TOKEN", TOKEN)]), &minilm(), &mut |_| {}).unwrap();
    assert_eq!((again.downloaded_count, served.load(Ordering::Relaxed)), (0, before));
    let offline = pull(&registry_of(&[("HF_HUB_OFFLINE", "1")]), &minilm(), &mut |_| {}).unwrap();
    assert_eq!(offline.directory, pulled.directory);
}

#[test]
fn a_download_that_breaks_off_is_found_only_after_it_was_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("hub");
    let is_found = || pull(&registry(&cache, "http://127.0.0.1:1", &[("HF_HUB_OFFLINE", "1")]), &minilm(), &mut |_| {});
    let (broken, _) = hub_without("model.safetensors", 200);
    assert!(pull(&registry(&cache, &broken, &[]), &minilm(), &mut |_| {}).is_err());
    assert!(matches!(is_found(), Err(PullError::Offline { .. })));
    let (whole, _) = hub(200);
    let pulled = pull(&registry(&cache, &whole, &[]), &minilm(), &mut |_| {}).unwrap();
    assert_eq!((pulled.file_count, pulled.downloaded_count), (3, 2), "the config was here");
    assert_eq!(is_found().unwrap().directory, pulled.directory);
}

#[test]
fn a_hub_that_refuses_says_what_to_do_and_shows_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let told = |gate: u16, set: &[(&str, &str)]| {
        let (url, _) = hub(gate);
        let error = pull(&registry(&folder.path().join("hub"), &url, set), &minilm(), &mut |_| {}).unwrap_err();
        let PullError::Refused { remedy, .. } = &error else { panic!("{error:?}") };
        let text = format!("{error}: {remedy}").replace(&url, "HUB");
        assert!(!text.contains(TOKEN) && !format!("{error:?}").contains(TOKEN));
        text
    };
    let other = [("HF_TOKEN", "hf_another_token_9876")];
    assert!(told(401, &[]).contains("HUB/settings/tokens"));
    assert!(told(403, &other).contains("accept the terms at HUB/sentence-transformers/all-MiniLM-L6-v2"));
    assert!(told(404, &other).contains("no such repository or revision"));
    let offline = registry(folder.path(), "http://127.0.0.1:1", &[("HF_HUB_OFFLINE", "1")]);
    assert!(matches!(pull(&offline, &minilm(), &mut |_| {}), Err(PullError::Offline { .. })));
    assert!(matches!(pull(&offline, &ModelName::new("DummyText"), &mut |_| {}), Err(PullError::Nothing { .. })));
}
