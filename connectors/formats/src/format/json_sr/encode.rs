//! Encodes rows by a schema that may be someone else's: in JSON Schema a MAP is an array of entries or an object, and a
//! DECIMAL a number or a text in base64. What a schema does not say is written as in the schemas that we make.
//!
//! What a schema says about values and not about their types is checked before ([`super::check`]).
//!
//! Columns whose form is another one are turned into columns that JSON writes in that form, once a batch and mostly
//! without touching their values: a MAP that is an array of entries is an ARRAY of STRUCTs, a DECIMAL in base64 is BYTES.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, MapArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, FieldRef, i256};
use serde_json::Value;

use super::check::bad_rows;
use super::documents::{Documents, Node};
use super::infer::{JsonType, json_type, logical};
use super::properties::Properties;
use super::rules::{Rule, rules_of};
use crate::format::batch::{Payloads, Selected, conform, is_present};
use crate::format::framing::header;
use crate::format::inferred::{array_of, map_of, nullable};
use crate::format::json::{Dialect, JsonEncoder};
use crate::format::kind::FormatError;
use crate::format::unscaled::shortest;
use crate::format::{Encoded, Encoder, Layout, sql_name};
use crate::schema::WriterSchema;

/// An encoder for all fields of a layout; payloads begin with the id of the schema if it has one. Fails if the schema
/// cannot be used, or forbids the type of a column.
pub(in super::super) fn encoder(layout: &Layout, writer: &WriterSchema) -> Result<Box<dyn Encoder>, FormatError> {
    let header = writer.id.map(|id| header(id).to_vec()).unwrap_or_default();
    let documents = Documents::parse(&writer.schema).map_err(FormatError::Unfit)?;
    let root = documents.named(writer.full_name.as_deref()).map_err(FormatError::Unfit)?;
    let unfit = |reason: String| FormatError::Unfit(format!("the schema does not fit the columns: {reason}"));
    let members = members_of(&documents, root, layout).map_err(unfit)?;
    let rules = rules_of(&documents, root, layout, &members);
    if rules.is_empty() && members.iter().zip(&layout.fields).all(|(member, field)| member.is_ours(field)) {
        return Ok(Box::new(JsonEncoder::with(layout, Dialect::Connect, header)));
    }
    // What is turned must be of a type that a column can have: maps have texts as keys.
    Selected::try_new(layout, &[])?;
    let fields = members.iter().zip(&layout.fields).map(|(member, field)| member.field(field));
    let turned = Layout { fields: fields.collect(), ..layout.clone() };
    let omissions = rules.iter().map(Rule::omission).collect();
    let json = JsonEncoder::with(&turned, Dialect::Plain, header).leaving_out(omissions);
    Ok(Box::new(JsonSrEncoder { layout: layout.clone(), members, rules, json }))
}

struct JsonSrEncoder {
    layout: Layout,
    members: Vec<Member>,
    /// What each member must be; empty if the schema allows everything.
    rules: Vec<Rule>,
    /// Writes the columns that those of the layout are turned into.
    json: JsonEncoder,
}

impl Encoder for JsonSrEncoder {
    fn encode(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        match conform(columns, &self.layout) {
            Ok(columns) => {
                let turned = self.members.iter().zip(&columns).map(|(member, column)| member.form.turn(column));
                self.encode_turned(&turned.collect::<Vec<_>>(), rows, null_rows)
            }
            Err(reason) => Payloads::refuse(rows, &reason),
        }
    }
}

impl JsonSrEncoder {
    /// Encodes the rows that the schema allows.
    fn encode_turned(&mut self, columns: &[ArrayRef], rows: usize, null_rows: Option<&NullBuffer>) -> Encoded {
        let is_record = self.layout.is_record();
        let named = self.members.iter().map(|member| is_record.then_some(member.name.as_str())).zip(columns);
        let bad = bad_rows(&self.rules, named, rows, null_rows);
        if bad.is_empty() {
            return self.json.encode(columns, rows, null_rows);
        }
        let is_bad = |row: usize| bad.binary_search_by_key(&row, |bad| bad.row).is_ok();
        let good: NullBuffer = (0..rows).map(|row| is_present(null_rows, row) && !is_bad(row)).collect();
        let mut encoded = self.json.encode(columns, rows, Some(&good));
        encoded.bad.extend(bad);
        encoded.bad.sort_by_key(|bad| bad.row);
        encoded
    }
}

/// How a field is written.
pub(super) struct Member {
    /// Its name in the schema.
    pub(super) name: String,
    pub(super) form: Form,
}

/// The form of a value.
pub(super) enum Form {
    /// That of its column.
    Plain,
    /// A DECIMAL as the bytes of its unscaled value, in base64.
    Unscaled,
    Array(Box<Form>),
    /// A MAP as an array of entries, which have this form.
    Entries(Box<Form>),
    /// A MAP as an object, with the form of its values.
    Object(Box<Form>),
    Struct(Vec<Member>),
}

