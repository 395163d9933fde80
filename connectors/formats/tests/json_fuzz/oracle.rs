//! What a payload must give, by serde_json's reading of it and rules written a second time.
//!
//! serde_json keeps numbers beyond 64 bits and fractions as doubles, and rounds those roughly. So
//! such a number is compared as a double, and where only its digits could tell whether it fits a
//! column the oracle has no opinion. Nor has it one of UTF-16 and UTF-32, of exponents beyond 32 bits and
//! of nesting deeper than serde_json reads.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Fields, Float64Type, Int64Type};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What a payload must give.
pub enum Verdict {
    /// These values; `None` for a field that the oracle cannot tell from a misfit.
    Good(Vec<Option<Cell>>),
    /// A bad row, and why.
    Bad(String),
    /// The oracle cannot tell.
    Unknown,
}

/// A value, expected or found.
#[derive(Debug, PartialEq)]
pub enum Cell {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Compared with some tolerance.
    Double(f64),
    Text(String),
    List(Vec<Cell>),
    Map(Vec<(String, Cell)>),
    /// Expected: anything but null.
    Something,
}

impl Cell {
    /// True when `found` is what is expected here.
    pub fn is(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Something, found) => *found != Self::Null,
            (Self::Double(a), Self::Double(b)) => near(*a, *b, 1e-15),
            (Self::Double(a), Self::Integer(b)) => near(a.trunc(), *b as f64, 1e-15) || (a - *b as f64).abs() <= 1.0,
            (Self::Double(a), Self::Text(b)) => b.parse().is_ok_and(|b| near(*a, b, 1e-15)),
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b)),
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((ak, av), (bk, bv))| ak == bk && av.is(bv))
            }
            (expected, found) => expected == found,
        }
    }
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs()) + f64::MIN_POSITIVE
}

/// Why a value has no cell.
enum No {
    Misfit(String),
    Unknown,
}

/// Says what a decoder of these fields must make of the payload.
pub fn judge(payload: &[u8], fields: &[Field]) -> Verdict {
    let json = match first_value(payload) {
        Ok(json) => json,
        Err(verdict) => return verdict,
    };
    let cells: Vec<_> = match &json {
        Json::Null => fields.iter().map(|_| Ok(Cell::Null)).collect(),
        Json::Object(members) => fields.iter().map(|field| member(members, field)).collect(),
        _ => return Verdict::Bad("not an object".into()),
    };
    match cells.iter().find_map(|cell| if let Err(No::Misfit(why)) = cell { Some(why) } else { None }) {
        Some(why) => Verdict::Bad(why.clone()),
        None => Verdict::Good(cells.into_iter().map(Result::ok).collect()),
    }
}

/// The value that a payload begins with: what follows it is of no consequence.
fn first_value(payload: &[u8]) -> Result<Json, Verdict> {
    if matches!(payload, [0 | 0xFE | 0xFF, ..] | [_, 0, ..]) || has_huge_exponent(payload) {
        return Err(Verdict::Unknown);
    }
    let payload = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    let payload = without_lone_surrogates(payload);
    match serde_json::Deserializer::from_slice(&payload).into_iter::<Json>().next() {
        None => Err(Verdict::Bad("empty".into())),
        Some(Ok(json)) => Ok(json),
        Some(Err(error)) => Err(match error.to_string() {
            text if text.contains("number out of range") || text.contains("recursion limit") => Verdict::Unknown,
            // Of what may follow a word Jackson has its own idea.
            text if text.contains("trailing characters") && payload.trim_ascii_start().starts_with(b"null") => {
                Verdict::Unknown
            }
            text => Verdict::Bad(text),
        }),
    }
}

fn has_huge_exponent(payload: &[u8]) -> bool {
    let is_exponent = |rest: &&[u8]| {
        let digits = rest[1..].strip_prefix(b"-").or(rest[1..].strip_prefix(b"+")).unwrap_or(&rest[1..]);
        digits.iter().take_while(|byte| byte.is_ascii_digit()).count() >= 10
    };
    (0..payload.len())
        .map(|at| &payload[at..])
        .filter(|rest| matches!(rest[0], b'e' | b'E'))
        .any(|rest| is_exponent(&rest))
}

