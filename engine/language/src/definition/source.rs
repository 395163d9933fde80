//! A stream or table as it was declared: names, types, formats and topic.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use headwater_formats::decode::{
    Column, ColumnOrigin, EventTime, KeyWindow, RowKind, SideSpec, TopicSpec, WINDOWEND, WINDOWSTART,
    header_column_type,
};
use headwater_formats::format::{Envelope, FormatError, FormatKind, Layout, Presence};
use headwater_formats::schema::WriterSchema;
use serde::{Deserialize, Serialize};

use crate::types::SqlType;

/// Stream or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Each record is an independent event.
    Stream,
    /// The last record of each key is its current value.
    Table,
}

impl SourceKind {
    /// `stream` or `table`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Table => "table",
        }
    }
}

/// A declared stream or table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDef {
    /// Its name.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// Whether it was declared with SOURCE, so that nothing may be written to it.
    pub read_only: bool,
    /// Its columns, those of the key first; custom types are resolved.
    pub columns: Vec<ColumnDef>,
    /// The topic.
    pub topic: String,
    /// The format of its keys.
    pub key: SideDef,
    /// The format of its values.
    pub value: SideDef,
    /// The column that holds the event time, if it is not the record's own timestamp.
    pub event_time: Option<EventTimeDef>,
    /// The type of the window that its keys contain.
    pub window: Option<WindowDef>,
    /// The statement that declared it.
    pub statement: String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDef {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(with = "super::type_text")]
    pub ty: SqlType,
    /// The part of the record that holds it.
    pub role: ColumnRole,
}

/// The part of the record that holds a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// A part of the key.
    Key,
    /// A part of the value.
    Value,
    /// All headers.
    Headers,
    /// The last header with this name.
    Header(String),
}

impl ColumnRole {
    /// Whether headers of the record hold the column.
    pub fn is_of_headers(&self) -> bool {
        matches!(self, Self::Headers | Self::Header(_))
    }
}

/// The format of the key or the value of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideDef {
    /// The format's name, such as `JSON`.
    pub format: String,
    /// Whether a single column is written as a record with one field.
    pub wrapped: bool,
    /// The delimiter of DELIMITED.
    pub delimiter: u8,
    /// How PROTOBUF_NOSR tells null from a default; left out where it does not.
    #[serde(default, with = "super::presence_text", skip_serializing_if = "super::presence_text::is_left_out")]
    pub presence: Presence,
    /// What formats with registered schemas write with: known once the schema is registered.
    #[serde(default, with = "super::schema_text", skip_serializing_if = "Option::is_none")]
    pub schema: Option<Arc<WriterSchema>>,
    /// The schema that its columns were taken from, where records are not written with it: the latest one of the subject.
    #[serde(default, with = "super::schema_text", skip_serializing_if = "Option::is_none")]
    pub reader: Option<Arc<WriterSchema>>,
    /// The full name of the record or message in schemas that are generated; left out for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// What is around the fields: a change event of Debezium, or nothing.
    #[serde(default, with = "super::envelope_text", skip_serializing_if = "super::envelope_text::is_left_out")]
    pub envelope: Envelope,
}

impl SideDef {
    /// A format that writes records of fields, with the settings that every format has by default.
    pub fn of(format: &str) -> Self {
        let presence = Presence::Implicit;
        Self {
            format: format.to_owned(),
            wrapped: true,
            delimiter: b',',
            presence,
            schema: None,
            reader: None,
            full_name: None,
            envelope: Envelope::Bare,
        }
    }

    /// The format of topics and states of our own.
    pub fn compact() -> Self {
        Self::of("COMPACT")
    }

    /// Whether its schemas are registered under a subject; those of bare payloads are not.
    pub fn has_subject(&self) -> bool {
        FormatKind::is_registered(&self.format) && !self.declares_schema()
    }

    /// Whether the declaration has the schema of its payloads, which are bare.
    pub fn declares_schema(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| schema.id.is_none())
    }
}

/// The TIMESTAMP property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTimeDef {
    /// Name of the column.
    pub column: String,
    /// Pattern of a STRING column.
    pub format: Option<String>,
}

/// The WINDOW_TYPE and WINDOW_SIZE properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowDef {
    /// TUMBLING, with its size in ms.
    Tumbling(i64),
    /// HOPPING, with its size in ms.
    Hopping(i64),
    /// SESSION.
    Session,
}

impl ColumnDef {
    /// The Arrow type of its values.
    pub fn arrow_type(&self) -> DataType {
        self.ty.to_arrow().expect("custom types are replaced before a column is defined")
    }
}

impl SourceDef {
    /// The same columns in the format of topics and states of our own.
    pub fn in_compact(&self) -> Self {
        Self { key: SideDef::compact(), value: SideDef::compact(), ..self.clone() }
    }

