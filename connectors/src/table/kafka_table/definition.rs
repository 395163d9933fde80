//! Turns the description of a table into a [`TopicSpec`], or reports all mistakes in it. The cluster is not contacted
//! here.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use headwater_formats::decode::{
    Column, ColumnOrigin, ColumnTimes, EventTime, KeyWindow, ROWOFFSET, ROWPARTITION, ROWTIME, RowKind, SideSpec,
    TopicSpec, WINDOWEND, WINDOWSTART, header_column_type,
};
use headwater_formats::format::{FormatError, FormatKind, Layout, parse_delimiter, sql_name};
use headwater_formats::record::Side;

use super::error::TableError;

/// The default format of keys that have columns.
const KEY_FORMAT: FormatKind = FormatKind::Kafka;
/// The default delimiter.
const DELIMITER: u8 = b',';

/// The description of a table.
#[derive(Clone, Debug)]
pub struct Definition {
    pub topic: String,
    pub kind: RowKind,
    pub columns: Vec<(String, Role)>,
    /// The mistakes that the builder has already found.
    pub mistakes: Mistakes,
    pub key: Format,
    pub value: Format,
    /// The event time column, and the pattern if it holds text.
    pub event_time: Option<(String, Option<String>)>,
    pub window: Option<KeyWindow>,
}

/// Which part of a record a column is read from.
#[derive(Clone, Debug)]
pub enum Role {
    Key(DataType),
    Value(DataType),
    Header(String),
    Headers,
}

/// The options of one side's format, as described.
#[derive(Clone, Debug, Default)]
pub struct Format {
    pub name: Option<String>,
    pub delimiter: Option<String>,
    pub wraps_single: Option<bool>,
}

/// What is wrong with a definition, in the order in which it was found.
pub type Mistakes = Vec<String>;

impl Definition {
    pub fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            kind: RowKind::All,
            columns: Vec::new(),
            mistakes: Mistakes::new(),
            key: Format::default(),
            value: Format::default(),
            event_time: None,
            window: None,
        }
    }

    /// The description of the topic's records, or all mistakes.
    pub fn spec(&self) -> Result<TopicSpec, TableError> {
        let mut mistakes = self.check_columns();
        let key = self.side(Side::Key, &self.key, &mut mistakes);
        let value = self.side(Side::Value, &self.value, &mut mistakes);
        let columns = self.spec_columns();
        let event_time = self.event_time(&columns, &mut mistakes);
        match (key, value) {
            (Some(key), Some(value)) if mistakes.is_empty() => {
                let (topic, kind, key_window) = (self.topic.as_str().into(), self.kind, self.window);
                Ok(TopicSpec { topic, kind, key, value, columns, event_time, key_window })
            }
            _ => Err(TableError::Definition { topic: self.topic.clone(), mistakes }),
        }
    }

    fn check_columns(&self) -> Mistakes {
        let mut mistakes = self.mistakes.clone();
        if self.columns.is_empty() {
            mistakes.push("the table has no columns".to_owned());
        }
        let mut seen = BTreeSet::new();
        for (name, _) in &self.columns {
            if self.is_reserved(name) {
                mistakes.push(format!("column name \"{name}\" is reserved"));
            } else if !seen.insert(name) {
                mistakes.push(format!("column \"{name}\" appears twice"));
            }
        }
        let has_key = self.columns.iter().any(|(_, role)| matches!(role, Role::Key(_)));
        if self.kind == RowKind::LatestPerKey && !has_key {
            mistakes.push("a table of the latest record per key needs a key column".to_owned());
        }
        if self.window.is_some() && !has_key {
            mistakes.push("a windowed key needs a key column".to_owned());
        }
        mistakes
    }

    fn is_reserved(&self, name: &str) -> bool {
        [ROWTIME, ROWPARTITION, ROWOFFSET].contains(&name)
            || self.window.is_some() && [WINDOWSTART, WINDOWEND].contains(&name)
    }

    /// The fields of one side in order.
    fn fields(&self, side: Side) -> Vec<FieldRef> {
        let field = |(name, role): &(String, Role)| match (role, side) {
            (Role::Key(data_type), Side::Key) | (Role::Value(data_type), Side::Value) => {
                Some(Arc::new(Field::new(name, plain(data_type), true)))
            }
            _ => None,
        };
        self.columns.iter().filter_map(field).collect()
    }

    /// The format of one side; `None` if it is not known.
    fn side(&self, side: Side, said: &Format, mistakes: &mut Mistakes) -> Option<SideSpec> {
        let fields = self.fields(side);
        let format = said.kind(side, fields.is_empty()).map_err(|mistake| mistakes.push(mistake)).ok()?;
        let delimiter = said.delimiter(format).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            DELIMITER
        });
        let wrapped = said.wraps_single.unwrap_or_else(|| format.wraps_by_default(side));
        let layout = Layout { wrapped, delimiter, ..Layout::of(fields) };
        let unfit = unfit_columns(format, side, &layout);
        if unfit.is_empty()
            && let Err(error) = format.check(&layout, side)
        {
            mistakes.push(error.to_string());
        }
        mistakes.extend(unfit);
        if format.schema_kind().is_some() {
            mistakes.push(format!(
                "format {format} needs a schema registry, which a table without the engine does not have"
            ));
        }
        Some(SideSpec { format, layout })
    }

    /// The columns in order; those of the window follow the last key column.
    fn spec_columns(&self) -> Vec<Column> {
        let (mut keys, mut values) = (0.., 0..);
        let last_key = self.columns.iter().rposition(|(_, role)| matches!(role, Role::Key(_)));
        let mut columns = Vec::new();
        for (at, (name, role)) in self.columns.iter().enumerate() {
            columns.push(column(name, role, &mut keys, &mut values));
            if self.window.is_some() && last_key == Some(at) {
                columns.push(bigint(WINDOWSTART, ColumnOrigin::WindowStart));
                columns.push(bigint(WINDOWEND, ColumnOrigin::WindowEnd));
            }
        }
        columns
    }

    fn event_time(&self, columns: &[Column], mistakes: &mut Mistakes) -> Option<EventTime> {
        let (name, format) = self.event_time.as_ref()?;
        let Some(column) = columns.iter().position(|column| column.field.name() == name) else {
            mistakes.push(format!("the event time column \"{name}\" does not exist"));
            return None;
        };
        mistakes.extend(unfit_time(name, columns[column].field.data_type(), format.as_deref()));
        Some(EventTime { column, format: format.clone() })
    }
}

