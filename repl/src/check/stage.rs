//! Runs the statements of a file: on a cluster in memory and the real engine, both new for each file and mode. After
//! each statement, the persistent queries are driven until they are idle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::BinaryArray;
use headwater_connectors::schemas::NewSchema;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{NewTopic, SinkOptions, Transport, TransportError};
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::{Diagnostic, EXISTS, TOPIC_MISMATCH, TRANSPORT, UNKNOWN_TOPIC, render};
use headwater_engine::failure::transport;
use headwater_engine::{Engine, MemoryDisk, Session, Storage};
use headwater_formats::record::{OutBatch, header_lists};
use headwater_formats::schema::SchemaKind;

use super::directive::{self, Directive, Record, Spanned};
use super::file::TestFile;
use super::judge::{NOT_JUDGED, judge};
use super::mode::{Drive, Mode};
use super::report::counted;
use super::split::cut;
use super::{Rules, show};

/// Maximum time for an answer.
const ENDLESS: Duration = Duration::from_secs(15);

/// The answer of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The answer in the form of a test file.
    pub text: String,
    /// Whether it is an error.
    pub is_error: bool,
    /// Why the statement fails whatever answer is expected.
    pub fault: Option<String>,
}

/// The answers of a file.
#[derive(Debug)]
pub(super) struct Played {
    /// One outcome for each piece; `None` for a piece without a statement.
    pub outcomes: Vec<Option<Outcome>>,
    /// Whether it created persistent queries, so that the modes may differ.
    pub is_continuous: bool,
    /// The complaints of the judge.
    pub complaints: Vec<String>,
}

/// Runs a file in one mode; the scripts that it runs are found relative to `path`.
pub(super) async fn play(path: &Path, file: &TestFile, mode: Mode, rules: &Rules) -> Played {
    let mut stage = Stage::new(path, mode);
    for statement in &rules.session {
        // Their errors were reported when the first file was run.
        let _ = answer(&stage.engine, &mut stage.session, statement).await;
    }
    let mut outcomes = Vec::new();
    for piece in file.pieces() {
        // A rule without a statement above it counts as an empty statement, which has an empty answer.
        let asks = piece.has_statement() || piece.expected().is_some();
        outcomes.push(if asks { Some(stage.outcome(&piece.statement()).await) } else { None });
    }
    let is_judged = rules.judge && !file.pieces().iter().any(|piece| piece.statement().contains(NOT_JUDGED));
    let complaints = if is_judged { judge(&stage.engine).await } else { Vec::new() };
    Played { outcomes, is_continuous: stage.drive.has_driven(), complaints }
}

/// The answer to one statement in the form of a test file. Errors are rendered, with carets.
pub(super) async fn answer(engine: &Engine, session: &mut Session, statement: &str) -> Result<String, String> {
    let answered = match engine.ask(session, statement).await {
        Ok(answer) => show::text(answer).await,
        Err(errors) => Err(errors),
    };
    match answered {
        Ok(text) => Ok(show::fit(&text)),
        Err(errors) => Err(show::fit(&render(&errors, statement))),
    }
}

struct Stage {
    cluster: MemoryTransport,
    engine: Engine,
    session: Session,
    drive: Drive,
    /// A query failed or never becomes idle: the file has failed, and driving on would only take time.
    is_stuck: bool,
    folder: PathBuf,
}

impl Stage {
    fn new(path: &Path, mode: Mode) -> Self {
        let settings = settings();
        let cluster = MemoryTransport::default();
        let engine = Engine::driven(Arc::new(cluster.clone()), &settings);
        if mode.moves_state() {
            engine.store_in(Storage::new(1, MemoryDisk));
        }
        let drive = Drive::new(&cluster, mode);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self { cluster, engine, session: Session::new(settings), drive, is_stuck: false, folder }
    }

    async fn outcome(&mut self, statement: &str) -> Outcome {
        let answered = tokio::time::timeout(ENDLESS, self.perform(statement)).await;
        // A push query in a file must reach its LIMIT.
        let Ok(answered) = answered else {
            let fault = format!(
                "the statement did not end within {} s: a query with EMIT CHANGES needs a LIMIT that existing records reach, and \
                 SET 'auto.offset.reset' = 'earliest'; to see them",
                ENDLESS.as_secs()
            );
            return Outcome { text: String::new(), is_error: true, fault: Some(fault) };
        };
        let fault = if self.is_stuck { None } else { self.drive.until_idle(&self.engine).await.err() };
        self.is_stuck |= fault.is_some();
        let is_error = answered.is_err();
        let (Ok(text) | Err(text)) = answered;
        Outcome { text: without_chance(&self.engine, text).await, is_error, fault }
    }