    /// The columns in one part of the record.
    pub fn columns_of(&self, role: &ColumnRole) -> impl Iterator<Item = &ColumnDef> {
        self.columns.iter().filter(move |c| c.role == *role)
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The names of the columns that `SELECT *` returns, in order.
    pub fn visible_columns(&self) -> Vec<&str> {
        let windows: &[&str] = if self.window.is_some() { &[WINDOWSTART, WINDOWEND] } else { &[] };
        let is_key = |c: &&ColumnDef| c.role == ColumnRole::Key;
        let keys = self.columns.iter().filter(is_key).map(|c| c.name.as_str());
        let others = self.columns.iter().filter(|c| !is_key(c)).map(|c| c.name.as_str());
        keys.chain(windows.iter().copied()).chain(others).collect()
    }

    /// How a scan decodes the topic's records. Fails if this program does not know a format of the declaration, which
    /// a newer program may have written.
    pub fn topic_spec(&self) -> Result<TopicSpec, String> {
        let columns = self.spec_columns();
        let position = |name: &str| columns.iter().position(|c| c.field.name() == name);
        let event_time = self
            .event_time
            .as_ref()
            .and_then(|t| Some(EventTime { column: position(&t.column)?, format: t.format.clone() }));
        Ok(TopicSpec {
            topic: Arc::from(self.topic.as_str()),
            kind: if self.kind == SourceKind::Stream { RowKind::All } else { RowKind::LatestPerKey },
            key: self.side_spec(&self.key, &ColumnRole::Key)?,
            value: self.side_spec(&self.value, &ColumnRole::Value)?,
            event_time,
            key_window: self.window.map(WindowDef::key_window),
            columns,
        })
    }

    /// The columns of its rows, including address columns, regardless of its formats.
    pub fn row_schema(&self) -> SchemaRef {
        let side = || SideSpec { format: FormatKind::None, layout: Layout::of(Vec::new()) };
        let columns = self.spec_columns();
        TopicSpec {
            topic: Arc::from(self.topic.as_str()),
            kind: RowKind::All,
            key: side(),
            value: side(),
            event_time: None,
            key_window: self.window.map(WindowDef::key_window),
            columns,
        }
        .schema()
    }

    /// The error for a format that is known but not supported yet, so that its records can be neither read nor
    /// written.
    pub fn unbuilt_format(&self) -> Option<FormatError> {
        let sides = [(&self.key, ColumnRole::Key), (&self.value, ColumnRole::Value)];
        let mut refusals = sides.into_iter().filter_map(|(side, role)| self.format_of(side, &role).err());
        refusals.find(|error| matches!(error, FormatError::NotYet(_)))
    }

    /// The layout of one side of the records.
    pub fn layout(&self, side: &SideDef, role: &ColumnRole) -> Layout {
        let fields = self.columns_of(role).map(field).collect();
        Layout {
            fields,
            wrapped: side.wrapped,
            delimiter: side.delimiter,
            presence: side.presence,
            schema: side.schema.clone(),
            reader: side.reader.clone().or_else(|| side.schema.clone()),
            envelope: match (side.envelope, role) {
                (Envelope::Debezium, ColumnRole::Key) => Envelope::DebeziumKey,
                (envelope, _) => envelope,
            },
        }
    }

    /// The format of one side of the records. A key without columns has format NONE, whatever was declared.
    pub fn format_of(&self, side: &SideDef, role: &ColumnRole) -> Result<FormatKind, FormatError> {
        let is_keyless = *role == ColumnRole::Key && self.columns_of(role).next().is_none();
        if is_keyless { Ok(FormatKind::None) } else { FormatKind::of_definition(&side.format) }
    }

    fn side_spec(&self, side: &SideDef, role: &ColumnRole) -> Result<SideSpec, String> {
        let format = self.format_of(side, role).map_err(|e| format!("{e}"))?;
        Ok(SideSpec { format, layout: self.layout(side, role) })
    }

    fn spec_columns(&self) -> Vec<Column> {
        let (mut keys, mut values) = (0.., 0..);
        let mut out = Vec::new();
        for column in self.columns_of(&ColumnRole::Key) {
            out.push(Column { field: field(column), origin: ColumnOrigin::Key(keys.next().unwrap_or(0)) });
        }
        if self.window.is_some() {
            out.push(bigint(WINDOWSTART, ColumnOrigin::WindowStart));
            out.push(bigint(WINDOWEND, ColumnOrigin::WindowEnd));
        }
        for column in self.columns.iter().filter(|c| c.role != ColumnRole::Key) {
            let origin = match &column.role {
                ColumnRole::Headers => ColumnOrigin::Headers,
                ColumnRole::Header(name) => ColumnOrigin::Header(name.clone()),
                _ => ColumnOrigin::Value(values.next().unwrap_or(0)),
            };
            let data_type = header_column_type(&origin).unwrap_or_else(|| column.arrow_type());
            out.push(Column { field: Arc::new(Field::new(&column.name, data_type, true)), origin });
        }
        out
    }
}

impl WindowDef {
    /// How keys encode the window.
    pub fn key_window(self) -> KeyWindow {
        match self {
            Self::Tumbling(size_ms) | Self::Hopping(size_ms) => KeyWindow::Time { size_ms },
            Self::Session => KeyWindow::Session,
        }
    }

    /// `TUMBLING`, `HOPPING` or `SESSION`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tumbling(_) => "TUMBLING",
            Self::Hopping(_) => "HOPPING",
            Self::Session => "SESSION",
        }
    }
}

fn field(column: &ColumnDef) -> FieldRef {
    Arc::new(Field::new(&column.name, column.arrow_type(), true))
}

fn bigint(name: &str, origin: ColumnOrigin) -> Column {
    Column { field: Arc::new(Field::new(name, DataType::Int64, true)), origin }
}
