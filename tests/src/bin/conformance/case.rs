//! A conformance case: its statements, its input and the expected output.
//!
//! One case of a file is run once for each of its formats.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::json::Json;

/// One run of a case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// The value of `{FORMAT}`.
    pub format: Option<String>,
    /// The statements, in order.
    pub statements: Vec<String>,
    /// Settings by name.
    pub properties: Vec<(String, String)>,
    /// Topics that exist before the statements.
    pub topics: Vec<Json>,
    /// Input records, in order.
    pub inputs: Vec<Record>,
    /// Expected output records, in order for each topic.
    pub outputs: Vec<Record>,
    /// The message of the expected error.
    pub refusal: Option<String>,
    /// What must exist afterwards.
    pub post: Json,
    /// False if ksqlDB itself does not run the case.
    pub enabled: bool,
}

/// A record of a case.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its key.
    pub key: Json,
    /// Its value.
    pub value: Json,
    /// Its timestamp in ms, if specified. Without it, an input record has timestamp 0, and an output record may have
    /// any.
    pub timestamp_ms: Option<i64>,
    /// Its headers, if specified: name and value in base64.
    pub headers: Option<Vec<(String, Option<String>)>>,
    /// The window in its key.
    pub window: Option<Window>,
}

/// A window in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Start in ms.
    pub start_ms: i64,
    /// End in ms.
    pub end_ms: i64,
    /// Whether it is a session window, not a time window.
    pub is_session: bool,
}

/// Reads all cases of a folder, in the order of their file names. Fails when a file cannot be parsed.
pub fn read_all(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    let read = |path: &PathBuf| read_file(path).map_err(|e| format!("{}: {e}", path.display()));
    Ok(files.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat())
}

fn read_file(path: &Path) -> Result<Vec<Case>, String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let json = Json::parse(&text)?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(json.get("tests").map_or(&[][..], Json::items).iter().flat_map(|test| runs(&file, test)).collect())
}

/// One run for each format and for each value of `config`.
fn runs(file: &str, test: &Json) -> Vec<Case> {
    let texts = |name: &str| -> Vec<Option<String>> {
        let given: Vec<_> = test.get(name).map_or(&[][..], Json::items).iter().filter_map(Json::text).collect();
        if given.is_empty() { vec![None] } else { given.into_iter().map(|t| Some(t.to_owned())).collect() }
    };
    let (formats, configs) = (texts("format"), texts("config"));
    let mut runs = Vec::new();
    for format in &formats {
        for config in &configs {
            let put = |text: &str| {
                let text = format.as_ref().map_or(text.to_owned(), |f| text.replace("{FORMAT}", f));
                config.as_ref().map_or(text.clone(), |c| text.replace("{CONFIG}", c))
            };
            runs.push(run(file, format.clone(), &test.map_text(&put)));
        }
    }
    runs
}

fn run(file: &str, format: Option<String>, test: &Json) -> Case {
    let list = |name: &str| test.get(name).map_or(&[][..], Json::items);
    let text = |json: &Json| json.text().map_or_else(|| json.to_string(), str::to_owned);
    let properties = match test.get("properties") {
        Some(Json::Object(members)) => members.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        _ => Vec::new(),
    };
    let refusal = test.get("expectedException").map(|e| e.get("message").map(text).unwrap_or_default());
    Case {
        file: file.to_owned(),
        name: test.get("name").map(text).unwrap_or_default(),
        format,
        statements: list("statements").iter().map(text).collect(),
        properties,
        topics: list("topics").to_vec(),
        inputs: list("inputs").iter().map(record).collect(),
        outputs: list("outputs").iter().map(record).collect(),
        refusal,
        post: test.get("post").cloned().unwrap_or(Json::Null),
        enabled: test.get("enabled") != Some(&Json::Bool(false)),
    }
}

fn record(json: &Json) -> Record {
    let headers = |list: &Json| list.items().iter().map(header).collect();
    Record {
        topic: json.get("topic").and_then(Json::text).unwrap_or_default().to_owned(),
        key: json.get("key").cloned().unwrap_or(Json::Null),
        value: json.get("value").cloned().unwrap_or(Json::Null),
        timestamp_ms: json.get("timestamp").and_then(Json::integer),
        headers: json.get("headers").map(headers),
        window: json.get("window").filter(|w| **w != Json::Null).map(window),
    }
}

fn header(json: &Json) -> (String, Option<String>) {
    let text = |name: &str| json.get(name).and_then(Json::text).map(str::to_owned);
    (text("KEY").unwrap_or_default(), text("VALUE"))
}

fn window(json: &Json) -> Window {
    let number = |name: &str| json.get(name).and_then(Json::integer).unwrap_or(0);
    let is_session = json.get("type").and_then(Json::text).is_some_and(|t| t.eq_ignore_ascii_case("session"));
    Window { start_ms: number("start"), end_ms: number("end"), is_session }
}

impl Case {
    /// The expected records, by topic, in order.
    pub fn wanted(&self) -> BTreeMap<&str, Vec<&Record>> {
        let mut wanted: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        self.outputs.iter().for_each(|record| wanted.entry(&record.topic).or_default().push(record));
        wanted
    }

    /// Its file, name and format in one line.
    pub fn title(&self) -> String {
        let format = self.format.as_ref().map_or(String::new(), |f| format!(" [{f}]"));
        format!("{}: {}{format}", self.file, self.name)
    }
}
