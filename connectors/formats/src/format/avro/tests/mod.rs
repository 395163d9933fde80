//! Examples: schemas, and what is wrong with others.

mod columns;
mod schemas;

use super::AvroSchema;

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse_text(text).unwrap()
}
