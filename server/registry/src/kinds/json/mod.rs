//! JSON Schema, drafts 4 to 2020-12 as far as a registry cares.
//!
//! Own code: there are crates that check values, but none that says where two schemas differ and whether that matters.

mod compatibility;
mod document;
mod minify;
mod shape;

use std::borrow::Cow;

use serde_json::Value;

pub(crate) use compatibility::differences;
use document::Documents;

use super::{InvalidSchema, Referenced};

/// A schema, with the documents that it refers to.
#[derive(Debug)]
pub(crate) struct JsonSchema {
    text: String,
    documents: Documents,
}

impl JsonSchema {
    pub(crate) fn parse(text: &str, references: &[Referenced]) -> Result<Self, InvalidSchema> {
        let root = read(text)?;
        let mut others = Vec::with_capacity(references.len());
        for Referenced { name, text } in references {
            let other = read(text).map_err(|error| InvalidSchema(format!("reference \"{name}\": {error}")))?;
            others.push((name.clone(), other));
        }
        shape::check(&root)?;
        let documents = Documents::new(root, others);
        documents.check_references()?;
        Ok(Self { text: minify::minify(text), documents })
    }

    /// The text without white space.
    pub(crate) fn canonical(&self) -> String {
        self.text.clone()
    }

    /// The same with all members of objects in the order of their names.
    pub(crate) fn normalized(&self) -> String {
        let mut value = self.documents.root().clone();
        value.sort_all_objects();
        value.to_string()
    }
}

fn read(text: &str) -> Result<Value, InvalidSchema> {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Bool(_))) => Ok(value),
        Ok(_) => Err(InvalidSchema("a JSON schema is an object, true or false".into())),
        Err(error) => Err(InvalidSchema(format!("not valid JSON: {error}"))),
    }
}

/// Whether no value is checked against a keyword. Connect says in its own how it made the schema.
fn is_describing(keyword: &str) -> bool {
    const DESCRIBING: [&str; 15] = [
        "$schema",
        "$id",
        "id",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "readOnly",
        "writeOnly",
        "deprecated",
        "definitions",
        "$defs",
        "$anchor",
        "format",
    ];
    DESCRIBING.contains(&keyword) || keyword.starts_with("connect.")
}

/// A name as it is shown in a path, which is made for each of many properties.
fn segment(name: &str) -> &str {
    const SHOWN_MAX: usize = 100;
    name.char_indices().nth(SHOWN_MAX).map_or(name, |(end, _)| &name[..end])
}

/// A path below which there are more, each of which begins with it.
fn shortened(path: &str) -> Cow<'_, str> {
    const PATH_BYTES_MAX: usize = 2_000;
    match path.len() {
        0..=PATH_BYTES_MAX => Cow::Borrowed(path),
        _ => Cow::Owned(format!("{}/…", &path[..path.floor_char_boundary(PATH_BYTES_MAX)])),
    }
}

#[cfg(test)]
mod tests;