    async fn perform(&mut self, statement: &str) -> Result<String, String> {
        let rendered = |error: Diagnostic| show::fit(&render(&[error], statement));
        match directive::parse(statement) {
            None => answer(&self.engine, &mut self.session, statement).await,
            Some(Err(error)) => Err(rendered(error)),
            Some(Ok(Directive::Topic { name, partitions })) => self.make_topic(name, partitions).map_err(rendered),
            Some(Ok(Directive::Produce { topic, records })) => self.produce(&topic, &records).map_err(rendered),
            Some(Ok(Directive::Schema { subject, kind, text })) => {
                self.register(&subject, kind, text).map_err(rendered)
            }
            Some(Ok(Directive::Run(file))) => self.run(&file).await,
        }
    }

    fn make_topic(&self, name: Spanned<String>, partitions: Spanned<i32>) -> Result<String, Diagnostic> {
        let (span, count) = (name.span, partitions.value);
        let admin = self.cluster.admin();
        if admin.topic(&name.value).map_err(|e| transport(&e))?.is_some() {
            return Err(Diagnostic::new(EXISTS, format!("topic \"{}\" already exists", name.value)).at(span));
        }
        let new = NewTopic { name: name.value, partitions: count, replicas: None, settings: Default::default() };
        admin.create_topic(&new).map_err(|error| transport(&error).at(partitions.span))?;
        Ok(format!("Topic \"{}\" created with {}", new.name, counted(count, "partition")))
    }

    /// Writes records as another client would, without checking their contents.
    fn produce(&self, topic: &Spanned<String>, records: &[Record]) -> Result<String, Diagnostic> {
        let failed = |error: TransportError| transport(&error).at(topic.span);
        let Some(info) = self.cluster.admin().topic(&topic.value).map_err(failed)? else {
            return Err(self.unknown_topic(topic));
        };
        for partition in records.iter().filter_map(|record| record.partition.as_ref()) {
            if partition.value >= info.partitions {
                let has = counted(info.partitions, "partition");
                let fact = format!("topic \"{}\" has {has}, numbered from 0", info.name);
                return Err(Diagnostic::new(TOPIC_MISMATCH, fact).at(partition.span));
            }
        }
        let mut sink = self.cluster.open_sink(SinkOptions::default()).map_err(failed)?;
        for record in records {
            sink.write(&batch(&topic.value, record)).map_err(failed)?;
        }
        Ok(format!("{} produced to topic \"{}\"", counted(records.len(), "record"), topic.value))
    }

    fn register(&self, subject: &str, kind: SchemaKind, text: String) -> Result<String, Diagnostic> {
        let id = self.cluster.schemas().register(subject, &NewSchema::new(kind, text));
        let id = id.map_err(|error| Diagnostic::new(TRANSPORT, error.to_string()))?;
        Ok(format!("Schema {id} registered under subject \"{subject}\""))
    }

    fn unknown_topic(&self, topic: &Spanned<String>) -> Diagnostic {
        let error = Diagnostic::new(UNKNOWN_TOPIC, format!("topic \"{}\" does not exist", topic.value)).at(topic.span);
        let error = error.hint(format!("Create it first: \\topic '{}' partitions 1;", topic.value));
        let topics = self.cluster.admin().topics().unwrap_or_default();
        error.nearest_of(&topic.value, topics.iter().map(|info| info.name.as_str()))
    }

    /// Runs the statements of a file up to the first that fails. Returns the answers, one below the other.
    async fn run(&mut self, file: &str) -> Result<String, String> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("could not read \"{file}\": {error}"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
        let mut answers = Vec::new();
        for range in cut(&text).statements {
            // Errors have the line numbers of the file.
            let statement = "\n".repeat(text[..range.start].matches('\n').count()) + &text[range];
            match answer(&self.engine, &mut self.session, &statement).await {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    answers.push(format!("in \"{file}\":\n{error}"));
                    return Err(answers.join("\n"));
                }
            }
        }
        Ok(answers.join("\n"))
    }
}

/// Removes the random part of a group's name from an answer, so that a file always gives the same answers.
async fn without_chance(engine: &Engine, text: String) -> String {
    let Ok(catalog) = engine.catalog().await else { return text };
    let unique = catalog.queries().filter_map(|query| query.unique.as_ref());
    unique.fold(text, |text, unique| text.replace(&format!("_{unique}"), ""))
}

/// The initial settings of a session. Plans and the order of rows must not depend on the number of processors.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.set("query.partitions", "1").expect("the property and its value are valid");
    settings
}

fn batch(topic: &str, record: &Record) -> OutBatch {
    OutBatch {
        topic: Arc::from(topic),
        partitions: record.partition.as_ref().map(|partition| vec![partition.value].into()),
        keys: [record.key.as_deref()].into_iter().collect::<BinaryArray>(),
        values: [record.value.as_deref()].into_iter().collect::<BinaryArray>(),
        timestamps_ms: record.timestamp_ms.map(|time| vec![time].into()),
        headers: (!record.headers.is_empty()).then(|| header_lists([record.headers.as_slice()])),
    }
}
