//! JSON_SR: JSON behind the id of a registered JSON Schema, as Kafka Connect's `JsonSchemaConverter` writes it for
//! ksqlDB.
//!
//! * [`decoder`] and [`encoder`] read and write payloads (`decode`, `encode`);
//! * [`infer`] gives the columns for a schema (`infer`), [`schema_of`] a schema for columns (`generate`);
//! * `documents` finds what a schema refers to, `rules` what it says about values, which `check` checks.
//!
//! The rules:
//!
//! * behind a zero byte and the 4 bytes of the id a payload is read as JSON is: see the module `json`. Its schema must
//!   be found, but does not change what is read, except which of several members a column is for (see `names`);
//! * a MAP is written as an array of entries, `[{"key": "a", "value": 1}]`, and the schema that we make says so. Connect
//!   writes an object only if keys cannot be null, and the keys of ksqlDB's maps can. Both forms are read;
//! * a DECIMAL is written as a number. A text is read as its unscaled value in base64, which is Connect's own default,
//!   and as a number only if it is not that. DATE, TIME and TIMESTAMP are numbers of days and of milliseconds;
//! * a schema that was given is followed: where it has an object for a MAP or a text for a DECIMAL, that is written, and
//!   fields have its names. A column that it forbids is refused. Where it does not allow null, an optional member that is
//!   null is left out, and any other null makes the row bad, as a value does that is not in its `enum` or not its `const`
//!   (of numbers, texts and booleans). Nothing else is checked that depends on values: `pattern` and the like.

mod check;
mod decode;
mod documents;
mod encode;
mod generate;
mod infer;
mod names;
mod properties;
mod rules;
#[cfg(test)]
mod tests;

pub(super) use decode::{check, decoder};
pub(super) use encode::encoder;
pub(super) use generate::schema_of;
pub(super) use infer::infer;
