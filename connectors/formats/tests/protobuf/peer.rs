//! A peer: the same rows as messages of `prost-reflect`, which has its own reader and writer.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, FieldRef, Float64Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMillisecondType, i256,
};
use chrono::{Datelike, NaiveDate};
use headwater_formats::format::{Layout, Presence};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions, OneofDescriptorProto,
};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Case, NOSR, assert_equal};

const SEEDS: u64 = 1_000;
const ROWS: usize = 100;

/// Goal: another implementation of Protobuf reads what we write, and we read what it writes, 100,000 records in all.
#[test]
fn a_peer_reads_and_writes_the_same_rows() {
    for seed in 0..SEEDS {
        let case = Case::new(&mut StdRng::seed_from_u64(seed), ROWS, false);
        let descriptor = descriptor(&case.layout);
        let expected: Vec<_> = (0..ROWS).map(|row| message(&descriptor, &case.written, row)).collect();
        for (payload, expected) in case.encode(None).iter().zip(&expected) {
            let found = DynamicMessage::decode(descriptor.clone(), payload.unwrap()).unwrap();
            for field in descriptor.fields() {
                let (found, expected) = (found.get_field(&field), expected.get_field(&field));
                assert!(found == expected, "seed {seed}, {}\n{found}\n{expected}", field.name());
            }
        }
        let theirs = BinaryArray::from_iter_values(expected.iter().map(|message| message.encode_to_vec()));
        let all: Vec<_> = (0..case.read.len()).collect();
        let decoded = NOSR.decoder(&case.layout, &all).unwrap().decode(&theirs);
        assert_eq!(decoded.bad, [], "seed {seed}");
        for (found, expected) in decoded.columns.iter().zip(&case.read).filter(|(found, _)| !has_map(found.data_type()))
        {
            assert_equal(found, expected, &format!("seed {seed}"));
        }
        // The entries of their maps are in any order.
        for row in 0..ROWS {
            let found = message(&descriptor, &decoded.columns, row);
            assert!(found == message(&descriptor, &case.read, row), "seed {seed}, row {row}\n{found}");
        }
    }
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => has_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}

/// The message of a layout.
fn descriptor(layout: &Layout) -> MessageDescriptor {
    let mut messages = vec![
        known("Date", &[("year", Type::Int32), ("month", Type::Int32), ("day", Type::Int32)]),
        known(
            "Time",
            &[("hours", Type::Int32), ("minutes", Type::Int32), ("seconds", Type::Int32), ("nanos", Type::Int32)],
        ),
        known("Decimal", &[("value", Type::Bytes), ("precision", Type::Uint32), ("scale", Type::Int32)]),
    ];
    add_message("Row".to_owned(), &layout.fields, layout.presence, &mut messages);
    let file = FileDescriptorProto {
        name: Some("row.proto".to_owned()),
        package: Some("t".to_owned()),
        dependency: vec!["google/protobuf/timestamp.proto".to_owned(), "google/protobuf/wrappers.proto".to_owned()],
        message_type: messages,
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_proto(file).unwrap();
    pool.get_message_by_name("t.Row").unwrap()
}

fn known(name: &str, fields: &[(&str, Type)]) -> DescriptorProto {
    let field = |((name, kind), number): (&(&str, Type), i32)| FieldDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some((*kind).into()),
        ..FieldDescriptorProto::default()
    };
    let fields = fields.iter().zip(1..).map(field).collect();
    DescriptorProto { name: Some(name.to_owned()), field: fields, ..DescriptorProto::default() }
}

fn add_message(name: String, columns: &[FieldRef], presence: Presence, messages: &mut Vec<DescriptorProto>) {
    let mut message = DescriptorProto { name: Some(name.clone()), ..DescriptorProto::default() };
    for (column, number) in columns.iter().zip(1..) {
        let own = format!("{name}_{number}");
        let mut field = field(&own, column.data_type(), number, presence, messages);
        let is_scalar = field.type_name.is_none() && field.label != Some(Label::Repeated.into());
        if is_scalar && presence == Presence::Optional {
            field.proto3_optional = Some(true);
            field.oneof_index = Some(message.oneof_decl.len() as i32);
            let oneof = OneofDescriptorProto { name: Some(format!("_f{number}")), ..OneofDescriptorProto::default() };
            message.oneof_decl.push(oneof);
        }
        message.field.push(field);
    }
    messages.push(message);
}

