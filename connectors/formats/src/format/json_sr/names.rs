//! Which members of a payload are not read, because a schema has two for one column: with names that differ in case only.
//!
//! The column is for the one with exactly its name, or else the first, which its type is inferred from. A payload alone
//! does not tell which one that is: it may be absent.

use arrow::datatypes::{DataType, FieldRef};

use super::documents::{Documents, Node};
use super::encode::value_type;
use super::infer::{JsonType, entry_value, fields, json_type};
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
    let properties = fields(object);
    let upper: Vec<String> = properties.iter().map(|(name, _)| name.to_uppercase()).collect();
    let mut names = Vec::new();
    let within = columns.iter().map(|column| {
        let exact = properties.iter().find(|(name, _)| name == column.name());
        let folded = properties.iter().zip(&upper).filter(|(_, upper)| *upper == column.name());
        let folded: Vec<_> = folded.map(|(property, _)| property).collect();
        let chosen = exact.or_else(|| folded.first().copied());
        let others =
            folded.iter().map(|(name, _)| *name).filter(|name| chosen.is_some_and(|(chosen, _)| chosen != name));
        names.extend(others.map(str::to_owned));
        in_value(documents, chosen.map(|(_, node)| *node), column.data_type())
    });
    let within = Ignored::within(within);
    Ignored { names, ..within }
}
