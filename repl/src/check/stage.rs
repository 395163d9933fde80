//! Where the statements of a file are played: a cluster in memory and the real engine over it, both new for each file
//! and mode, with the persistent queries driven to rest after each statement.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::BinaryArray;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{NewTopic, SinkOptions, Transport, TransportError};
use headwater_engine::config::Settings;
use headwater_engine::diagnostic::{Diagnostic, EXISTS, TOPIC_MISMATCH, UNKNOWN_TOPIC, render};
use headwater_engine::failure::transport;
use headwater_engine::{Engine, Session};
use headwater_formats::record::{OutBatch, header_lists};

use super::directive::{self, Directive, Record, Said};
use super::file::TestFile;
use super::judge::{NOT_JUDGED, judge};
use super::mode::{Drive, Mode};
use super::report::counted;
use super::split::cut;
use super::{Rules, show};

/// How long an answer may take.
const ENDLESS: Duration = Duration::from_secs(15);

/// What a statement answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The answer as a file can hold it.
    pub text: String,
    /// It was an error.
    pub is_error: bool,
    /// Why the statement fails whatever is expected.
    pub fault: Option<String>,
}

/// What a file answered.
#[derive(Debug)]
pub(super) struct Played {
    /// One outcome a piece; `None` for one without a statement.
    pub outcomes: Vec<Option<Outcome>>,
    /// It made persistent queries, so the modes may differ.
    pub is_continuous: bool,
    /// What the judge says.
    pub complaints: Vec<String>,
}

/// Plays a file in one mode; `path` is where the scripts are looked for that it runs.
pub(super) async fn play(path: &Path, file: &TestFile, mode: Mode, rules: &Rules) -> Played {
    let mut stage = Stage::new(path, mode);
    for statement in &rules.session {
        // What is wrong with them was told when the first file was played.
        let _ = answer(&stage.engine, &mut stage.session, statement).await;
    }
    let mut outcomes = Vec::new();
    for piece in file.pieces() {
        // A rule with no statement over it is asked, too: an empty statement has an empty answer.
        let asks = piece.has_statement() || piece.expected().is_some();
        outcomes.push(if asks { Some(stage.outcome(&piece.statement()).await) } else { None });
    }
    let is_judged = rules.judge && !file.pieces().iter().any(|piece| piece.statement().contains(NOT_JUDGED));
    let complaints = if is_judged { judge(&stage.engine).await } else { Vec::new() };
    Played { outcomes, is_continuous: stage.drive.has_driven(), complaints }
}

/// The answer to one statement, as a file can hold it. The error is rendered, with carets.
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
    /// A query failed or never rests: the file is wrong, and driving on would take long for nothing.
    is_stuck: bool,
    folder: PathBuf,
}

impl Stage {
    fn new(path: &Path, mode: Mode) -> Self {
        let settings = settings();
        let cluster = MemoryTransport::default();
        let engine = Engine::driven(Arc::new(cluster.clone()), &settings);
        let drive = Drive::new(&cluster, mode);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self { cluster, engine, session: Session::new(settings), drive, is_stuck: false, folder }
    }

    async fn outcome(&mut self, statement: &str) -> Outcome {
        let answered = tokio::time::timeout(ENDLESS, self.perform(statement)).await;
        // A push query without a LIMIT that is reached has no place in a file.
        let Ok(answered) = answered else {
            let fault = format!(
                "no end within {} s: a query with EMIT CHANGES needs a LIMIT that the records before it reach, and \
                 SET 'auto.offset.reset' = 'earliest'; to see them",
                ENDLESS.as_secs()
            );
            return Outcome { text: String::new(), is_error: true, fault: Some(fault) };
        };
        let fault = if self.is_stuck { None } else { self.drive.to_rest(&self.engine).await.err() };
        self.is_stuck |= fault.is_some();
        let is_error = answered.is_err();
        let (Ok(text) | Err(text)) = answered;
        Outcome { text: without_chance(&self.engine, text).await, is_error, fault }
    }

    async fn perform(&mut self, statement: &str) -> Result<String, String> {
        let told = |error: Diagnostic| show::fit(&render(&[error], statement));
        match directive::parse(statement) {
            None => answer(&self.engine, &mut self.session, statement).await,
            Some(Err(error)) => Err(told(error)),
            Some(Ok(Directive::Topic { name, partitions })) => self.make_topic(name, partitions).map_err(told),
            Some(Ok(Directive::Produce { topic, records })) => self.produce(&topic, &records).map_err(told),
            Some(Ok(Directive::Run(file))) => self.run(&file).await,
        }
    }

    fn make_topic(&self, name: Said<String>, partitions: Said<i32>) -> Result<String, Diagnostic> {
        let (span, count) = (name.span, partitions.value);
        let admin = self.cluster.admin();
        if admin.topic(&name.value).map_err(|e| transport(&e))?.is_some() {
            return Err(Diagnostic::new(EXISTS, format!("topic \"{}\" already exists", name.value)).at(span));
        }
        let new = NewTopic { name: name.value, partitions: count, replicas: None, settings: Default::default() };
        admin.create_topic(&new).map_err(|error| transport(&error).at(partitions.span))?;
        Ok(format!("Topic \"{}\" created with {}", new.name, counted(count, "partition")))
    }

    /// Writes records as another client would: nothing looks at what is in them.
    fn produce(&self, topic: &Said<String>, records: &[Record]) -> Result<String, Diagnostic> {
        let failed = |error: TransportError| transport(&error).at(topic.span);
        let Some(info) = self.cluster.admin().topic(&topic.value).map_err(failed)? else {
            return Err(self.unknown_topic(topic));
        };
        for partition in records.iter().filter_map(|record| record.partition.as_ref()) {
            if partition.value >= info.partitions {
                let has = counted(info.partitions, "partition");
                let fact = format!("topic \"{}\" has {has}, counted from 0", info.name);
                return Err(Diagnostic::new(TOPIC_MISMATCH, fact).at(partition.span));
            }
        }
        let mut sink = self.cluster.open_sink(SinkOptions::default()).map_err(failed)?;
        for record in records {
            sink.write(&batch(&topic.value, record)).map_err(failed)?;
        }
        Ok(format!("{} produced to topic \"{}\"", counted(records.len(), "record"), topic.value))
    }

    fn unknown_topic(&self, topic: &Said<String>) -> Diagnostic {
        let error = Diagnostic::new(UNKNOWN_TOPIC, format!("topic \"{}\" does not exist", topic.value)).at(topic.span);
        let error = error.hint(format!("Make it first: \\topic '{}' partitions 1;", topic.value));
        let topics = self.cluster.admin().topics().unwrap_or_default();
        error.nearest_of(&topic.value, topics.iter().map(|info| info.name.as_str()))
    }

    /// Runs the statements of a file up to the first that fails. The answers, one below the other.
    async fn run(&mut self, file: &str) -> Result<String, String> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("could not read \"{file}\": {error}"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
        let mut answers = Vec::new();
        for range in cut(&text).statements {
            // Lines of errors are those of the file.
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

/// An answer without the part of a group's name that is another one each time, so that a file gives the same.
async fn without_chance(engine: &Engine, text: String) -> String {
    let Ok(catalog) = engine.catalog().await else { return text };
    let unique = catalog.queries().filter_map(|query| query.unique.as_ref());
    unique.fold(text, |text, unique| text.replace(&format!("_{unique}"), ""))
}

/// What a session begins with. Plans and the order of rows must not depend on the processors of a machine.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.set("query.partitions", "1").expect("a property and a value that it takes");
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
