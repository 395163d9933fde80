//! Protobuf messages: PROTOBUF_NOSR, whose message follows from the columns, as in ksqlDB, and PROTOBUF, messages of
//! registered schemas ([`FramedProtobufDecoder`]).
//!
//! In PROTOBUF_NOSR a payload is a proto3 message with a field for each column, numbered from 1 in the order of the
//! columns:
//!
//! | SQL | Protobuf |
//! |---|---|
//! | BOOLEAN, INT, BIGINT, DOUBLE | `bool`, `int32`, `int64`, `double` |
//! | STRING, BYTES | `string`, `bytes` |
//! | DECIMAL | `confluent.type.Decimal` |
//! | DATE, TIME, TIMESTAMP | `google.type.Date`, `google.type.TimeOfDay`, `google.protobuf.Timestamp` |
//! | ARRAY | a repeated field; not of ARRAYs or MAPs |
//! | MAP | a repeated message with the fields key (1, `string`) and value (2) |
//! | STRUCT | a message with a field for each of its fields |
//!
//! Protobuf does not write null. A scalar that is absent is 0, false or empty, an array or map is empty, and everything
//! else is null. So a null scalar is read back as 0, false or empty, unless the layout tells them apart
//! ([`Presence`](super::Presence)). The value of a map's entry is the default of its type if it is null, whatever the layout
//! says; and a row with a null in an array is bad, because there is no element without a value.
//!
//! Readers take what other writers may produce: fields in any order, unknown fields, numbers packed or not, a message in
//! several parts (which are put together), and several values of a field (the last one counts). Bytes that are not a
//! message, another wire type than that of the field, texts that are not UTF-8, dates that do not exist and numbers
//! that do not fit their DECIMAL make a payload bad. Of several values of a field, only the one that counts is checked.
//!
//! Fields of a registered schema belong to the columns with their names, in any case. In addition to the types above:
//!
//! | Protobuf | SQL |
//! |---|---|
//! | `sint32`, `sfixed32` | INT or BIGINT, as `int32` |
//! | `uint32`, `fixed32`, the other integers of 64 bits | BIGINT; `uint64` beyond its range wraps around |
//! | `float` | DOUBLE |
//! | an enum | STRING: the name of the value |
//! | `google.protobuf.StringValue` and its siblings | the value, or null |
//! | a oneof `name` | STRUCT `name_0` (its index), as in Kafka Connect, or a column for each of its fields |
//! | a map with other keys | MAP with the keys as texts |
//!
//! There a field that is `optional` in proto3 is null if it is absent, and one of proto2 has the default that its file
//! gives. A message that contains itself can be read up to there; a column beyond is refused with the path. A repeated
//! message of a key and a value is also read into a MAP: that is how Kafka Connect registers maps, with names that end
//! with `Entry`.
//!
//! Writing by a registered schema, a null is not written, or is the default of a required field; a column needs a field,
//! and only one column of a oneof may have a value (see `write_plan`). What a schema says about columns is in `infer`,
//! and the schema for columns in `generate`.

mod decode;
mod encode;
mod framed;
mod generate;
mod given;
mod infer;
mod known;
mod layout;
mod map;
mod message;
mod plan;
mod schema;
#[cfg(test)]
mod tests;
mod wire;
mod write_plan;

pub(super) use decode::ProtobufDecoder;
pub(super) use encode::ProtobufEncoder;
pub use framed::FramedProtobufDecoder;
pub(super) use generate::DEFAULT_FULL_NAME;
pub(super) use given::{bare_decoder, check, encoder, infer, infer_of_payload, schema_of};
pub(super) use layout::supports;

/// What stands for a whole payload in the reason why it is bad.
const WHOLE: &str = "not valid Protobuf";