/// The columns of a layout as the members of an object, or the only one as the value itself.
fn members_of(documents: &Documents, root: Node<'_>, layout: &Layout) -> Result<Vec<Member>, String> {
    match layout.fields.as_slice() {
        [bare] if !layout.is_record() => {
            Ok(vec![Member { name: bare.name().clone(), form: form(documents, root, bare.data_type())? }])
        }
        columns => match documents.resolve(root).and_then(|root| Ok((root, json_type(root)?))) {
            Ok((root, JsonType::Object)) => members(documents, root, columns),
            Ok((_, other)) => Err(format!("it is {}, not object", other.name())),
            Err(_) => Ok(open_members(columns)),
        },
    }
}

/// The members of an object for the columns with their names. A column without a property is another member, if the object
/// may have others.
fn members(documents: &Documents, object: Node<'_>, columns: &[FieldRef]) -> Result<Vec<Member>, String> {
    let properties = Properties::of(object);
    let of_column = |column: &FieldRef| {
        let (name, node) = match properties.chosen(column.name()) {
            Some((name, node)) => (name, Some(node)),
            None if is_closed(object) => return Err(format!("it has no field for column \"{}\"", column.name())),
            None => (column.name().as_str(), object.member("additionalProperties")),
        };
        let form = node.map_or_else(|| Ok(open(column.data_type())), |node| form(documents, node, column.data_type()));
        Ok(Member { name: name.to_owned(), form: form.map_err(|error| format!("field \"{name}\": {error}"))? })
    };
    let members = columns.iter().map(of_column).collect::<Result<Vec<_>, _>>()?;
    let required = object.value.get("required").and_then(Value::as_array).into_iter().flatten();
    let is_missing = |name: &&str| members.iter().all(|member| member.name != *name);
    match required.filter_map(Value::as_str).find(is_missing) {
        Some(name) => Err(format!("the required field \"{name}\" has no column")),
        None => Ok(members),
    }
}

/// The form of a value whose schema is this one. Fails if the schema forbids whatever the column is written as.
fn form(documents: &Documents, node: Node<'_>, column: &DataType) -> Result<Form, String> {
    let Ok((node, kind)) = documents.resolve(node).and_then(|node| Ok((node, json_type(node)?))) else {
        return Ok(open(column));
    };
    let within = |node: Option<Node<'_>>, data_type: &DataType| match node {
        Some(node) => form(documents, node, data_type),
        None => Ok(open(data_type)),
    };
    let logical = logical(node, kind);
    Ok(match (kind, column) {
        (JsonType::Object, DataType::Struct(columns)) => Form::Struct(members(documents, node, columns)?),
        (JsonType::Object, DataType::Map(entries, _)) if !is_closed(node) => {
            Form::Object(Box::new(within(node.member("additionalProperties"), value_type(entries))?))
        }
        (JsonType::Array, DataType::Map(entries, _)) => {
            Form::Entries(Box::new(within(node.member("items"), &entry_of(value_type(entries)))?))
        }
        (JsonType::Array, DataType::List(item)) => {
            Form::Array(Box::new(within(node.member("items"), item.data_type())?))
        }
        (JsonType::String, decimal) if logical.as_ref().is_some_and(|logical| has_scale_of(logical, decimal)) => {
            Form::Unscaled
        }
        (JsonType::Integer, DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) if *scale <= 0 => {
            Form::Plain
        }
        (JsonType::Integer | JsonType::Number, DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(..))
            if logical.as_ref().is_none_or(|logical| logical.as_ref() == Ok(column)) =>
        {
            Form::Plain
        }
        (JsonType::Boolean, DataType::Boolean)
        | (JsonType::Integer | JsonType::Number, DataType::Int32 | DataType::Int64)
        | (JsonType::Number, DataType::Float64 | DataType::Decimal128(..) | DataType::Decimal256(..))
        | (JsonType::String, DataType::Utf8 | DataType::Binary) => Form::Plain,
        _ => {
            let meaning = logical.and_then(Result::ok).map(|logical| format!(" ({})", sql_name(&logical)));
            let meaning = meaning.unwrap_or_default();
            return Err(format!("{} cannot be written as {}{meaning}", sql_name(column), kind.name()));
        }
    })
}

/// True for an object that has no other members than its properties.
fn is_closed(object: Node<'_>) -> bool {
    object.value.get("additionalProperties") == Some(&Value::Bool(false))
}

/// True if a logical type is a decimal with the scale of a DECIMAL, so that both have the same unscaled values.
fn has_scale_of(logical: &Result<DataType, String>, column: &DataType) -> bool {
    let scale_of = |data_type: &DataType| match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    };
    logical.as_ref().is_ok_and(|logical| scale_of(logical).is_some() && scale_of(logical) == scale_of(column))
}

