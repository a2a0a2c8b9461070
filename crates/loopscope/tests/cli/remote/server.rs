//! A server that speaks each dialect, and misbehaves when its models are asked to.
//!
//! The first part of a request's path names the dialect (`/vllm/v1/…`); a request that is not of that dialect is
//! answered 400, with the reason. The model's name says how the server behaves: `good`, or one of [`MISDEEDS`]. What a
//! good model gives is a function of the request alone.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A key that is found wherever it leaks to.
pub(crate) const CANARY: &str = "sk-canary-7f3a9c51e0d84b26";

/// What the server does wrong, by the name of the model.
pub(crate) const MISDEEDS: [&str; 27] = [
    "busy-at-first",
    "fails-at-first",
    "busy",
    "500",
    "silent",
    "dripping",
    "truncated",
    "half-json",
    "html",
    "redirect",
    "redirect-here",
    "oversize",
    "endless",
    "gzip",
    "gzip-bomb",
    "bomb",
    "too-many-pixels",
    "no-picture",
    "elsewhere",
    "by-url",
    "empty",
    "two",
    "many-items",
    "deep",
    "echo-key",
    "refused",
    "error-in-200",
];

#[derive(Default)]
struct Seen {
    /// How often each request came.
    times: BTreeMap<Vec<u8>, usize>,
    requests: usize,
}

/// A server on a port of its own; it lives as long as the process.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
}

struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Server {
    /// Starts a server; `elsewhere` is the port of another host that it tries to lead to.
    pub(crate) fn start(elsewhere: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = shared.clone();
                // A client that hangs up in the middle is what half of the tests are about.
                std::thread::spawn(move || server.serve(stream, elsewhere).ok());
            }
        });
        server
    }

    pub(crate) fn url(&self, dialect: &str) -> String {
        format!("http://127.0.0.1:{}/{dialect}/v1", self.port)
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    fn serve(&self, stream: TcpStream, elsewhere: u16) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some(request) = read_request(&mut reader)? {
            let times = {
                let mut seen = self.seen.lock().unwrap();
                seen.requests += 1;
                let times = seen.times.entry([request.path.as_bytes(), &request.body].concat()).or_default();
                *times += 1;
                *times
            };
            if !answer(&request, times, elsewhere, &mut stream)? {
                // Nothing more is said; the client may go when it has had enough.
                std::io::copy(&mut reader, &mut std::io::sink())?;
                return Ok(());
            }
        }
        Ok(())
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { path, headers, body }))
}

fn send(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    Ok(true)
}

fn send_json(stream: &mut TcpStream, status: u16, body: &Value) -> std::io::Result<bool> {
    send(stream, status, &[("content-type", "application/json")], body.to_string().as_bytes())
}

fn refuse(stream: &mut TcpStream, status: u16, message: &str) -> std::io::Result<bool> {
    send_json(stream, status, &json!({ "error": { "message": message, "code": null } }))
}

