//! Which members of a payload are not read, because a schema has two for one column: with names that differ in case only.
//!
//! The column is for the one with exactly its name, or else the first, which its type is inferred from. A payload alone
//! does not tell which one that is: it may be absent.

use arrow::datatypes::{DataType, FieldRef};

use super::documents::{Documents, Node};
use super::encode::value_type;
use super::infer::{JsonType, entry_value, json_type};
use super::properties::Properties;
use crate::format::Layout;
use crate::format::json::Ignored;

/// What is not read of payloads with this schema into the columns of a layout.
pub(super) fn ignored_of(documents: &Documents, layout: &Layout) -> Ignored {
    let full_name = layout.schema.as_ref().and_then(|schema| schema.full_name.as_deref());
    let Ok(root) = documents.named(full_name).or_else(|_| documents.named(None)) else { return Ignored::default() };
    match layout.fields.as_slice() {
        [bare] if !layout.is_record() => in_value(documents, Some(root), bare.data_type()),
        columns => match documents.resolve(root) {
            Ok(root) => in_object(documents, root, columns),
            Err(_) => Ignored::default(),
        },
    }
}

fn in_value(documents: &Documents, node: Option<Node<'_>>, column: &DataType) -> Ignored {
    let resolved = node.and_then(|node| documents.resolve(node).ok());
    let Some((node, kind)) = resolved.and_then(|node| Some((node, json_type(node).ok()?))) else {
        return Ignored::default();
    };
    match (kind, column) {
        (JsonType::Object, DataType::Struct(columns)) => in_object(documents, node, columns),
        (JsonType::Array, DataType::List(item)) => {
            Ignored::within([in_value(documents, node.member("items"), item.data_type())])
        }
        (JsonType::Object, DataType::Map(entries, _)) => {
            Ignored::within([in_value(documents, node.member("additionalProperties"), value_type(entries))])
        }
        (JsonType::Array, DataType::Map(entries, _)) => {
            let entry = node.member("items").and_then(|items| documents.resolve(items).ok());
            let value = entry.and_then(|entry| entry_value(entry).ok());
            Ignored::within([in_value(documents, value, value_type(entries))])
        }
        _ => Ignored::default(),
    }
}

fn in_object(documents: &Documents, object: Node<'_>, columns: &[FieldRef]) -> Ignored {
    let properties = Properties::of(object);
    let mut names = Vec::new();
    let within = columns.iter().map(|column| {
        let chosen = properties.chosen(column.name());
        let is_other = |name: &&str| chosen.is_some_and(|(chosen, _)| chosen != *name);
        names.extend(properties.folded(column.name()).map(|(name, _)| name).filter(is_other).map(str::to_owned));
        in_value(documents, chosen.map(|(_, node)| node), column.data_type())
    });
    let within = Ignored::within(within);
    Ignored { names, ..within }
}