/// The form of a value about which the schema says nothing.
fn open(column: &DataType) -> Form {
    match column {
        DataType::List(item) => Form::Array(Box::new(open(item.data_type()))),
        DataType::Map(entries, _) => Form::Entries(Box::new(open(&entry_of(value_type(entries))))),
        DataType::Struct(columns) => Form::Struct(open_members(columns)),
        _ => Form::Plain,
    }
}

fn open_members(columns: &[FieldRef]) -> Vec<Member> {
    columns.iter().map(|column| Member { name: column.name().clone(), form: open(column.data_type()) }).collect()
}

/// The type of the values of a MAP.
pub(super) fn value_type(entries: &FieldRef) -> &DataType {
    match entries.data_type() {
        DataType::Struct(pair) if pair.len() == 2 => pair[1].data_type(),
        other => other,
    }
}

impl Member {
    /// True if it is written as it would be by a schema that we make.
    fn is_ours(&self, column: &FieldRef) -> bool {
        self.name == *column.name() && self.form.is_ours(column.data_type())
    }

    /// The column that the column is turned into.
    fn field(&self, column: &FieldRef) -> FieldRef {
        nullable(&self.name, self.form.data_type(column.data_type()))
    }
}

impl Form {
    fn is_ours(&self, column: &DataType) -> bool {
        match (self, column) {
            (Self::Array(item), DataType::List(field)) => item.is_ours(field.data_type()),
            (Self::Entries(entry), DataType::Map(entries, _)) => entry.is_ours(&entry_of(value_type(entries))),
            (Self::Struct(members), DataType::Struct(columns)) => {
                members.iter().zip(columns).all(|(member, column)| member.is_ours(column))
            }
            (form, _) => matches!(form, Self::Plain),
        }
    }

    /// The type of the column that a column is turned into.
    pub(super) fn data_type(&self, column: &DataType) -> DataType {
        match (self, column) {
            (Self::Unscaled, _) => DataType::Binary,
            (Self::Array(item), DataType::List(field)) => array_of(item.data_type(field.data_type())),
            (Self::Entries(entry), DataType::Map(entries, _)) => {
                array_of(entry.data_type(&entry_of(value_type(entries))))
            }
            (Self::Object(value), DataType::Map(entries, _)) => map_of(value.data_type(value_type(entries))),
            (Self::Struct(members), DataType::Struct(columns)) => {
                DataType::Struct(members.iter().zip(columns).map(|(member, column)| member.field(column)).collect())
            }
            (_, plain) => plain.clone(),
        }
    }

    /// The column that JSON writes in this form.
    fn turn(&self, column: &ArrayRef) -> ArrayRef {
        match (self, self.data_type(column.data_type())) {
            (Self::Plain, _) => column.clone(),
            (Self::Unscaled, _) => Arc::new(unscaled(column)),
            (Self::Array(item), DataType::List(field)) => {
                let list = column.as_list::<i32>();
                let items = item.turn(list.values());
                Arc::new(ListArray::new(field, list.offsets().clone(), items, list.nulls().cloned()))
            }
            (Self::Entries(entry), DataType::List(field)) => {
                let map = column.as_map();
                let DataType::Struct(pair) = entry_of(map.value_type()) else { unreachable!("an entry is a STRUCT") };
                let entries = StructArray::new(pair, vec![map.keys().clone(), map.values().clone()], None);
                let entries = entry.turn(&(Arc::new(entries) as ArrayRef));
                Arc::new(ListArray::new(field, map.offsets().clone(), entries, map.nulls().cloned()))
            }
            (Self::Object(value), DataType::Map(field, is_sorted)) => {
                let map = column.as_map();
                let DataType::Struct(pair) = field.data_type() else { unreachable!("a MAP has entries") };
                let pairs = vec![map.keys().clone(), value.turn(map.values())];
                let entries = StructArray::new(pair.clone(), pairs, None);
                Arc::new(MapArray::new(field, map.offsets().clone(), entries, map.nulls().cloned(), is_sorted))
            }
            (Self::Struct(members), DataType::Struct(fields)) => {
                let record = column.as_struct();
                let children = members.iter().zip(record.columns()).map(|(member, child)| member.form.turn(child));
                Arc::new(StructArray::new(fields, children.collect(), record.nulls().cloned()))
            }
            (_, other) => unreachable!("a form is made for the type of its column, not for {other}"),
        }
    }
}

/// An entry of a MAP with values of a type, as a STRUCT.
pub(super) fn entry_of(value: &DataType) -> DataType {
    DataType::Struct(vec![nullable("key", DataType::Utf8), nullable("value", value.clone())].into())
}

/// The shortest bytes of the unscaled values of a DECIMAL.
fn unscaled(column: &ArrayRef) -> BinaryArray {
    let bytes = |number: i256| shortest(&number.to_be_bytes()).to_vec();
    match column.as_primitive_opt::<Decimal128Type>() {
        Some(numbers) => numbers.iter().map(|number| number.map(|number| bytes(i256::from_i128(number)))).collect(),
        None => column.as_primitive::<Decimal256Type>().iter().map(|number| number.map(bytes)).collect(),
    }
}
