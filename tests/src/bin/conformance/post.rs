//! Checks what must exist after a case: streams and tables with their schemas and formats, and the topics of sources
//! and sinks.

use headwater_connectors::transport::Transport as _;
use headwater_engine::catalog::Catalog;
use headwater_engine::definition::{ColumnRole, SourceDef};
use headwater_engine::sql::ast::{self, StatementKind};
use headwater_engine::{sql, types::SqlType};
use regex::Regex;

use crate::json::Json;
use crate::stage::Stage;

/// The differences from what must exist.
pub fn check(post: &Json, catalog: &Catalog, stage: &Stage) -> Vec<String> {
    let sources = post.get("sources").map_or(&[][..], Json::items);
    let mut wrong: Vec<String> = sources.iter().flat_map(|wanted| source(wanted, catalog)).collect();
    if let Some(topics) = post.get("topics") {
        wrong.extend(topics.get("topics").map_or(&[][..], Json::items).iter().flat_map(|t| topic(t, catalog, stage)));
        wrong.extend(blacklisted(topics, catalog));
    }
    wrong
}

fn source(wanted: &Json, catalog: &Catalog) -> Vec<String> {
    let name = wanted.get("name").and_then(Json::text).unwrap_or_default();
    let Some(found) = catalog.source(name) else { return vec![format!("post: source {name} does not exist")] };
    let mut wrong = Vec::new();
    let mut expect = |what: &str, wanted: &str, found: &str| {
        if !wanted.eq_ignore_ascii_case(found) {
            wrong.push(format!("post: {what} of {name}: expected {wanted}, found {found}"));
        }
    };
    if let Some(kind) = wanted.get("type").and_then(Json::text) {
        expect("kind", kind, found.kind.word());
    }
    if let Some(format) = format(wanted.get("keyFormat")) {
        expect("key format", format, &found.key.format);
    }
    if let Some(format) = format(wanted.get("valueFormat")) {
        expect("value format", format, &found.value.format);
    }
    if let Some(Json::Bool(is_source)) = wanted.get("isSource") {
        expect("SOURCE", &is_source.to_string(), &found.read_only.to_string());
    }
    for feature in wanted.get("valueFeatures").map_or(&[][..], Json::items).iter().filter_map(Json::text) {
        expect("value wrapping", feature, if found.value.wrapped { "WRAP_SINGLES" } else { "UNWRAP_SINGLES" });
    }
    if let Some(schema) = wanted.get("schema").and_then(Json::text) {
        match columns(schema) {
            Some(columns) => expect("schema", &columns, &schema_of(found)),
            None => wrong.push(format!("post: schema of {name} cannot be read: {schema}")),
        }
    }
    wrong
}

fn format(json: Option<&Json>) -> Option<&str> {
    json.and_then(|json| json.text().or_else(|| json.get("format")?.text()))
}

/// A schema in a canonical form: keys first, each column with its type.
fn columns(schema: &str) -> Option<String> {
    let parsed = sql::parse(&format!("CREATE STREAM S ({schema}) WITH (KAFKA_TOPIC = 's');"));
    let StatementKind::CreateSource(create) = &parsed.statements.first()?.kind else { return None };
    let is_key = |c: &&ast::ColumnDef| matches!(c.role.value, ast::ColumnRole::Key | ast::ColumnRole::PrimaryKey);
    let keys = create.columns.iter().filter(is_key).map(|c| column(&c.name, &c.ty, true));
    let others = create.columns.iter().filter(|c| !is_key(c)).map(|c| column(&c.name, &c.ty, false));
    Some(keys.chain(others).collect::<Vec<_>>().join(", "))
}

fn schema_of(source: &SourceDef) -> String {
    let one = |c: &headwater_engine::definition::ColumnDef| column(&c.name, &c.ty, c.role == ColumnRole::Key);
    source.columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn column(name: &str, ty: &SqlType, is_key: bool) -> String {
    format!("`{name}` {ty}{}", if is_key { " KEY" } else { "" })
}

/// A topic of a source or sink. Other topics are internal to ksqlDB.
fn topic(wanted: &Json, catalog: &Catalog, stage: &Stage) -> Vec<String> {
    let name = wanted.get("name").and_then(Json::text).unwrap_or_default();
    let Some(source) = catalog.sources().find(|source| source.topic == name) else { return Vec::new() };
    let mut wrong = Vec::new();
    let mut expect = |what: &str, wanted: Option<&str>, found: &str| {
        if let Some(wanted) = wanted.filter(|wanted| !wanted.eq_ignore_ascii_case(found)) {
            wrong.push(format!("post: {what} of topic {name}: expected {wanted}, found {found}"));
        }
    };
    expect("key format", format(wanted.get("keyFormat")), &source.key.format);
    expect("value format", format(wanted.get("valueFormat")), &source.value.format);
    let partitions = wanted.get("partitions").and_then(Json::integer).map(|p| p.to_string());
    let found = stage.admin().topic(name).ok().flatten().map_or(0, |topic| topic.partitions);
    expect("partitions", partitions.as_deref(), &found.to_string());
    wrong
}

/// Sources and sinks whose topics have a forbidden name.
fn blacklisted(topics: &Json, catalog: &Catalog) -> Vec<String> {
    let Some(pattern) = topics.get("blacklist").and_then(Json::text) else { return Vec::new() };
    let Ok(pattern) = Regex::new(&format!("^(?:{pattern})$")) else {
        return vec![format!("post: the pattern {pattern} cannot be read")];
    };
    let matching = catalog.sources().filter(|source| pattern.is_match(&source.topic));
    matching.map(|source| format!("post: forbidden topic name {}", source.topic)).collect()
}
