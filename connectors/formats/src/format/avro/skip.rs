//! Skips values that no column asks for, by their type in the writer's schema. Their lengths, branches and symbols are
//! checked; the texts in them are not, and neither are blocks of arrays and maps whose writer gave their size.

use super::cursor::Cursor;
use super::schema::{AvroSchema, Field, Kind, NodeId};
use crate::format::fault::Outcome;

/// How deep skipped values may be nested, as recursive schemas have no limit of their own.
const NESTING_MAX: usize = 256;

/// Skips a value.
pub(super) fn skip(schema: &AvroSchema, id: NodeId, cursor: &mut Cursor<'_>, depth: usize) -> Outcome<()> {
    let node = schema.node(id);
    match &node.kind {
        _ if node.is_empty => Ok(()),
        Kind::Null => Ok(()),
        Kind::Boolean => cursor.boolean().map(drop),
        Kind::Int => cursor.int().map(drop),
        Kind::Long => cursor.long().map(drop),
        Kind::Float => cursor.take(4).map(drop),
        Kind::Double => cursor.take(8).map(drop),
        Kind::Bytes | Kind::String => cursor.bytes().map(drop),
        Kind::Fixed(fixed) => cursor.take(fixed.size).map(drop),
        Kind::Enum(symbols) => cursor.symbol(symbols.symbols.len()).map(drop),
        Kind::Union(branches) => {
            let branch = cursor.branch(branches.len())?;
            skip(schema, branches[branch], cursor, depth)
        }
        _ if depth == NESTING_MAX => Err(cursor.fault(format!("values are nested more than {NESTING_MAX} deep"))),
        Kind::Record(record) => {
            let skip_field = |field: &Field| {
                skip(schema, field.node, cursor, depth + 1).map_err(|fault| fault.in_field(&field.name))
            };
            record.fields.iter().try_for_each(skip_field)
        }
        Kind::Array(item) => skip_blocks(schema, *item, cursor, |cursor| skip(schema, *item, cursor, depth + 1)),
        Kind::Map(value) => skip_blocks(schema, id, cursor, |cursor| {
            cursor.bytes()?;
            skip(schema, *value, cursor, depth + 1)
        }),
    }
}

/// Skips the blocks of an array or a map; `item` is the type of what they consist of.
fn skip_blocks(
    schema: &AvroSchema,
    item: NodeId,
    cursor: &mut Cursor<'_>,
    mut skip_item: impl FnMut(&mut Cursor<'_>) -> Outcome<()>,
) -> Outcome<()> {
    if schema.node(item).is_empty {
        while let Some(bytes) = cursor.empty_block()? {
            cursor.take(bytes)?;
        }
        return Ok(());
    }
    let mut index = 0;
    while let Some(block) = cursor.block(false)? {
        match block.bytes {
            Some(bytes) => cursor.take(bytes).map(drop)?,
            None => {
                for at in index..index + block.items {
                    skip_item(cursor).map_err(|fault| fault.in_item(at))?;
                }
            }
        }
        index += block.items;
    }
    Ok(())
}
