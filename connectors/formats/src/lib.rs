//! Records and their formats: bytes to Arrow columns and back.
//!
//! * [`record`]: raw records with an address, as columns;
//! * [`format`](mod@format): bytes to Arrow columns and back, one file a format;
//! * [`decode`]: which column of a row comes from where in a record, and the rows of a batch of records;
//! * [`java_time`], [`panic`](mod@panic): small things that every room needs.
//!
//! All of it is still: no cluster, no file, no clock and no thread. Formats know no transport and transports no format:
//! what travels between them is a [`record::RawBatch`].

pub mod decode;
pub mod format;
pub mod java_time;
pub mod panic;
pub mod record;
mod utf8;

pub use utf8::decode_utf8;
