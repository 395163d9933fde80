//! DESCRIBE of a stream or table.

use headwater_engine::answer::{
    PartitionExtent, SchemaDescription, SchemaPlace, SourceDescription, SourceQuery, TopicDescription,
};
use headwater_engine::definition::{ColumnDef, ColumnRole, SourceDef, SourceKind};
use headwater_formats::record::Side;

use super::query;
use crate::output::section::Section;

/// Its columns; with EXTENDED also its topic, the offsets and its queries.
pub(super) fn sections(SourceDescription { source, extended }: &SourceDescription) -> Vec<Section> {
    let columns = columns(source);
    let Some((topic, queries)) = extended else {
        let text = Some(format!("For the topic and its offsets: DESCRIBE {} EXTENDED;", source.name));
        return vec![Section { text, ..columns }];
    };
    let declared = vec![columns, facts(source, topic), offsets(topic)];
    declared.into_iter().chain(queries.iter().flat_map(of_query)).collect()
}

fn columns(source: &SourceDef) -> Section {
    let row = |column: &ColumnDef| vec![column.name.clone(), format!("{}{}", column.ty, mark(column, source))];
    let columns = Section::table(&["Field", "Type"], source.columns.iter().map(row));
    columns.titled(format!("Name : {}", source.name))
}

fn mark(column: &ColumnDef, source: &SourceDef) -> String {
    let window = source.window.map(|w| format!(" (Window type: {})", w.word())).unwrap_or_default();
    match (&column.role, source.kind) {
        (ColumnRole::Key, SourceKind::Table) => format!("  (primary key){window}"),
        (ColumnRole::Key, SourceKind::Stream) => format!("  (key){window}"),
        (ColumnRole::Headers, _) => "  (headers)".to_owned(),
        (ColumnRole::Header(name), _) => format!("  (header('{name}'))"),
        (ColumnRole::Value, _) => String::new(),
    }
}

fn facts(source: &SourceDef, topic: &TopicDescription) -> Section {
    let there = match topic.layout {
        Some((partitions, replicas)) => format!("partitions: {partitions}, replication: {replicas}"),
        None => "missing".to_owned(),
    };
    let time = source.event_time.as_ref().map_or("the record's timestamp".to_owned(), |time| time.column.clone());
    let facts = vec![
        ("Type", source.kind.word().to_uppercase()),
        ("Timestamp field", time),
        ("Key format", source.key.format.clone()),
        ("Value format", source.value.format.clone()),
        ("Kafka topic", format!("{} ({there})", source.topic)),
        ("Statement", source.statement.clone()),
    ];
    let schemas = topic.schemas.iter().map(|schema| match schema.side {
        Side::Key => ("Key schema", described(schema)),
        Side::Value => ("Value schema", described(schema)),
    });
    Section::pairs(["Property", "Value"], facts.into_iter().chain(schemas))
}

/// `orders-value, version 2, id 7; written with id 5; columns of id 4`, or the text of the schema of bare payloads.
fn described(schema: &SchemaDescription) -> String {
    let (subject, latest, other) = match &schema.place {
        SchemaPlace::Registered { subject, latest, written_with, read_by } => {
            (subject, latest, [("written with", written_with), ("columns of", read_by)])
        }
        SchemaPlace::Declared(text) => return format!("declared, no id in front of payloads: {text}"),
    };
    let newest = match latest {
        Ok((id, version)) => format!("version {version}, id {id}"),
        Err(why) => why.clone(),
    };
    let is_newer = |id: &u32| latest.as_ref().map_or(true, |(latest, _)| latest != id);
    let others = other.into_iter().filter_map(|(what, id)| Some((what, id.filter(is_newer)?)));
    let others: String = others.map(|(what, id)| format!("; {what} id {id}")).collect();
    format!("{subject}, {newest}{others}")
}

fn offsets(topic: &TopicDescription) -> Section {
    let row = |extent: &PartitionExtent| {
        let PartitionExtent { partition, start, end } = *extent;
        vec![partition.to_string(), start.to_string(), end.to_string(), (end - start).to_string()]
    };
    let columns = ["Partition", "Start Offset", "End Offset", "Offsets"];
    Section::table(&columns, topic.partitions.iter().map(row)).titled("Offsets")
}

fn of_query(of: &SourceQuery) -> Vec<Section> {
    let did = match &of.statistics {
        Some(statistics) => query::statistics(statistics),
        None => Section::pairs(["Counter", "Value"], vec![("Status", query::state(of.state))]),
    };
    let verb = if of.writes { "writes" } else { "reads" };
    let did = did.titled(format!("Query {} {verb} it", of.id));
    let failures = query::failures(&of.id, &of.failures);
    let state = of.statistics.iter().flat_map(|did| query::state_of(&did.state));
    std::iter::once(did).chain(failures).chain(state).chain(of.lags.iter().map(query::lag)).collect()
}
