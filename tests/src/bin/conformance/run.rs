//! Runs one case on the real planner, tasks and formats: its statements, then its records one at a time, each until the
//! queries are idle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_engine::catalog::Catalog;
use headwater_engine::config::Settings;
use headwater_engine::definition::SourceDef;
use headwater_engine::diagnostic::{Diagnostic, INTERNAL, NOT_SUPPORTED, UNKNOWN_PROPERTY};
use headwater_engine::sql::ast::{Literal, StatementKind};
use headwater_engine::{Driver, Engine, MemoryDisk, Session, StepOutcome, Storage, sql};
use headwater_formats::format::Layout;
use headwater_formats::record::Side;

use crate::case::{Case, Record};
use crate::json::Json;
use crate::payload::{Half, with_window, without_window};
use crate::stage::{PARTITIONS, Stage, Written};
use crate::{base64, compare, complaint, post, schemas, subset};

/// Maximum number of steps, after which a query counts as never idle.
const STEPS_MAX: usize = 10_000;
/// Virtual time at which a case begins, in ms: after 1970 for functions that return the current time.
const BEGIN_MS: i64 = 1_700_000_000_000;
/// Virtual time that a step takes, in ms: longer than any commit interval.
const STEP_MS: i64 = 20_000;

/// The result of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// Rejected because something is not supported yet.
    Unsupported,
    /// Not to be run.
    Excluded,
}

/// The result of a case, and why.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result.
    pub status: Status,
    /// Why, in one or more lines; for a case that passed by an error, that error.
    pub reason: String,
    /// Whether our engine rejected its statements with an error.
    pub refused: bool,
    /// Whether that error also names the objects in ksqlDB's message.
    pub same_complaint: bool,
}

impl Outcome {
    /// The outcome of a case that was not rejected as expected.
    pub fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), refused: false, same_complaint: false }
    }
}

/// Why a case ended early.
enum Stop {
    /// Statements were rejected.
    Refused(Vec<Diagnostic>),
    /// Something unexpected happened.
    Fault(String),
}

/// Runs one case.
pub async fn run(case: &Case) -> Outcome {
    if !case.enabled {
        return Outcome::new(Status::Excluded, "not enabled");
    }
    if let Some(function) = subset::test_function(case) {
        return Outcome::new(Status::Excluded, format!("{function} exists only inside ksqlDB's tests"));
    }
    match (play(case).await, &case.refusal) {
        (Ok(()), None) => Outcome::new(Status::Passed, ""),
        (Ok(()), Some(wanted)) => Outcome::new(Status::Failed, format!("no error; expected: {wanted}")),
        (Err(Stop::Fault(reason)), _) => Outcome::new(Status::Failed, reason),
        (Err(Stop::Refused(errors)), wanted) => judge(&errors, wanted.as_deref()),
    }
}

/// The outcome of a case whose statements were rejected.
fn judge(errors: &[Diagnostic], wanted: Option<&str>) -> Outcome {
    let reason = errors.iter().map(described).collect::<Vec<_>>().join("\n");
    let is_unsupported = |d: &Diagnostic| d.code == NOT_SUPPORTED || d.message.contains("not supported yet");
    if errors.iter().any(is_unsupported) {
        return Outcome::new(Status::Unsupported, reason);
    }
    let is_fault = errors.iter().any(|d| d.code == INTERNAL);
    match wanted {
        Some(wanted) if !is_fault => {
            let missing = complaint::unnamed(wanted, errors);
            let reason = match missing.is_empty() {
                true => reason,
                false => format!("{reason}\nexpected: {wanted}\nnot named: {}", missing.join(" | ")),
            };
            Outcome { status: Status::Passed, reason, refused: true, same_complaint: missing.is_empty() }
        }
        _ => Outcome::new(Status::Failed, reason),
    }
}

fn described(error: &Diagnostic) -> String {
    let more = [("detail", &error.detail), ("hint", &error.hint)];
    let more = more.iter().filter_map(|(name, text)| Some(format!("\n  {name}: {}", text.as_ref()?)));
    format!("{error}{}", more.collect::<String>())
}