impl Format {
    /// The format, or what is wrong with its name.
    fn kind(&self, side: Side, has_no_columns: bool) -> Result<FormatKind, String> {
        match (&self.name, side) {
            (Some(name), _) => name.parse().map_err(|error: FormatError| match error.hint() {
                Some(hint) => format!("{side} {error} ({})", hint.trim_end_matches('.')),
                None => format!("{side} {error}"),
            }),
            (None, Side::Key) => Ok(if has_no_columns { FormatKind::None } else { KEY_FORMAT }),
            (None, Side::Value) => Err("the value format is missing".to_owned()),
        }
    }

    fn delimiter(&self, format: FormatKind) -> Result<u8, String> {
        match &self.delimiter {
            None => Ok(DELIMITER),
            Some(_) if !format.supports_delimiter() => Err(format!("format {format} has no delimiter")),
            Some(text) => parse_delimiter(text).map_err(|error| error.to_string()),
        }
    }
}

fn column(
    name: &str,
    role: &Role,
    keys: &mut impl Iterator<Item = usize>,
    values: &mut impl Iterator<Item = usize>,
) -> Column {
    let (origin, given) = match role {
        Role::Key(given) => (ColumnOrigin::Key(keys.next().unwrap_or_default()), plain(given)),
        Role::Value(given) => (ColumnOrigin::Value(values.next().unwrap_or_default()), plain(given)),
        Role::Header(header) => (ColumnOrigin::Header(header.clone()), DataType::Null),
        Role::Headers => (ColumnOrigin::Headers, DataType::Null),
    };
    let data_type = header_column_type(&origin).unwrap_or(given);
    Column { field: Arc::new(Field::new(name, data_type, true)), origin }
}

fn bigint(name: &str, origin: ColumnOrigin) -> Column {
    Column { field: Arc::new(Field::new(name, DataType::Int64, true)), origin }
}

/// The columns whose types the format does not support.
fn unfit_columns(format: FormatKind, side: Side, layout: &Layout) -> Mistakes {
    // That NONE holds no columns at all is reported once, not for each column.
    if format == FormatKind::None {
        return Mistakes::new();
    }
    let unfit = |field: &FieldRef| {
        let (name, data_type) = (field.name(), field.data_type());
        let alone = Layout { wrapped: false, delimiter: DELIMITER, ..Layout::of(vec![field.clone()]) };
        match format.supports_type(data_type) {
            false => {
                Some(format!("format {format} cannot hold {side} column \"{name}\" of type {}", sql_name(data_type)))
            }
            true => format.decoder(&alone, &[0]).err().map(|error| format!("{side} column \"{name}\": {error}")),
        }
    };
    layout.fields.iter().filter_map(unfit).collect()
}

fn unfit_time(name: &str, data_type: &DataType, format: Option<&str>) -> Option<String> {
    match (data_type, format) {
        (DataType::Int64 | DataType::Timestamp(TimeUnit::Millisecond, None), None) => None,
        (DataType::Utf8, Some(_)) => ColumnTimes::new(format).err().map(|error| error.to_string()),
        (DataType::Utf8, None) => Some(format!("event time column \"{name}\" is Utf8 and needs a pattern")),
        (_, Some(_)) => Some(format!("event time column \"{name}\" is not Utf8 and cannot have a pattern")),
        _ => Some(format!("event time column \"{name}\" must be Int64, Timestamp(ms) or Utf8, not {data_type}")),
    }
}