/// A field; `own` is a name for the message that it may need.
fn field(
    own: &str,
    data_type: &DataType,
    number: i32,
    presence: Presence,
    messages: &mut Vec<DescriptorProto>,
) -> FieldDescriptorProto {
    let named = |kind: Option<Type>, type_name: Option<String>, label: Label| FieldDescriptorProto {
        name: Some(format!("f{number}")),
        number: Some(number),
        label: Some(label.into()),
        r#type: kind.map(Into::into),
        type_name,
        ..FieldDescriptorProto::default()
    };
    match data_type {
        DataType::List(item) => {
            let item = field(own, item.data_type(), number, presence, messages);
            FieldDescriptorProto { label: Some(Label::Repeated.into()), ..item }
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { panic!("a map has entries") };
            let value = field(&format!("{own}_v"), pair[1].data_type(), 2, presence, messages);
            let is_map = value.label != Some(Label::Repeated.into());
            let key = FieldDescriptorProto {
                name: Some("key".to_owned()),
                ..known("", &[("", Type::String)]).field[0].clone()
            };
            let value = FieldDescriptorProto { name: Some("value".to_owned()), ..value };
            let options = is_map.then(|| MessageOptions { map_entry: Some(true), ..MessageOptions::default() });
            let name = format!("F{number}Entry");
            let entry =
                DescriptorProto { name: Some(name), field: vec![key, value], options, ..DescriptorProto::default() };
            // An entry must be declared in the message of its map, so the map has one of its own around it.
            messages.push(entry_holder(own, entry));
            named(None, Some(format!(".t.{own}.F{number}Entry")), Label::Repeated)
        }
        DataType::Struct(fields) => {
            add_message(own.to_owned(), fields, presence, messages);
            named(None, Some(format!(".t.{own}")), Label::Optional)
        }
        other => match scalar(other, presence) {
            Ok(kind) => named(Some(kind), None, Label::Optional),
            Err(type_name) => named(None, Some(type_name.to_owned()), Label::Optional),
        },
    }
}

fn entry_holder(own: &str, entry: DescriptorProto) -> DescriptorProto {
    DescriptorProto { name: Some(own.to_owned()), nested_type: vec![entry], ..DescriptorProto::default() }
}

/// The type of a scalar, or the name of its message.
fn scalar(data_type: &DataType, presence: Presence) -> Result<Type, &'static str> {
    let wrapper = presence == Presence::Wrapper;
    match data_type {
        DataType::Boolean if wrapper => Err(".google.protobuf.BoolValue"),
        DataType::Int32 if wrapper => Err(".google.protobuf.Int32Value"),
        DataType::Int64 if wrapper => Err(".google.protobuf.Int64Value"),
        DataType::Float64 if wrapper => Err(".google.protobuf.DoubleValue"),
        DataType::Utf8 if wrapper => Err(".google.protobuf.StringValue"),
        DataType::Binary if wrapper => Err(".google.protobuf.BytesValue"),
        DataType::Boolean => Ok(Type::Bool),
        DataType::Int32 => Ok(Type::Int32),
        DataType::Int64 => Ok(Type::Int64),
        DataType::Float64 => Ok(Type::Double),
        DataType::Utf8 => Ok(Type::String),
        DataType::Binary => Ok(Type::Bytes),
        DataType::Date32 => Err(".t.Date"),
        DataType::Time32(_) => Err(".t.Time"),
        DataType::Timestamp(..) => Err(".google.protobuf.Timestamp"),
        DataType::Decimal128(..) | DataType::Decimal256(..) => Err(".t.Decimal"),
        other => panic!("no message holds {other}"),
    }
}

/// One row as a message.
fn message(descriptor: &MessageDescriptor, columns: &[ArrayRef], row: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (column, number) in columns.iter().zip(1..) {
        let field = descriptor.get_field(number).unwrap();
        if column.is_valid(row) {
            let value = match column.data_type() {
                DataType::List(_) => list(&field.kind(), column, row),
                DataType::Map(..) => map(&field.kind(), field.is_map(), column, row),
                _ => value(&field.kind(), column, row),
            };
            set(&mut message, &field, value);
        }
    }
    message
}