async fn play(case: &Case) -> Result<(), Stop> {
    let stage = Stage::default();
    for topic in &case.topics {
        let name = topic.get("name").and_then(Json::text).unwrap_or_default();
        let partitions = topic.get("partitions").and_then(Json::integer).and_then(|p| i32::try_from(p).ok());
        // A topic without a number of partitions gets the number in its declaration.
        let partitions = partitions.or_else(|| case.statements.iter().find_map(|s| declared(s, name)).flatten());
        make(&stage, name, partitions.unwrap_or(PARTITIONS))?;
        schemas::register(topic, stage.registered());
    }
    let (engine, mut session) = begin(&stage, case).await?;
    for text in &case.statements {
        for span in sql::split(text) {
            let statement = &text[span.start..span.end];
            make_declared_topic(&stage, statement)?;
            engine.ask(&mut session, statement).await.map_err(Stop::Refused)?;
        }
    }
    let catalog = engine.catalog().await.map_err(Stop::Refused)?;
    let mut queries = Queries::start(&engine, &catalog, &stage).await?;
    queries.drain()?;
    for record in &case.inputs {
        feed(&stage, case, &catalog, record)?;
        queries.drain()?;
    }
    if case.refusal.is_some() {
        return Ok(());
    }
    let mut differences = outputs(&stage, case, &catalog);
    differences.extend(post::check(&case.post, &catalog, &stage));
    if differences.is_empty() { Ok(()) } else { Err(Stop::Fault(differences.join("\n"))) }
}

/// An engine and a session configured like those of ksqlDB's tests: queries read from the beginning and emit every
/// change, and quotients of DECIMALs are exact. State is moved to a disk (which is in memory) at each commit. Properties that the engine does not know belong to ksqlDB's internals,
/// and are ignored.
async fn begin(stage: &Stage, case: &Case) -> Result<(Engine, Session), Stop> {
    let engine = Engine::driven(Arc::new(stage.clone()), &Settings::default());
    engine.store_in(Storage::new(1, MemoryDisk));
    let mut session = Session::new(Settings::default());
    let given = case.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let ours = [("auto.offset.reset", "earliest"), ("decimal.division", "exact"), ("cache.max.bytes.buffering", "0")];
    for (name, value) in ours.into_iter().chain(given) {
        let quoted = |text: &str| text.replace('\'', "''");
        let set = engine.ask(&mut session, &format!("SET '{}' = '{}';", quoted(name), quoted(value))).await;
        if let Err(errors) = set
            && errors.iter().any(|error| error.code != UNKNOWN_PROPERTY)
        {
            return Err(Stop::Refused(errors));
        }
    }
    Ok((engine, session))
}

fn make(stage: &Stage, topic: &str, partitions: i32) -> Result<(), Stop> {
    stage.make_topic(topic, partitions).map_err(|e| Stop::Fault(e.to_string()))
}

/// Creates the topic of a declaration beforehand, unless the declaration creates it.
fn make_declared_topic(stage: &Stage, statement: &str) -> Result<(), Stop> {
    match declared_topic(statement) {
        Some((topic, None)) if !topic.is_empty() => make(stage, &topic, PARTITIONS),
        _ => Ok(()),
    }
}

/// The partitions that a statement declares for a topic, if it declares something over it.
fn declared(statement: &str, topic: &str) -> Option<Option<i32>> {
    declared_topic(statement).filter(|(name, _)| name == topic).map(|(_, partitions)| partitions)
}

