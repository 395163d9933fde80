//! Records and their formats: bytes to Arrow columns and back.
//!
//! * [`record`]: raw records with an address, as columns;
//! * [`format`](mod@format): bytes to Arrow columns and back, one file a format;
//! * [`schema`]: schemas as they are registered;
//! * [`protobuf_files`]: Protobuf files that need not be registered;
//! * [`decode`]: the source of each column in a record, and the decoding of batches of records to rows;
//! * [`java_time`], [`panic`](mod@panic): small utilities for all rooms.
//!
//! Nothing here uses a cluster, a file, a clock or a thread. Formats know no transports and transports know no
//! formats; they exchange [`record::RawBatch`]es.

pub mod decode;
pub mod format;
pub mod java_time;
pub mod panic;
pub mod protobuf_files;
pub mod record;
pub mod schema;
mod utf8;

pub use utf8::decode_utf8;