/// Answers a request; `false` leaves the client waiting.
fn answer(request: &Request, times: usize, elsewhere: u16, stream: &mut TcpStream) -> std::io::Result<bool> {
    let key = request.headers.get("authorization").or_else(|| request.headers.get("api-key"));
    let key = key.cloned().unwrap_or_default();
    if let Some(name) = request.path.strip_prefix("/files/") {
        let bytes = STANDARD.decode(name.replace('_', "/").replace('-', "+")).unwrap();
        return send(stream, 200, &[("content-type", "image/png")], &bytes);
    }
    let mut parts = request.path.trim_start_matches('/').splitn(3, '/');
    let (dialect, path) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    let dialect = dialect.trim_start_matches("again-");
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return refuse(stream, 400, "not JSON") };
    // Servers on this machine want no key; the two in the cloud do.
    if matches!(dialect, "openai" | "openrouter") && !key.ends_with(CANARY) {
        return refuse(stream, 401, &format!("Incorrect API key provided: {key}"));
    }
    if let Err(reason) = is_of_dialect(dialect, path, &body) {
        return refuse(stream, 400, &format!("not {dialect}: {reason}"));
    }
    let model = body["model"].as_str().unwrap_or_default();
    let good = || good_answer(dialect, path, &body);
    let echo = format!("you sent {key}");
    match model.split('/').next_back().unwrap_or_default() {
        "good" => send_json(stream, 200, &good()),
        "busy-at-first" if times == 1 => send(stream, 429, &[("retry-after", "0")], echo.as_bytes()),
        "fails-at-first" if times == 1 => refuse(stream, 503, &echo),
        "busy" => send(stream, 429, &[("retry-after", "0")], echo.as_bytes()),
        "500" => refuse(stream, 500, &echo),
        "silent" => Ok(false),
        "dripping" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{\"data\": [")?;
            Ok(false)
        }
        "truncated" => {
            let body = good().to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len() + 1);
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body.as_bytes()[..body.len() / 2])?;
            stream.shutdown(std::net::Shutdown::Both)?;
            Ok(false)
        }
        "half-json" => {
            let body = good().to_string();
            send(stream, 200, &[], &body.as_bytes()[..body.len() / 2])
        }
        "html" => {
            let page = format!("<!doctype html><title>Sign in</title><p>{key}</p>");
            send(stream, 200, &[("content-type", "text/html")], page.as_bytes())
        }
        "redirect" => {
            let location = format!("http://127.0.0.1:{elsewhere}/{dialect}/v1/{path}?key={key}");
            send(stream, 307, &[("location", &location)], b"")
        }
        "redirect-here" if !request.path.starts_with("/again-") => {
            send(stream, 307, &[("location", &format!("/again-{}", request.path.trim_start_matches('/')))], b"")
        }
        "oversize" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n[")?;
            Ok(false)
        }
        "endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            let chunk = [b"10000\r\n".as_slice(), &[b' '; 1 << 16], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk)?;
            }
        }
        "gzip" => send(stream, 200, &[("content-encoding", "gzip")], &zip_of_nothing()),
        "gzip-bomb" => send(stream, 200, &[("content-encoding", "gzip")], &zip_of_spaces()),
        "bomb" => send_json(stream, 200, &with_picture(dialect, &png_that_claims(16_384, 16_384))),
        "too-many-pixels" => send_json(stream, 200, &with_picture(dialect, &png(2048, 2048, [1, 2, 3]))),
        "no-picture" => send_json(stream, 200, &with_picture(dialect, b"GIF89a and so on")),
        "elsewhere" => {
            let url = format!("http://127.0.0.1:{elsewhere}/files/x.png");
            send_json(stream, 200, &json!({ "data": [{ "url": url }] }))
        }
        "by-url" => {
            let name = good()["data"][0]["b64_json"].as_str().unwrap().replace('/', "_").replace('+', "-");
            send_json(stream, 200, &json!({ "data": [{ "url": format!("/files/{name}") }] }))
        }
        "empty" => send_json(stream, 200, &json!({ "data": [], "choices": [] })),
        "two" => {
            let mut answer = good();
            for list in ["data", "choices"] {
                if let Some(items) = answer.get_mut(list).and_then(Value::as_array_mut) {
                    items.push(items[0].clone());
                }
            }
            send_json(stream, 200, &answer)
        }
        "many-items" => {
            // 48 MiB that would be gigabytes as a document.
            let list = if path == "chat/completions" { "choices" } else { "data" };
            let (start, end) = (format!("{{\"{list}\": ["), b"{}]}");
            let items = b"{},".repeat(1 << 16);
            let length = start.len() + end.len() + items.len() * 256;
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{start}").as_bytes())?;
            (0..256).try_for_each(|_| stream.write_all(&items))?;
            stream.write_all(end)?;
            Ok(true)
        }
        "deep" => send(stream, 200, &[], &b"[".repeat(1 << 20)),
        "echo-key" => {
            // The key as content, escaped, so that it is only itself once it is read.
            let escaped: String = key.chars().map(|letter| format!("\\u{:04x}", letter as u32)).collect();
            let body = format!("{{\"choices\": [{{\"message\": {{\"content\": \"{escaped}\"}}}}]}}");
            send(stream, 200, &[], body.as_bytes())
        }
        "refused" => {
            let message = json!({ "content": null, "refusal": format!("I will not. {key}") });
            send_json(stream, 200, &json!({ "choices": [{ "message": message }] }))
        }
        "error-in-200" => {
            send_json(stream, 200, &json!({ "error": { "message": format!("upstream is gone, {key}"), "code": 502 } }))
        }
        "shuffled" => {
            let mut answer = good();
            answer["data"].as_array_mut().unwrap().reverse();
            send_json(stream, 200, &answer)
        }
        "no-long-texts" if body["input"].as_array().is_some_and(|texts| texts.len() > 1) => {
            refuse(stream, 400, "this model takes one text at a time")
        }
        "wrong-dimension" => {
            let mut answer = good();
            answer["data"][0]["embedding"].as_array_mut().unwrap().pop();
            send_json(stream, 200, &answer)
        }
        "wrong-count" => {
            let mut answer = good();
            answer["data"].as_array_mut().unwrap().pop();
            send_json(stream, 200, &answer)
        }
        "not-numbers" => send_json(stream, 200, &json!({ "data": [{ "index": 0, "embedding": [1, null, 2] }] })),
        _ => send_json(stream, 200, &good()),
    }
}