/// The topic that a declaration names, and its PARTITIONS.
fn declared_topic(statement: &str) -> Option<(String, Option<i32>)> {
    let parsed = sql::parse(statement);
    let Some(StatementKind::CreateSource(create)) = parsed.statements.first().map(|s| &s.kind) else { return None };
    let property = |name: &str| create.properties.iter().find(|p| p.name.eq_ignore_ascii_case(name));
    let Some(Literal::String(topic)) = property("KAFKA_TOPIC").map(|p| &p.value.value) else { return None };
    let partitions = match property("PARTITIONS").map(|p| &p.value.value) {
        Some(Literal::Number(digits) | Literal::String(digits)) => digits.parse().ok(),
        _ => None,
    };
    Some((topic.clone(), partitions))
}

/// The persistent queries of a case.
struct Queries {
    drivers: Vec<(String, Driver)>,
    now_ms: i64,
}

impl Queries {
    async fn start(engine: &Engine, catalog: &Catalog, stage: &Stage) -> Result<Self, Stop> {
        let mut queries: Vec<_> = catalog.queries().filter(|q| !q.paused).collect();
        queries.sort_by_key(|query| query.made);
        let mut drivers = Vec::new();
        for query in queries {
            let driver = engine.driver(&query.id, Arc::new(stage.clone())).await.map_err(Stop::Refused)?;
            drivers.push((query.id.clone(), driver));
        }
        Ok(Self { drivers, now_ms: BEGIN_MS })
    }

    /// Drives every query in order, until all are idle.
    fn drain(&mut self) -> Result<(), Stop> {
        let mut worked = true;
        while worked {
            worked = false;
            for (id, driver) in &mut self.drivers {
                worked |= drain(id, driver, &mut self.now_ms)?;
            }
        }
        Ok(())
    }
}

/// Drives one query until nothing is left to do and everything is committed. True if it did anything.
fn drain(id: &str, driver: &mut Driver, now_ms: &mut i64) -> Result<bool, Stop> {
    let mut worked = false;
    for _ in 0..STEPS_MAX {
        *now_ms += STEP_MS;
        let step = driver.step(*now_ms, Duration::ZERO).map_err(|e| Stop::Fault(format!("query {id}: {e}")))?;
        if step == StepOutcome::Idle && driver.is_settled() {
            return Ok(worked);
        }
        worked = true;
    }
    Err(Stop::Fault(format!("query {id} never becomes idle")))
}

fn feed(stage: &Stage, case: &Case, catalog: &Catalog, record: &Record) -> Result<(), Stop> {
    let fault = |message: String| Stop::Fault(format!("input to {}: {message}", record.topic));
    make(stage, &record.topic, PARTITIONS)?;
    let source = source_of(catalog, &record.topic);
    let declared = |side: &str| declared_format(&case.topics, &record.topic, side);
    let (key_format, value_format) = (declared("keyFormat"), declared("valueFormat"));
    let (key, value) = match source {
        Some(source) => (Half::key(source), Half::value(source)),
        None => (Half::undeclared(key_format), Half::undeclared(value_format)),
    };
    let key = key.written_by(written_by(source, &record.topic, Side::Key, stage));
    let value = value.written_by(written_by(source, &record.topic, Side::Value, stage));
    let headers = record.headers.clone().unwrap_or_default().into_iter();
    let header = |(name, value): (String, Option<String>)| {
        let bytes = value.map(|v| base64::decode(&v).ok_or_else(|| fault(format!("{v} is not valid base64"))));
        Ok((name, bytes.transpose()?))
    };
    let written = Written {
        key: with_window(key.encode(&record.key), record.window),
        value: value.encode(&record.value),
        timestamp_ms: record.timestamp_ms.unwrap_or(0),
        headers: headers.map(header).collect::<Result<_, _>>()?,
    };
    stage.feed(&record.topic, written).map_err(|e| fault(e.to_string()))
}

/// What one side of a topic is written with, if that is a registered schema.
fn written_by(source: Option<&SourceDef>, topic: &str, side: Side, stage: &Stage) -> Option<Layout> {
    let def = source.map(|source| if side == Side::Key { &source.key } else { &source.value });
    schemas::layout_of(topic, side, def.and_then(|def| def.full_name.as_deref()), stage.registered())
}