/// Sets a field as a reader finds it: a default that is not written is not there.
fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: Value) {
    if field.supports_presence() || !value.is_default_for_field(field) {
        message.set_field(field, value);
    }
}

fn list(kind: &Kind, column: &ArrayRef, row: usize) -> Value {
    let items = column.as_list::<i32>().value(row);
    Value::List((0..items.len()).map(|at| value(kind, &items, at)).collect())
}

fn map(kind: &Kind, is_map: bool, column: &ArrayRef, row: usize) -> Value {
    let Kind::Message(entry) = kind else { panic!("entries are messages") };
    let pairs = column.as_map().value(row);
    let key = |at| pairs.column(0).as_string::<i32>().value(at).to_owned();
    let kind = entry.get_field(2).unwrap().kind();
    match is_map {
        true => {
            let value = |at| match pairs.column(1).is_valid(at) {
                true => value(&kind, pairs.column(1), at),
                false => Value::default_value(&kind),
            };
            let pair = |at| (MapKey::String(key(at)), value(at));
            Value::Map((0..pairs.len()).map(pair).collect::<HashMap<_, _>>())
        }
        false => Value::List((0..pairs.len()).map(|at| Value::Message(message(entry, pairs.columns(), at))).collect()),
    }
}

fn value(kind: &Kind, column: &ArrayRef, at: usize) -> Value {
    match kind {
        Kind::Message(descriptor) if matches!(column.data_type(), DataType::Struct(_)) => {
            Value::Message(message(descriptor, column.as_struct().columns(), at))
        }
        Kind::Message(descriptor) => {
            let mut message = DynamicMessage::new(descriptor.clone());
            for (value, number) in parts(column, at).into_iter().zip(1..) {
                set(&mut message, &descriptor.get_field(number).unwrap(), value);
            }
            Value::Message(message)
        }
        _ => plain(column, at),
    }
}

/// The fields of a scalar that is a message.
fn parts(column: &ArrayRef, at: usize) -> Vec<Value> {
    let ints = |ints: &[i32]| ints.iter().map(|int| Value::I32(*int)).collect();
    match column.data_type() {
        DataType::Date32 => {
            let (eras, day) = {
                let days = i64::from(column.as_primitive::<Date32Type>().value(at));
                (days.div_euclid(146_097), days.rem_euclid(146_097))
            };
            let date = NaiveDate::from_epoch_days(day as i32).unwrap();
            ints(&[date.year() + eras as i32 * 400, date.month() as i32, date.day() as i32])
        }
        DataType::Time32(_) => {
            let ms = column.as_primitive::<Time32MillisecondType>().value(at);
            ints(&[ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000 * 1_000_000])
        }
        DataType::Timestamp(..) => {
            let ms = column.as_primitive::<TimestampMillisecondType>().value(at);
            vec![Value::I64(ms.div_euclid(1000)), Value::I32(ms.rem_euclid(1000) as i32 * 1_000_000)]
        }
        DataType::Decimal128(precision, scale) => {
            decimal(i256::from_i128(column.as_primitive::<Decimal128Type>().value(at)), *precision, *scale)
        }
        DataType::Decimal256(precision, scale) => {
            decimal(column.as_primitive::<Decimal256Type>().value(at), *precision, *scale)
        }
        _ => vec![plain(column, at)],
    }
}

fn decimal(number: i256, precision: u8, scale: i8) -> Vec<Value> {
    let bytes = number.to_be_bytes();
    // The shortest of its last bytes that have the same value.
    let value = |from: usize| {
        let fill = if bytes[from] >= 0x80 { 0xff } else { 0 };
        bytes[..from].iter().all(|byte| *byte == fill)
    };
    let from = (0..32).rev().find(|from| value(*from)).unwrap();
    vec![Value::Bytes(bytes[from..].to_vec().into()), Value::U32(precision.into()), Value::I32(scale.into())]
}

fn plain(column: &ArrayRef, at: usize) -> Value {
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(at)),
        DataType::Int32 => Value::I32(column.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => Value::I64(column.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => Value::F64(column.as_primitive::<Float64Type>().value(at)),
        DataType::Utf8 => Value::String(column.as_string::<i32>().value(at).to_owned()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(at).to_vec().into()),
        other => panic!("{other} is no plain value"),
    }
}
