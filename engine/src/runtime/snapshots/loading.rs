//! A snapshot that is loaded: its checksum is verified, then its records are returned, both in pieces.

use std::io::{self, Read, Seek, SeekFrom, Take};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray};
use arrow_ipc::reader::StreamReader;

use super::file::{CHECKSUM_BYTES, Header, read_header};
use super::folder::{Content, Folder};

/// Bytes that are verified at once.
const PIECE_BYTES: usize = 8 << 20;

/// A file that is loaded.
#[derive(Debug)]
pub(in super::super) struct Loading {
    folder: Arc<dyn Folder>,
    /// Its path in the folder.
    pub(super) path: String,
    pub(super) header: Header,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The file is closed: there may be very many.
    Found,
    /// The file, the number of bytes that are left to be verified, and the checksum of those before.
    Verified {
        file: Box<dyn Content>,
        left: u64,
        sum: u32,
    },
    Read(Box<StreamReader<Take<Box<dyn Content>>>>),
    Over,
}

/// A piece of a snapshot.
#[allow(clippy::large_enum_variant, reason = "a piece has thousands of records: its own size is nothing beside them")]
#[derive(Debug)]
pub(in super::super) enum Loaded {
    /// A piece was verified.
    Nothing,
    /// Records of the changelog, as keys and values.
    Records(BinaryArray, BinaryArray),
    /// Everything is loaded.
    All,
    /// The file is damaged, for this reason. None of its records was returned.
    Damaged(String),
}

impl Loading {
    /// Begins with a file, of which the header is read; `None` if it does not exist. Returns why it is no snapshot of this
    /// version.
    pub(super) fn begin(folder: &Arc<dyn Folder>, path: String) -> Option<Result<Self, String>> {
        let mut file = match folder.open(&path) {
            Ok(file) => file?,
            Err(error) => return Some(Err(unread(&error))),
        };
        let loading = |header| Self { folder: folder.clone(), path, header, stage: Stage::Found };
        Some(read_header(&mut file).map(loading))
    }

    /// The offset at which the changelog continues.
    pub(in super::super) fn offset(&self) -> i64 {
        self.header.offset
    }

    /// The number of its records.
    pub(in super::super) fn records(&self) -> u64 {
        self.header.records
    }

    /// The next piece. Fails if a file whose checksum is right cannot be read.
    pub(in super::super) fn step(&mut self) -> io::Result<Loaded> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Found => Ok(self.enter(opened(self.folder.as_ref(), &self.path))),
            Stage::Verified { file, left, sum } => Ok(self.enter(verified(file, left, sum, &self.header))),
            Stage::Read(mut reader) => match reader.next().transpose().map_err(io::Error::other)? {
                None => Ok(Loaded::All),
                Some(batch) => {
                    self.stage = Stage::Read(reader);
                    let column = |at: usize| batch.column(at).as_binary_opt::<i32>().cloned();
                    let columns = (batch.num_columns() == 2).then(|| Some((column(0)?, column(1)?))).flatten();
                    let (keys, values) = columns.ok_or_else(|| io::Error::other("it has other columns"))?;
                    debug_assert!(keys.null_count() == 0, "each record has a key");
                    Ok(Loaded::Records(keys, values))
                }
            },
            Stage::Over => Ok(Loaded::All),
        }
    }

    fn enter(&mut self, stage: Result<Stage, String>) -> Loaded {
        match stage {
            Ok(stage) => {
                self.stage = stage;
                Loaded::Nothing
            }
            Err(reason) => Loaded::Damaged(reason),
        }
    }
}

fn unread(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}

/// Opens a file. Returns why that is not possible.
fn opened(folder: &dyn Folder, path: &str) -> Result<Stage, String> {
    let mut file = folder.open(path).map_err(|error| unread(&error))?.ok_or("it is gone")?;
    let end = file.seek(SeekFrom::End(0)).map_err(|error| unread(&error))?;
    file.rewind().map_err(|error| unread(&error))?;
    Ok(Stage::Verified { file, left: end.saturating_sub(CHECKSUM_BYTES), sum: 0 })
}

/// Verifies the next piece of a file. Returns why it is damaged.
fn verified(mut file: Box<dyn Content>, left: u64, sum: u32, header: &Header) -> Result<Stage, String> {
    let unread = |error: io::Error| unread(&error);
    if left > 0 {
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES)];
        file.read_exact(&mut piece).map_err(unread)?;
        let sum = crc32c::crc32c_append(sum, &piece);
        return Ok(Stage::Verified { file, left: left - piece.len() as u64, sum });
    }
    let mut expected = [0; CHECKSUM_BYTES as usize];
    file.read_exact(&mut expected).map_err(unread)?;
    if u32::from_le_bytes(expected) != sum {
        return Err("its checksum is wrong".to_owned());
    }
    let end = file.stream_position().map_err(unread)?;
    file.rewind().map_err(unread)?;
    if read_header(&mut file)? != *header {
        return Err("it was replaced meanwhile".to_owned());
    }
    let begin = file.stream_position().map_err(unread)?;
    let records = file.take(end.saturating_sub(begin + CHECKSUM_BYTES));
    let reader = StreamReader::try_new(records, None).map_err(|error| format!("it cannot be read: {error}"))?;
    Ok(Stage::Read(Box::new(reader)))
}