/// The type as formats know it: string views and large strings become plain strings, and nested fields become nullable.
fn plain(data_type: &DataType) -> DataType {
    let nullable = |field: &FieldRef| Arc::new(Field::new(field.name(), plain(field.data_type()), true));
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item) => DataType::List(nullable(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect()),
        DataType::Map(entries, _) => DataType::Map(map_entries(entries), false),
        other => other.clone(),
    }
}

/// The entries of a map: only the values may be NULL.
fn map_entries(entries: &FieldRef) -> FieldRef {
    let DataType::Struct(fields) = entries.data_type() else { return entries.clone() };
    let field = |(at, field): (usize, &FieldRef)| Field::new(field.name(), plain(field.data_type()), at > 0);
    let fields = fields.iter().enumerate().map(field).collect();
    Arc::new(Field::new(entries.name(), DataType::Struct(fields), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistakes of a table over JSON values after `changed` was applied.
    fn mistakes(changed: impl FnOnce(&mut Definition)) -> Vec<String> {
        let mut definition = Definition::new("t");
        definition.value.name = Some("json".to_owned());
        definition.columns =
            vec![("id".to_owned(), Role::Key(DataType::Int64)), ("price".to_owned(), Role::Value(DataType::Float64))];
        changed(&mut definition);
        match definition.spec() {
            Ok(_) => Vec::new(),
            Err(TableError::Definition { mistakes, .. }) => mistakes,
            Err(TableError::Cluster(error)) => vec![error.to_string()],
        }
    }

    fn with(name: &str, role: Role) -> Vec<String> {
        mistakes(|definition| definition.columns.push((name.to_owned(), role)))
    }

    #[test]
    fn reports_all_mistakes_at_once() {
        assert_eq!(mistakes(|_| ()), [""; 0]);
        let all = mistakes(|definition| {
            definition.value.name = Some("JSN".to_owned());
            definition.columns.push(("price".to_owned(), Role::Headers));
            definition.columns.push((ROWTIME.to_owned(), Role::Headers));
            definition.mistakes.push("found by the builder".to_owned());
            definition.event_time = Some(("when".to_owned(), None));
        });
        let expected = [
            "found by the builder",
            "column \"price\" appears twice",
            "column name \"ROWTIME\" is reserved",
            "value format \"JSN\" does not exist (Did you mean JSON?)",
            "the event time column \"when\" does not exist",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn names_the_column_that_a_format_cannot_hold() {
        let wide = DataType::Int16;
        assert_eq!(with("n", Role::Value(wide)), ["value column \"n\": no format can hold the type Int16"]);
        let of = |format: &str, data_type: DataType| {
            mistakes(|definition| {
                definition.value.name = Some(format.to_owned());
                definition.columns[1].1 = Role::Value(data_type);
            })
        };
        let list = DataType::new_list(DataType::Int32, false);
        let unfit = ["format DELIMITED cannot hold value column \"price\" of type ARRAY<INT>"];
        assert_eq!(of("DELIMITED", list.clone()), unfit);
        assert_eq!(of("KAFKA", DataType::Boolean), ["format KAFKA cannot hold value column \"price\" of type BOOLEAN"]);
        assert_eq!(of("JSON", list), [""; 0]);
        let registered = ["format AVRO needs a schema registry, which a table without the engine does not have"];
        assert_eq!(of("AVRO", DataType::Int32), registered);
        assert_eq!(with("k", Role::Key(DataType::Int32)).len(), 1, "KAFKA holds one key column");
    }

    #[test]
    fn a_missing_key_column_is_reported() {
        let keyless = |changed: fn(&mut Definition)| {
            mistakes(|definition| {
                definition.columns.remove(0);
                changed(definition);
            })
        };
        assert_eq!(keyless(|_| ()), [""; 0]);
        let latest = keyless(|definition| definition.kind = RowKind::LatestPerKey);
        assert_eq!(latest, ["a table of the latest record per key needs a key column"]);
        assert_eq!(keyless(|definition| definition.key.name = Some("KAFKA".to_owned())), [""; 0]);
        let none = mistakes(|definition| definition.key.name = Some("NONE".to_owned()));
        assert_eq!(none, ["format NONE holds no columns, but there are key columns: \"id\" BIGINT"]);
    }

    #[test]
    fn types_are_as_formats_know_them() {
        let entries = vec![Field::new("k", DataType::LargeUtf8, false), Field::new("v", DataType::Utf8View, false)];
        let entries = Field::new("e", DataType::Struct(entries.into()), false);
        let given = DataType::Struct(vec![Field::new("m", DataType::Map(entries.into(), true), false)].into());
        assert_eq!(sql_name(&plain(&given)), "STRUCT<m MAP<STRING, STRING>>");
        let DataType::Struct(fields) = plain(&given) else { panic!("a struct") };
        assert!(fields[0].is_nullable());
    }
}
