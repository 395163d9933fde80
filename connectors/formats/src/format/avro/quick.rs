//! Passes over fields that are not read, many at once: only what is usual, for all that the position needs is a
//! register. Where anything is unusual, [`super::check`] and [`super::skip`] look at each field and tell what it is.

use super::cursor::{INT_BYTES, first_varint};
use super::plan::{Action, Plan, Text};
use super::schema::{AvroSchema, Branches, Kind, NodeId};
use crate::format::varint::{SHORT_BYTES, short_varint};

/// A field of a simple type that is not read.
#[derive(Debug)]
pub(super) struct Quick {
    /// The byte of the union's branch that is null, if the field is such a union: 0 or 2.
    null: Option<u8>,
    value: Value,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Boolean,
    Int,
    Long,
    /// A length and as many bytes of UTF-8.
    Text,
    /// A length and as many bytes.
    Bytes,
    Fixed(usize),
}

impl Quick {
    /// `None` for a field that is read, or whose type is not simple.
    pub(super) fn of(action: &Action, schema: &AvroSchema) -> Option<Self> {
        match action {
            Action::Skip(node) => skipped(schema, *node),
            Action::Check(plan) => checked(plan),
            Action::Read(..) | Action::Each(_) => None,
        }
    }
}

/// What [`super::check`] does with the value.
fn checked(plan: &Plan) -> Option<Quick> {
    let (null, plan) = match plan {
        Plan::Optional(null, plan) => (Some(branch_byte(*null)), plan.as_ref()),
        plan => (None, plan),
    };
    let value = match plan {
        Plan::Boolean | Plan::Text(Text::Boolean) => Value::Boolean,
        Plan::Int | Plan::IntAsLong | Plan::IntAsDouble | Plan::Text(Text::Int) => Value::Int,
        Plan::Long | Plan::LongAsDouble | Plan::Timestamp(_) | Plan::Text(Text::Long) => Value::Long,
        Plan::Float | Plan::Text(Text::Float) => Value::Fixed(4),
        Plan::Double | Plan::Text(Text::Double) => Value::Fixed(8),
        Plan::Text(Text::Uuid) => Value::Fixed(16),
        Plan::Fixed(size) => Value::Fixed(*size),
        Plan::String => Value::Text,
        Plan::Bytes => Value::Bytes,
        _ => return None,
    };
    Some(Quick { null, value })
}

/// What [`super::skip`] does with the value.
fn skipped(schema: &AvroSchema, node: NodeId) -> Option<Quick> {
    let (null, node) = match schema.kind(node) {
        Kind::Union(branches) => {
            let split = Branches::of(schema, branches);
            (Some(branch_byte(split.null?)), split.optional()?.1)
        }
        _ => (None, node),
    };
    let value = match schema.kind(node) {
        Kind::Boolean => Value::Boolean,
        Kind::Int => Value::Int,
        Kind::Long => Value::Long,
        Kind::Float => Value::Fixed(4),
        Kind::Double => Value::Fixed(8),
        Kind::Bytes | Kind::String => Value::Bytes,
        Kind::Fixed(fixed) => Value::Fixed(fixed.size),
        _ => return None,
    };
    Some(Quick { null, value })
}

/// The byte that stands for the first or the second branch of a union.
fn branch_byte(branch: usize) -> u8 {
    if branch == 0 { 0 } else { 2 }
}

/// What follows the fields; `None` if anything in them is unusual, right or wrong.
#[inline]
pub(super) fn pass<'a>(fields: &[Quick], mut rest: &'a [u8]) -> Option<&'a [u8]> {
    for field in fields {
        if let Some(null) = field.null {
            let (branch, after) = rest.split_first()?;
            rest = after;
            match branch ^ null {
                0 => continue,
                2 => {}
                _ => return None,
            }
        }
        rest = field.value.pass(rest)?;
    }
    Some(rest)
}

impl Value {
    #[inline]
    fn pass(self, rest: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Boolean => rest.split_first().and_then(|(byte, rest)| (*byte < 2).then_some(rest)),
            Self::Int => {
                varint::<INT_BYTES>(rest).and_then(|(number, rest)| (number <= u32::MAX.into()).then_some(rest))
            }
            Self::Long => varint::<SHORT_BYTES>(rest).map(|(_, rest)| rest),
            Self::Text => bytes(rest).and_then(|(text, rest)| is_text(text).then_some(rest)),
            Self::Bytes => bytes(rest).map(|(_, rest)| rest),
            Self::Fixed(size) => rest.get(size..),
        }
    }
}

/// A number of up to `BYTES` bytes, and what follows it.
#[inline]
fn varint<const BYTES: usize>(rest: &[u8]) -> Option<(u64, &[u8])> {
    match rest {
        [byte @ 0..0x80, rest @ ..] => Some(((*byte).into(), rest)),
        [_, _, _, _, _, _, _, _, ..] => first_varint::<BYTES>(rest),
        _ => last_varint::<BYTES>(rest),
    }
}

/// A number in the last bytes of a payload.
fn last_varint<const BYTES: usize>(rest: &[u8]) -> Option<(u64, &[u8])> {
    let mut word = [0x80; SHORT_BYTES];
    word[..rest.len()].copy_from_slice(rest);
    let (number, len) = short_varint::<BYTES>(word)?;
    Some((number, rest.get(len..)?))
}

#[inline]
fn bytes(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint::<SHORT_BYTES>(rest)?;
    // An odd number stands for a negative one.
    if length & 1 == 1 {
        return None;
    }
    rest.split_at_checked(usize::try_from(length >> 1).ok()?)
}

#[inline]
fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}
