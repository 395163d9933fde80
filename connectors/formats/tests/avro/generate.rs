//! Random Avro schemas, and values of them for Avro's own library.

use apache_avro::types::Value;
use apache_avro::{Decimal, Uuid};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};

/// A random record, whose types are named from `number` on.
pub fn random_record(rng: &mut StdRng, depth: u32, number: &mut u32) -> Json {
    *number += 1;
    let name = format!("R{number}");
    let count = rng.random_range(1..6);
    let fields: Vec<_> = (0..count)
        .map(|at| {
            let kind = random_type(rng, depth, number);
            json!({ "name": format!("f{at}"), "type": kind })
        })
        .collect();
    json!({ "type": "record", "name": name, "fields": fields })
}

fn random_type(rng: &mut StdRng, depth: u32, number: &mut u32) -> Json {
    match rng.random_range(0..if depth == 0 { 2 } else { 4 }) {
        0 => {
            let other = plain_type(rng, depth, number);
            if rng.random() { json!(["null", other]) } else { json!([other, "null"]) }
        }
        3 if rng.random_bool(0.4) => several(rng, depth, number),
        _ => plain_type(rng, depth, number),
    }
}

/// A union of several types.
fn several(rng: &mut StdRng, depth: u32, number: &mut u32) -> Json {
    let mut branches = vec![json!("null"), json!("long"), json!("string")];
    branches.push(random_record(rng, depth - 1, number));
    branches.push(json!({ "type": "array", "items": random_type(rng, depth - 1, number) }));
    branches.push(random_record(rng, depth - 1, number));
    for at in (1..branches.len()).rev() {
        branches.swap(at, rng.random_range(0..=at));
    }
    let keep = rng.random_range(4..=branches.len());
    branches.truncate(keep);
    Json::Array(branches)
}

fn plain_type(rng: &mut StdRng, depth: u32, number: &mut u32) -> Json {
    let nested = if depth == 0 { 0 } else { 3 };
    *number += 1;
    let name = format!("N{number}");
    match rng.random_range(0..12 + nested) {
        0 => json!("boolean"),
        1 => json!("int"),
        2 => json!("long"),
        3 => json!("float"),
        4 => json!("double"),
        5 => json!("bytes"),
        6 => json!("string"),
        7 => json!({ "type": "fixed", "name": name, "size": rng.random_range(0..20) }),
        8 => json!({ "type": "enum", "name": name, "symbols": ["A", "B", "C"] }),
        9 => decimal(rng, &name),
        10 | 11 => logical(rng),
        12 => json!({ "type": "array", "items": random_type(rng, depth - 1, number) }),
        13 => json!({ "type": "map", "values": random_type(rng, depth - 1, number) }),
        _ => random_record(rng, depth - 1, number),
    }
}

fn decimal(rng: &mut StdRng, name: &str) -> Json {
    let precision = rng.random_range(1..60);
    let scale = rng.random_range(0..=precision);
    match rng.random() {
        true => json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale }),
        // 26 bytes hold 61 digits.
        false => {
            json!({ "type": "fixed", "name": name, "size": 26, "logicalType": "decimal", "precision": precision, "scale": scale })
        }
    }
}

fn logical(rng: &mut StdRng) -> Json {
    let (encoding, name) = [
        ("int", "date"),
        ("int", "time-millis"),
        ("long", "time-micros"),
        ("long", "timestamp-millis"),
        ("long", "timestamp-micros"),
        ("long", "timestamp-nanos"),
        ("long", "local-timestamp-millis"),
        ("long", "local-timestamp-micros"),
        ("string", "uuid"),
    ][rng.random_range(0..9)];
    json!({ "type": encoding, "logicalType": name })
}

/// A random value of a schema.
pub fn random_value(rng: &mut StdRng, schema: &Json) -> Value {
    if let Json::Array(branches) = schema {
        let branch = rng.random_range(0..branches.len());
        return Value::Union(branch as u32, Box::new(random_value(rng, &branches[branch])));
    }
    let object = |name: &str| schema.get(name);
    if let Some(logical) = object("logicalType").and_then(Json::as_str) {
        return logical_value(rng, logical, schema);
    }
    match schema.as_str().or(object("type").and_then(Json::as_str)).unwrap() {
        "null" => Value::Null,
        "boolean" => Value::Boolean(rng.random()),
        "int" => Value::Int(random_long(rng) as i32),
        "long" => Value::Long(random_long(rng)),
        "float" => Value::Float(rng.random_range(-1e9..1e9)),
        "double" => Value::Double(rng.random_range(-1e200..1e200)),
        "bytes" => Value::Bytes(random_bytes(rng, 20)),
        "string" => Value::String((0..rng.random_range(0..9)).map(|_| rng.random::<char>()).collect()),
        "fixed" => {
            let size = schema["size"].as_u64().unwrap() as usize;
            Value::Fixed(size, (0..size).map(|_| rng.random()).collect())
        }
        "enum" => {
            let symbol = rng.random_range(0..3);
            Value::Enum(symbol, ["A", "B", "C"][symbol as usize].to_owned())
        }
        "array" => Value::Array((0..length(rng)).map(|_| random_value(rng, &schema["items"])).collect()),
        "map" => {
            Value::Map((0..length(rng)).map(|at| (format!("k{at}"), random_value(rng, &schema["values"]))).collect())
        }
        _ => {
            let fields = schema["fields"].as_array().unwrap().iter();
            Value::Record(
                fields
                    .map(|field| (field["name"].as_str().unwrap().to_owned(), random_value(rng, &field["type"])))
                    .collect(),
            )
        }
    }
}

fn logical_value(rng: &mut StdRng, logical: &str, schema: &Json) -> Value {
    match logical {
        "decimal" => {
            // As many whole bytes as surely fit the precision.
            let digits = schema["precision"].as_u64().unwrap() as usize;
            let len = digits * 5 / 12;
            let mut bytes: Vec<u8> = (0..len).map(|_| rng.random()).collect();
            if bytes.is_empty() {
                bytes = vec![rng.random_range(0..10)];
            }
            while matches!(bytes[..], [0, 0..0x80, ..] | [0xff, 0x80..=0xff, ..]) {
                bytes.remove(0);
            }
            if schema["type"] == "fixed" {
                let sign = if bytes[0] >= 0x80 { 0xff } else { 0 };
                bytes = [vec![sign; 26 - bytes.len()], bytes].concat();
            }
            Value::Decimal(Decimal::from(bytes))
        }
        "date" => Value::Date(rng.random()),
        "time-millis" => Value::TimeMillis(rng.random_range(0..86_400_000)),
        "time-micros" => Value::TimeMicros(random_long(rng)),
        "timestamp-millis" => Value::TimestampMillis(random_long(rng)),
        "timestamp-micros" => Value::TimestampMicros(random_long(rng)),
        "timestamp-nanos" => Value::TimestampNanos(random_long(rng)),
        "local-timestamp-millis" => Value::LocalTimestampMillis(random_long(rng)),
        "local-timestamp-micros" => Value::LocalTimestampMicros(random_long(rng)),
        _ => Value::Uuid(Uuid::from_u128(rng.random())),
    }
}

fn length(rng: &mut StdRng) -> usize {
    rng.random_range(0..4)
}

fn random_bytes(rng: &mut StdRng, max: usize) -> Vec<u8> {
    (0..rng.random_range(0..max)).map(|_| rng.random()).collect()
}

/// A number of any size.
fn random_long(rng: &mut StdRng) -> i64 {
    rng.random::<i64>() >> rng.random_range(0..64)
}