/// The payload with every escaped half of a surrogate pair as a question mark.
fn without_lone_surrogates(payload: &[u8]) -> Vec<u8> {
    let unit = |at: usize| {
        let escape = payload.get(at..at + 6).filter(|escape| escape.starts_with(b"\\u"))?;
        let digits = escape[2..].iter().all(u8::is_ascii_hexdigit).then(|| String::from_utf8_lossy(&escape[2..]))?;
        u32::from_str_radix(&digits, 16).ok()
    };
    let (mut out, mut at) = (Vec::new(), 0);
    while at < payload.len() {
        let (kept, passed) = match (unit(at), unit(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (&payload[at..at + 12], 12),
            (Some(0xD800..=0xDFFF), _) => (&b"?"[..], 6),
            _ => {
                let end = payload.len().min(at + if payload[at] == b'\\' { 2 } else { 1 });
                (&payload[at..end], end - at)
            }
        };
        out.extend_from_slice(kept);
        at += passed;
    }
    out
}

fn member(members: &[(String, Json)], field: &Field) -> Result<Cell, No> {
    let last = |same: &dyn Fn(&str) -> bool| members.iter().rev().find(|(name, _)| same(name)).map(|(_, value)| value);
    let exact = last(&|name| name == field.name());
    let value = exact.or_else(|| last(&|name| name.to_uppercase() == *field.name()));
    value.map_or(Ok(Cell::Null), |value| expect(value, field.data_type()))
}

fn expect(json: &Json, kind: &DataType) -> Result<Cell, No> {
    let misfit = || Err(No::Misfit(format!("{json:?} as {kind}")));
    match (kind, json) {
        (_, Json::Null) => Ok(Cell::Null),
        (DataType::Boolean, Json::Boolean(value)) => Ok(Cell::Boolean(*value)),
        (DataType::Int64, Json::Integer(value)) => Ok(Cell::Integer(*value as i64)),
        (DataType::Int64, Json::Double(value)) if value.abs() < 9e15 => Ok(Cell::Double(*value)),
        (DataType::Int64, Json::Double(_)) => Ok(Cell::Something),
        (DataType::Int64, Json::Text(text)) => text.parse().map(Cell::Integer).or_else(|_| misfit()),
        (DataType::Float64, Json::Integer(value)) => Ok(Cell::Double(*value as f64)),
        (DataType::Float64, Json::Double(value)) => Ok(Cell::Double(*value)),
        (DataType::Float64, Json::Text(text)) => double(text),
        (DataType::Decimal128(..), Json::Integer(value)) if value.abs() < 1_000_000 => {
            Ok(Cell::Integer(*value as i64 * 1000))
        }
        (DataType::Decimal128(..), Json::Integer(_)) => misfit(),
        (DataType::Decimal128(..), Json::Double(_) | Json::Text(_)) => Err(No::Unknown),
        (DataType::Utf8, json) => Ok(text(json)),
        (DataType::List(item), Json::List(items)) => {
            items.iter().map(|json| expect(json, item.data_type())).collect::<Result<_, _>>().map(Cell::List)
        }
        (DataType::Map(..), Json::Object(members)) => entries(members),
        (DataType::Struct(fields), Json::Object(members)) => record(members, fields),
        _ => misfit(),
    }
}

fn double(text: &str) -> Result<Cell, No> {
    match text.trim_matches(|c: char| c <= ' ').parse() {
        _ if text.contains(|c: char| !matches!(c, '0'..='9' | '.' | '-')) => Err(No::Unknown),
        Ok(value) => Ok(Cell::Double(value)),
        Err(_) => Err(No::Misfit(format!("{text:?} is no double"))),
    }
}

fn text(json: &Json) -> Cell {
    match json {
        Json::Double(value) => Cell::Double(*value),
        Json::Object(_) => Cell::Something,
        json => bare_text(json).map_or(Cell::Something, Cell::Text),
    }
}

/// The text of a value in an array; `None` where it has a fraction or is an object.
fn bare_text(json: &Json) -> Option<String> {
    Some(match json {
        Json::Null => "null".into(),
        Json::Boolean(value) => value.to_string(),
        Json::Integer(value) => value.to_string(),
        Json::Text(text) => text.clone(),
        Json::List(items) => {
            let items = items.iter().map(bare_text).collect::<Option<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        Json::Double(_) | Json::Object(_) => return None,
    })
}

fn entries(members: &[(String, Json)]) -> Result<Cell, No> {
    let mut last: Vec<(String, &Json)> = Vec::new();
    for (key, value) in members {
        match last.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1 = value,
            None => last.push((key.clone(), value)),
        }
    }
    let cells = last.into_iter().map(|(key, value)| Ok((key, expect(value, &DataType::Int64)?)));
    cells.collect::<Result<_, _>>().map(Cell::Map)
}

fn record(members: &[(String, Json)], fields: &Fields) -> Result<Cell, No> {
    fields.iter().map(|field| member(members, field)).collect::<Result<_, _>>().map(Cell::List)
}

/// The value a decoder gave.
pub fn cell(column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Boolean => Cell::Boolean(column.as_boolean().value(row)),
        DataType::Int64 => Cell::Integer(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => Cell::Integer(column.as_primitive::<Decimal128Type>().value(row) as i64),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Cell::List((0..items.len()).map(|item| cell(&items, item)).collect())
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            Cell::Map((0..entries.len()).map(|entry| (keys.value(entry).to_owned(), cell(values, entry))).collect())
        }
        DataType::Struct(_) => Cell::List(column.as_struct().columns().iter().map(|child| cell(child, row)).collect()),
        other => panic!("the layout has no {other}"),
    }
}

/// JSON as serde_json reads it, every member kept.
#[derive(Debug)]
pub enum Json {
    Null,
    Boolean(bool),
    Integer(i128),
    Double(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}
