//! Resolves the custom types of CREATE TYPE in the types of a statement.

use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_TYPE, nearest};
use headwater_language::sql::ast::Spanned;
use headwater_language::types::{SqlType, StructField};

/// Resolves custom types, at any depth. Fails for a name that is not a type.
pub fn resolve(ty: &Spanned<SqlType>, catalog: &Catalog) -> Result<SqlType, Box<Diagnostic>> {
    resolve_type(&ty.value, catalog).map_err(|name| {
        let error = Diagnostic::new(UNKNOWN_TYPE, format!("type \"{name}\" does not exist")).at(ty.span);
        let names = BUILT_IN.iter().copied().chain(catalog.custom_types().map(|(name, _)| name));
        Box::new(match nearest(&name, names) {
            Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
            None => error.detail(format!("The types are {} and those made by CREATE TYPE.", BUILT_IN.join(", "))),
        })
    })
}

/// The names of the built-in types.
pub const BUILT_IN: [&str; 15] = [
    "BOOLEAN",
    "INT",
    "INTEGER",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "STRING",
    "VARCHAR",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "ARRAY",
    "MAP",
    "STRUCT",
];

fn resolve_type(ty: &SqlType, catalog: &Catalog) -> Result<SqlType, String> {
    Ok(match ty {
        SqlType::Custom(name) => catalog.custom_type(name).cloned().ok_or_else(|| name.clone())?,
        SqlType::Array(item) => SqlType::Array(Box::new(resolve_type(item, catalog)?)),
        SqlType::Map(key, value) => {
            SqlType::Map(Box::new(resolve_type(key, catalog)?), Box::new(resolve_type(value, catalog)?))
        }
        SqlType::Struct(fields) => {
            let field = |f: &StructField| Ok(StructField { name: f.name.clone(), ty: resolve_type(&f.ty, catalog)? });
            SqlType::Struct(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}