/// Says whether a request is as the server of that dialect wants it.
fn is_of_dialect(dialect: &str, path: &str, body: &Value) -> Result<(), String> {
    let has = |key: &str| body.get(key).is_some();
    let wants = |key: &str| if has(key) { Ok(()) } else { Err(format!("{path} without {key}")) };
    let takes_no = |key: &str| if has(key) { Err(format!("{path} takes no {key}")) } else { Ok(()) };
    match path {
        "images/generations" => {
            wants("prompt")?;
            wants("size")?;
            match dialect {
                "openai" => ["seed", "steps", "response_format"].into_iter().try_for_each(takes_no),
                "vllm" | "sglang" => ["seed", "num_inference_steps", "response_format"].into_iter().try_for_each(wants),
                "localai" => ["seed", "step", "response_format"].into_iter().try_for_each(wants),
                "ollama" => wants("response_format"),
                other => Err(format!("{other} has no {path}")),
            }
        }
        "chat/completions" => {
            let content = &body["messages"][0]["content"];
            if dialect == "openrouter" && body["modalities"] == json!(["image", "text"]) {
                return if content.is_string() { Ok(()) } else { Err("the prompt is no text".to_owned()) };
            }
            wants(if dialect == "openai" { "max_completion_tokens" } else { "max_tokens" })?;
            let image = &content[1]["image_url"];
            let address = if dialect == "ollama" { image } else { &image["url"] };
            match address.as_str() {
                Some(address) if address.starts_with("data:image/png;base64,") => Ok(()),
                _ => Err("no picture where it looks for one".to_owned()),
            }
        }
        "embeddings" => {
            if body["encoding_format"] != "float" {
                return Err("encoding_format is not float".to_owned());
            }
            match dialect {
                "vllm" if has("messages") => Ok(()),
                _ => wants("input"),
            }
        }
        other => Err(format!("no path {other}")),
    }
}

/// What a good model gives: a function of what it is asked.
fn good_answer(dialect: &str, path: &str, body: &Value) -> Value {
    match path {
        "images/generations" => {
            let (width, height) = body["size"].as_str().unwrap().split_once('x').unwrap();
            let color = color_of(&format!("{}{}", body["prompt"], body["seed"]));
            with_picture(dialect, &png(width.parse().unwrap(), height.parse().unwrap(), color))
        }
        "chat/completions" if body.get("modalities").is_some() => {
            let color = color_of(&format!("{}{}", body["messages"], body["seed"]));
            with_picture(dialect, &png(32, 32, color))
        }
        "chat/completions" => {
            let [red, green, blue] = color_of(&format!("{}{}", body["messages"], body["seed"]));
            let text = format!("a plain of {red} poppies, {green} reeds and {blue} gentians");
            json!({ "choices": [{ "index": 0, "message": { "role": "assistant", "content": text } }] })
        }
        _ => {
            let inputs = match &body["input"] {
                Value::Array(inputs) => inputs.clone(),
                _ => vec![body["messages"].clone()],
            };
            let item = |(index, input): (usize, &Value)| json!({ "index": index, "object": "embedding", "embedding": vector_of(&input.to_string()) });
            json!({ "data": inputs.iter().enumerate().map(item).collect::<Vec<_>>() })
        }
    }
}

fn with_picture(dialect: &str, png: &[u8]) -> Value {
    let text = STANDARD.encode(png);
    if dialect == "openrouter" {
        let address = format!("data:image/png;base64,{text}");
        let image = json!({ "type": "image_url", "image_url": { "url": address } });
        return json!({ "choices": [{ "message": { "content": "", "images": [image] } }] });
    }
    json!({ "created": 1, "data": [{ "b64_json": text }] })
}

fn hash_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn color_of(text: &str) -> [u8; 3] {
    let [red, green, blue, ..] = (hash_of(text) >> 8).to_le_bytes();
    [red, green, blue]
}

/// The numbers of a text: eight, of which the first is never 0.
pub(crate) fn vector_of(text: &str) -> [f32; 8] {
    let bytes = hash_of(text).to_le_bytes();
    std::array::from_fn(|place| if place == 0 { 1.0 } else { f32::from(bytes[place]) / 256.0 - 0.5 })
}

fn png(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels = color.repeat(width as usize * height as usize);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// A picture of a few bytes whose header claims sides that it has not.
fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1, 1, [0; 3]);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = bytes[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

/// A gzip of more spaces than an answer may have bytes, in 70 KB.
fn zip_of_spaces() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for _ in 0..65 {
        encoder.write_all(&[b' '; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

/// A gzip of blocks that say nothing, in which a reader may get lost.
fn zip_of_nothing() -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    [&head[..], &[0, 0, 0, 0xff, 0xff].repeat(1 << 16)].concat()
}
