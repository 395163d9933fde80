//! The form of a snapshot's file.
//!
//! ```text
//! HWSTATE1                  8 bytes: what it is, and the version of the form
//! length of the header      4 bytes, the least significant first
//! header                    JSON
//! records                   an Arrow IPC stream, compressed with LZ4, with the columns key and value
//! checksum                  4 bytes: CRC-32C of everything before, the least significant first
//! ```
//!
//! The keys are those of the changelog's records: each ends in the start of its window. The record with the stream times is one of
//! them.

use std::io::{self, Read, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use headwater_connectors::transport::TopicId;
use headwater_formats::record::TopicPartition;
use serde::{Deserialize, Serialize};

use super::folder::NewFile;

/// What a file begins with. The last letter is the version of the form.
const MAGIC: &[u8; 8] = b"HWSTATE1";
/// Most bytes of a header that are believed.
const HEADER_BYTES_MAX: u32 = 1 << 20;
/// The length of the checksum.
pub(super) const CHECKSUM_BYTES: u64 = 4;

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The changelog topic.
    pub(super) topic: String,
    /// Its id.
    pub(super) topic_id: String,
    /// The partition.
    pub(super) partition: i32,
    /// What the query's values look like; other ones have another shape.
    pub(super) shape: String,
}

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// What it is a snapshot of.
    #[serde(flatten)]
    pub origin: Origin,
    /// It has everything that the changelog has below this offset.
    pub offset: i64,
    /// When that offset was read, in ms since the epoch.
    pub time_ms: i64,
    /// The number of its records.
    pub records: u64,
}

impl Origin {
    /// The origin of a store's snapshots.
    pub(super) fn new(changelog: &TopicPartition, id: TopicId, shape: &str) -> Self {
        let (topic, topic_id) = (changelog.topic.to_string(), id.to_string());
        Self { topic, topic_id, partition: changelog.partition, shape: shape.to_owned() }
    }
}

/// A file that is being written.
pub(super) struct FileWriter {
    records: StreamWriter<Summed>,
    schema: SchemaRef,
}

/// Passes bytes on, and computes their checksum.
struct Summed {
    file: Box<dyn NewFile>,
    sum: u32,
}

impl FileWriter {
    /// Begins the content of a file.
    pub(super) fn begin(file: Box<dyn NewFile>, header: &Header) -> io::Result<Self> {
        let mut out = Summed { file, sum: 0 };
        let header = serde_json::to_vec(header)?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        out.write_all(MAGIC)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&header)?;
        let field = |name: &str| Field::new(name, DataType::Binary, false);
        let schema = Arc::new(Schema::new(vec![field("key"), field("value")]));
        let options = IpcWriteOptions::default();
        let options = options.try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(broken)?;
        let records = StreamWriter::try_new_with_options(out, &schema, options).map_err(broken)?;
        Ok(Self { records, schema })
    }

    /// Writes records. None of their values is null.
    pub(super) fn write(&mut self, keys: BinaryArray, values: BinaryArray) -> io::Result<()> {
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(broken)?;
        self.records.write(&batch).map_err(broken)
    }

    /// Ends the file, which then exists.
    pub(super) fn keep(mut self) -> io::Result<()> {
        self.records.finish().map_err(broken)?;
        let Summed { mut file, sum } = self.records.into_inner().map_err(broken)?;
        file.write_all(&sum.to_le_bytes())?;
        file.keep()
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads the header of a file. Returns why it cannot be one of this version.
pub(super) fn read_header(file: &mut dyn Read) -> Result<Header, String> {
    let mut magic = [0; MAGIC.len()];
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut short".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    file.read_exact(&mut magic).map_err(cut)?;
    if magic != *MAGIC {
        return Err("it is not a snapshot, or one of another version".to_owned());
    }
    let mut length = [0; size_of::<u32>()];
    file.read_exact(&mut length).map_err(cut)?;
    let length = u32::from_le_bytes(length);
    if length > HEADER_BYTES_MAX {
        return Err("its header is damaged".to_owned());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(cut)?;
    serde_json::from_slice(&header).map_err(|error| format!("its header cannot be read: {error}"))
}

/// An error of Arrow as one of writing a file, which most of them are.
fn broken(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        error => io::Error::other(error),
    }
}