/// The format of a topic that a case describes and that no stream or table declares.
fn declared_format<'a>(topics: &'a [Json], topic: &str, side: &str) -> &'a str {
    let described = topics.iter().find(|t| t.get("name").and_then(Json::text) == Some(topic));
    let format = described.and_then(|t| t.get(side).or(t.get("format"))).and_then(Json::text);
    format.unwrap_or(if side == "keyFormat" { "KAFKA" } else { "JSON" })
}

/// The stream or table over a topic: one written by a query takes precedence.
fn source_of<'a>(catalog: &'a Catalog, topic: &str) -> Option<&'a SourceDef> {
    let over = || catalog.sources().filter(|source| source.topic == topic);
    over().find(|source| catalog.query_behind(&source.name).is_some()).or_else(|| over().next()).map(Arc::as_ref)
}

/// The differences between the records of the topics and the expected ones.
fn outputs(stage: &Stage, case: &Case, catalog: &Catalog) -> Vec<String> {
    let mut differences = Vec::new();
    for (topic, wanted) in case.wanted() {
        let found = stage.written(topic);
        let Some(source) = source_of(catalog, topic) else {
            differences.push(format!("{topic}: no stream or table reads this topic"));
            continue;
        };
        for (at, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            differences.extend(record((source, stage), wanted, found).map(|d| format!("{topic}, record {at}: {d}")));
        }
        if wanted.len() != found.len() {
            let both = format!("{topic}: expected {} records, found {}", wanted.len(), found.len());
            let more = found.iter().skip(wanted.len()).map(|f| format!("\n  more: {}", shown(source, f)));
            let less = wanted.iter().skip(found.len()).map(|w| format!("\n  missing: {} {}", w.key, w.value));
            differences.push(both + &more.chain(less).collect::<String>());
        }
    }
    differences
}

fn shown(source: &SourceDef, found: &Written) -> String {
    let (key, _) = found.key.as_deref().map_or((None, None), |key| {
        let (key, window) = without_window(key, source.window);
        (Some(key), window)
    });
    let (key, value) = (Half::key(source).decode(key), Half::value(source).decode(found.value.as_deref()));
    format!("{key} {value}")
}

fn record((source, stage): (&SourceDef, &Stage), wanted: &Record, found: &Written) -> Option<String> {
    let key_half = Half::key(source).written_by(written_by(Some(source), &source.topic, Side::Key, stage));
    let value_half = Half::value(source).written_by(written_by(Some(source), &source.topic, Side::Value, stage));
    let split = found.key.as_deref().map(|key| without_window(key, source.window));
    let key = key_half.decode(split.map(|(key, _)| key));
    let value = value_half.decode(found.value.as_deref());
    let part = |what: &str, difference: Option<String>| difference.map(|d| format!("{what} {d}"));
    part("key", compare::payload(&key_half.shape(), &wanted.key, &key))
        .or_else(|| part("value", compare::payload(&value_half.shape(), &wanted.value, &value)))
        .or_else(|| differing("timestamp", wanted.timestamp_ms.as_ref()?, &found.timestamp_ms))
        .or_else(|| differing("window", &wanted.window, &split.and_then(|(_, window)| window)))
        .or_else(|| differing("headers", wanted.headers.as_ref()?, &encoded(found)))
}

fn encoded(found: &Written) -> Vec<(String, Option<String>)> {
    let header = |(name, value): &(String, Option<Vec<u8>>)| (name.clone(), value.as_ref().map(|v| base64::encode(v)));
    found.headers.iter().map(header).collect()
}

fn differing<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, found: &T) -> Option<String> {
    (wanted != found).then(|| format!("{what}: expected {wanted:?}, found {found:?}"))
}

/// The number of outcomes with each status, in the order of the enum.
pub fn counts<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> [usize; 4] {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    outcomes.into_iter().for_each(|outcome| *counts.entry(outcome.status as usize).or_default() += 1);
    std::array::from_fn(|status| counts.get(&status).copied().unwrap_or(0))
}
