//! The schema of a side in definitions that are kept: with its text, so that what was declared can be written without asking the registry.

use std::sync::Arc;

use headwater_formats::schema::{Reference, Schema, SchemaId, SchemaKind, WriterSchema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<SchemaId>,
    #[serde(flatten)]
    schema: KeptSchema,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full_name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeptSchema {
    kind: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    references: Vec<KeptReference>,
}

#[derive(Serialize, Deserialize)]
struct KeptReference {
    name: String,
    schema: KeptSchema,
}

pub(super) fn serialize<S: Serializer>(schema: &Option<Arc<WriterSchema>>, out: S) -> Result<S::Ok, S::Error> {
    let kept = schema.as_ref().map(|writer| Kept {
        id: writer.id,
        schema: keep(&writer.schema),
        full_name: writer.full_name.clone(),
    });
    kept.serialize(out)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<WriterSchema>>, D::Error> {
    let Some(kept) = Option::<Kept>::deserialize(from)? else { return Ok(None) };
    let schema = Arc::new(restore(kept.schema).map_err(D::Error::custom)?);
    Ok(Some(Arc::new(WriterSchema { id: kept.id, schema, full_name: kept.full_name })))
}

fn keep(schema: &Schema) -> KeptSchema {
    let reference =
        |reference: &Reference| KeptReference { name: reference.name.clone(), schema: keep(&reference.schema) };
    KeptSchema {
        kind: schema.kind.to_string(),
        text: schema.text.as_ref().to_owned(),
        references: schema.references.iter().map(reference).collect(),
    }
}

fn restore(kept: KeptSchema) -> Result<Schema, String> {
    let kind = SchemaKind::ALL.into_iter().find(|kind| kind.to_string() == kept.kind);
    let kind = kind.ok_or_else(|| format!("the language of schemas \"{}\" is not known", kept.kind))?;
    let reference =
        |kept: KeptReference| Ok::<_, String>(Reference { name: kept.name, schema: Arc::new(restore(kept.schema)?) });
    let references = kept.references.into_iter().map(reference).collect::<Result<_, _>>()?;
    Ok(Schema { kind, text: kept.text.into(), references })
}
