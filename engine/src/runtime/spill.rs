//! The files that a bounded query spills to: unnamed files in the temporary folder.
//!
//! An unnamed file disappears with the process that has it open, however that ends: even a `kill -9` leaves nothing to
//! clean up. Problems with the folder are reported as such, with its path, and not as an error of the operator.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use headwater_disk::reason;
use headwater_language::diagnostic::{Diagnostic, MEMORY, RUNTIME};

/// How many bytes to read at once.
const READ_BYTES: usize = 256 << 10;

/// Creates the files of one query.
#[derive(Debug)]
pub struct SpillFiles {
    disk: Arc<Disk>,
}

/// The folder, and how much of it the query may use.
#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    bytes_max: u64,
    bytes: AtomicU64,
}

impl SpillFiles {
    /// Files in the temporary folder, of at most `bytes_max` in total.
    pub fn new(bytes_max: u64) -> Self {
        Self::within(std::env::temp_dir(), bytes_max)
    }

    /// Files in a folder.
    fn within(folder: PathBuf, bytes_max: u64) -> Self {
        Self { disk: Arc::new(Disk { folder, bytes_max, bytes: AtomicU64::new(0) }) }
    }
}

impl TempFileFactory for SpillFiles {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let file = tempfile::tempfile_in(&self.disk.folder)
            .map_err(|error| DataFusionError::External(Box::new(self.disk.failed("create a file in", &error))))?;
        Ok(Arc::new(Spilled { file: Arc::new(file), bytes: Arc::default(), disk: self.disk.clone() }))
    }
}

impl Disk {
    fn failed(&self, what: &str, error: &io::Error) -> Diagnostic {
        let folder = self.folder.display();
        Diagnostic::new(RUNTIME, format!("could not {what} the temporary folder \"{folder}\": {}", reason(error)))
            .detail("The query needs more memory than query.memory.max allows and spills the rest to files in this folder.")
            .hint("Start headwater with TMPDIR set to a folder with free space, or allow the query more memory: SET 'query.memory.max' = '1GB';")
    }

    fn too_much(&self) -> Diagnostic {
        let message = format!("the query's temporary files exceed the limit of {} bytes", self.bytes_max);
        Diagnostic::new(MEMORY, message).hint("Raise it with SET 'query.disk.max' = '100GB'; or allow the query more memory: SET 'query.memory.max' = '1GB';")
    }
}

/// One file. Its space is released when the last reference is dropped.
struct Spilled {
    file: Arc<File>,
    bytes: Arc<AtomicU64>,
    disk: Arc<Disk>,
}

impl Drop for Spilled {
    fn drop(&mut self) {
        self.disk.bytes.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl SpillFile for Spilled {
    fn size(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let reader = (self.file.clone(), self.disk.clone(), 0_u64);
        Ok(Box::pin(futures::stream::try_unfold(reader, |(file, disk, at)| async move {
            let read = {
                let file = file.clone();
                tokio::task::spawn_blocking(move || read_at(&file, at)).await
            };
            let read = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let piece = read.map_err(|error| DataFusionError::External(Box::new(disk.failed("read from", &error))))?;
            let next = at + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, (file, disk, next))))
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer { file: self.file.clone(), bytes: self.bytes.clone(), disk: self.disk.clone() }))
    }
}

/// Reads a piece of a file; empty at its end.
fn read_at(file: &File, at: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; READ_BYTES];
    let mut length = 0;
    while length < piece.len() {
        match file.read_at(&mut piece[length..], at + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(length);
    Ok(piece.into())
}

/// Appends to a file.
struct Writer {
    file: Arc<File>,
    bytes: Arc<AtomicU64>,
    disk: Arc<Disk>,
}

impl Write for Writer {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let length = piece.len() as u64;
        if self.disk.bytes.fetch_add(length, Ordering::Relaxed) + length > self.disk.bytes_max {
            self.disk.bytes.fetch_sub(length, Ordering::Relaxed);
            return Err(io::Error::other(self.disk.too_much()));
        }
        // Counted before it is written, so that it is released whatever happens.
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.file.as_ref().write_all(piece).map_err(|error| io::Error::other(self.disk.failed("write to", &error)))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn content(file: &Arc<dyn SpillFile>) -> Vec<u8> {
        let pieces: Vec<Bytes> = file.read_stream().expect("opens").try_collect().await.expect("reads");
        pieces.concat()
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_has_no_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = SpillFiles::within(folder.path().to_owned(), 2 << 20);
        let file = files.create_temp_file("a sort").expect("is made");
        let rows: Vec<u8> = (0..READ_BYTES + 7).map(|n| n as u8).collect();
        let mut writer = file.open_writer().expect("opens");
        writer.write_all(&rows[..9]).expect("fits");
        writer.write_all(&rows[9..]).expect("fits");
        assert_eq!(content(&file).await, rows);
        assert_eq!(content(&file).await, rows, "twice");
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 0, "a kill leaves nothing");
    }

    #[test]
    fn room_is_limited_and_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = SpillFiles::within(folder.path().to_owned(), 10);
        let file = files.create_temp_file("a sort").expect("is made");
        let mut writer = file.open_writer().expect("opens");
        writer.write_all(b"1234567890").expect("fits");
        let refused = writer.write_all(b"1").expect_err("is beyond");
        assert!(refused.to_string().contains("exceed the limit of 10 bytes"), "{refused}");
        drop((file, writer));
        assert_eq!(files.disk.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let folder = PathBuf::from("/no/such/folder");
        let Err(error) = SpillFiles::within(folder, 10).create_temp_file("a sort") else { panic!("it was created") };
        let diagnostic = crate::failure::diagnose(&error, None).remove(0);
        let message = "could not create a file in the temporary folder \"/no/such/folder\": no such file or directory";
        assert!(diagnostic.message.starts_with(message), "{}", diagnostic.message);
        assert!(diagnostic.hint.is_some_and(|hint| hint.contains("TMPDIR")));
    }
}
