//! DELIMITED: one line of text a record, as ksqlDB reads and writes it through commons-csv.
//!
//! Fields stand in the order of the columns, quoted with `"` (doubled within) where they must be;
//! an empty field, quoted or not, is null. Empty lines before the record are passed over and what
//! follows it is ignored. BOOLEAN is true for `true` in any case and false for all else, BYTES are
//! base64, DATE, TIME and TIMESTAMP integers; a DECIMAL must fit. Bytes that are not UTF-8 are read as
//! [`decode_utf8`](super::decode_utf8) reads them.
//!
//! The csv crate is not used: where commons-csv refuses a payload (an open quote, text after a
//! closing one) it goes on.

mod decode;
mod encode;
mod line;

pub(super) use decode::DelimitedDecoder;
pub(super) use encode::DelimitedEncoder;
