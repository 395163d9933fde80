//! The default of a field, as it is written for a row that has no value for it.

use serde_json::Value;

use super::schema::{AvroSchema, Kind, NodeId, Record};
use super::write::{write_bytes, write_length, write_long};
use crate::format::float::float_of;

/// How many values a default may consist of: records whose defaults are left out take those of their fields, which may
/// be records again.
const VALUES_MAX: usize = 10_000;
/// How deep they may be nested.
const NESTING_MAX: usize = 64;

/// The bytes of a default. Fails if it is not valid for the type.
pub(super) fn default_bytes(schema: &AvroSchema, id: NodeId, default: &Value) -> Result<Vec<u8>, String> {
    let mut writer = Writer { schema, out: Vec::new(), values_left: VALUES_MAX };
    match writer.value(id, default, 0) {
        true => Ok(writer.out),
        false => Err(format!("the default {default} is not a valid {}", schema.name(id))),
    }
}

struct Writer<'a> {
    schema: &'a AvroSchema,
    out: Vec<u8>,
    values_left: usize,
}

impl Writer<'_> {
    /// Writes a value; false if it is not one of the type.
    fn value(&mut self, id: NodeId, value: &Value, depth: usize) -> bool {
        if depth == NESTING_MAX || self.values_left == 0 {
            return false;
        }
        self.values_left -= 1;
        let schema = self.schema;
        match (schema.kind(id), value) {
            (Kind::Union(branches), value) => self.branch(branches, value, depth),
            (Kind::Record(record), value) => self.record(record, value, depth),
            (Kind::Array(item), Value::Array(items)) => {
                self.block(items.len(), |writer, at| writer.value(*item, &items[at], depth + 1))
            }
            (Kind::Map(item), Value::Object(entries)) => {
                let entries: Vec<_> = entries.iter().collect();
                self.block(entries.len(), |writer, at| {
                    write_bytes(entries[at].0.as_bytes(), &mut writer.out);
                    writer.value(*item, entries[at].1, depth + 1)
                })
            }
            (kind, value) => self.scalar(kind, value).is_some(),
        }
    }

    /// Writes a value as the first branch that it is one of: the first one, by the older specification.
    fn branch(&mut self, branches: &[NodeId], value: &Value, depth: usize) -> bool {
        let start = self.out.len();
        branches.iter().enumerate().any(|(at, branch)| {
            self.out.truncate(start);
            write_length(at, &mut self.out);
            self.value(*branch, value, depth + 1)
        })
    }

    fn record(&mut self, record: &Record, value: &Value, depth: usize) -> bool {
        let Value::Object(members) = value else { return false };
        record.fields.iter().all(|field| match members.get(&*field.name).or(field.default.as_ref()) {
            Some(member) => self.value(field.node, member, depth + 1),
            None => false,
        })
    }

    fn block(&mut self, len: usize, mut item: impl FnMut(&mut Self, usize) -> bool) -> bool {
        if len > 0 {
            write_length(len, &mut self.out);
        }
        let is_valid = (0..len).all(|at| item(self, at));
        self.out.push(0);
        is_valid
    }

    fn scalar(&mut self, kind: &Kind, value: &Value) -> Option<()> {
        let out = &mut self.out;
        match kind {
            Kind::Null => value.as_null()?,
            Kind::Boolean => out.push(value.as_bool()?.into()),
            Kind::Int => write_long(i32::try_from(value.as_i64()?).ok()?.into(), out),
            Kind::Long => write_long(value.as_i64()?, out),
            Kind::Float => out.extend_from_slice(&float_of(value.as_f64()?)?.to_le_bytes()),
            Kind::Double => out.extend_from_slice(&value.as_f64()?.to_le_bytes()),
            Kind::String => write_bytes(value.as_str()?.as_bytes(), out),
            Kind::Bytes => write_bytes(&latin(value)?, out),
            Kind::Fixed(fixed) => {
                let bytes = latin(value).filter(|bytes| bytes.len() == fixed.size)?;
                out.extend_from_slice(&bytes);
            }
            Kind::Enum(symbols) => {
                let symbol = value.as_str()?;
                write_length(symbols.symbols.iter().position(|other| **other == *symbol)?, out);
            }
            Kind::Union(_) | Kind::Record(_) | Kind::Array(_) | Kind::Map(_) => return None,
        }
        Some(())
    }
}

/// The bytes that a text stands for in a default: each letter is one.
fn latin(value: &Value) -> Option<Vec<u8>> {
    value.as_str()?.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}
