//! DELIMITED: each record is one line of text, as ksqlDB reads and writes it with commons-csv.
//!
//! Fields are in the order of the columns, and quoted with `"` (doubled inside a field) if necessary; an empty field,
//! quoted or not, is null. Empty lines before the record are skipped, and anything after it is ignored. BOOLEAN is
//! true for `true` in any case and false for anything else, BYTES are base64, and DATE, TIME and TIMESTAMP are
//! integers; a DECIMAL must fit. Bytes that are not UTF-8 are read as by [`decode_utf8`](super::decode_utf8).
//!
//! The csv crate is not used, because it accepts payloads that commons-csv rejects (an unclosed quote, text after a
//! closing quote).

mod decode;
mod encode;
mod line;

pub(super) use decode::DelimitedDecoder;
pub(super) use encode::DelimitedEncoder;
