//! Groups by a STRUCT with a PROTOBUF key. Such a key does not tell a field that is NULL from one with its default: 0, '', false or
//! an empty ARRAY. Rows whose keys are the same message are one group, as in ksqlDB, which groups by what was written. The fields
//! of STRUCTs in an ARRAY are left as they are.

use headwater_formats::format::{FormatKind, Presence};
use headwater_language::definition::SideDef;
use headwater_language::topology::{Action, Builder, ResultColumn};
use headwater_language::types::{SqlType, StructField};

use crate::continuous::scope::ident;

/// Replaces NULL by the default in the fields of the groups, if the result's key does not tell them apart.
pub fn fill(builder: &mut Builder, key: &SideDef) {
    let format = key.format.parse();
    let is_protobuf = matches!(format, Ok(FormatKind::Protobuf | FormatKind::ProtobufNosr));
    // A schema that is given says itself which fields can be absent.
    if !is_protobuf || key.presence != Presence::Implicit || key.schema.is_some() {
        return;
    }
    let groups = builder.nodes().iter().find_map(|node| match &node.action {
        Action::Aggregate(aggregation) => Some(aggregation.groups.clone()),
        _ => None,
    });
    let Some(groups) = groups else { return };
    for node in builder.nodes_mut() {
        let Action::Project(projection) = &mut node.action else { continue };
        let mut keys: Vec<&mut ResultColumn> = projection.columns.iter_mut().filter(|column| column.key).collect();
        if !projection.rekeyed || !keys.iter().map(|key| &key.name).eq(&groups) {
            continue;
        }
        for key in &mut keys {
            key.expr = filled(&format!("({})", key.expr), &key.ty).unwrap_or_else(|| key.expr.clone());
        }
    }
}

/// The expression with defaults in the fields of the STRUCT that it is; `None` if it is of another type.
fn filled(expr: &str, ty: &SqlType) -> Option<String> {
    let SqlType::Struct(fields) = ty else { return None };
    let field = |StructField { name, ty }: &StructField| {
        let name = ident(name);
        let value = format!("{expr}->{name}");
        let value = match default(ty) {
            Some(default) => format!("COALESCE({value}, {default})"),
            None => filled(&value, ty).unwrap_or(value),
        };
        format!("{name} := {value}")
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    Some(format!("CASE WHEN {expr} IS NULL THEN NULL ELSE STRUCT({}) END", fields.join(", ")))
}

/// What a field without presence is read as. Other types are messages, which can be absent, or arrays of them.
fn default(ty: &SqlType) -> Option<String> {
    let plain = match ty {
        SqlType::Boolean => "FALSE",
        SqlType::Int => "0",
        SqlType::BigInt => "CAST(0 AS BIGINT)",
        SqlType::Double => "0e0",
        SqlType::String => "''",
        SqlType::Bytes => "TO_BYTES('', 'ascii')",
        SqlType::Array(item) => {
            let item = default(item)?;
            return Some(format!("ARRAY_REMOVE(ARRAY[{item}], {item})"));
        }
        _ => return None,
    };
    Some(plain.to_owned())
}
