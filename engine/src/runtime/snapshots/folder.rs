//! A folder of files: on the disk, and in memory for simulations.
//!
//! Paths are relative, with `/` between their parts.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The end of the names of files that are being written.
pub(super) const UNFINISHED: &str = ".new";
/// Bytes that are read and written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A folder of files.
pub trait Folder: Debug + Send + Sync {
    /// Opens a file; `None` if it does not exist.
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Content>>>;

    /// Begins a file, which exists once it is kept, and then replaces the one with this path.
    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>>;

    /// Deletes a file, or a folder with everything in it, if it exists.
    fn delete(&self, path: &str) -> io::Result<()>;

    /// The names of the files and folders in a folder; none if it does not exist.
    fn children(&self, path: &str) -> io::Result<Vec<String>>;

    /// The name of a file for messages.
    fn full_name(&self, path: &str) -> String;
}

/// The content of a file.
pub trait Content: Read + Seek + Send + Debug {}

impl<T: Read + Seek + Send + Debug> Content for T {}

/// A file that is being written. Unless it is kept, nothing remains of it.
pub trait NewFile: Write {
    /// Gives the file its name.
    fn keep(self: Box<Self>) -> io::Result<()>;
}

/// A folder on the disk.
#[derive(Debug)]
pub(super) struct DiskFolder {
    root: PathBuf,
    /// The number of files begun, which tells unfinished ones apart.
    begun: AtomicU64,
}

impl DiskFolder {
    /// The folder at a path, which need not exist yet.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), begun: AtomicU64::new(0) }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Folder for DiskFolder {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Content>>> {
        match File::open(self.at(path)) {
            Ok(file) => Ok(Some(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        let path = self.at(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(format!(".{}{UNFINISHED}", self.begun.fetch_add(1, Ordering::Relaxed)));
        let unfinished = PathBuf::from(unfinished);
        let file = Some(BufWriter::with_capacity(BUFFER_BYTES, File::create(&unfinished)?));
        Ok(Box::new(DiskFile { file, unfinished, path }))
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        let deleted = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        deleted.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    fn children(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.at(path)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names: Vec<String> =
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn full_name(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }
}

/// A file on the disk that is being written under a name of its own.
struct DiskFile {
    file: Option<BufWriter<File>>,
    unfinished: PathBuf,
    path: PathBuf,
}

impl DiskFile {
    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is closed"))
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl NewFile for DiskFile {
    // Nothing waits for the disk: a file that a power failure cut short is found by its checksum.
    fn keep(mut self: Box<Self>) -> io::Result<()> {
        self.flush()?;
        self.file = None;
        fs::rename(&self.unfinished, &self.path)
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// A folder in memory. Clones share their files.
#[derive(Clone, Debug, Default)]
pub struct MemoryFolder(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl MemoryFolder {
    /// The paths of all files.
    pub fn paths(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// Changes the content of a file, if it exists.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(bytes) = self.0.lock().get_mut(path) {
            change(bytes);
        }
    }
}

impl Folder for MemoryFolder {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Content>>> {
        let bytes = self.0.lock().get(path).cloned();
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Content>))
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(MemoryFile { folder: self.clone(), path: path.to_owned(), bytes: Vec::new() }))
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let inside = format!("{path}/");
        self.0.lock().retain(|other, _| other != path && !other.starts_with(&inside));
        Ok(())
    }

    fn children(&self, path: &str) -> io::Result<Vec<String>> {
        let inside = format!("{path}/");
        let files = self.0.lock();
        let names = files.keys().filter_map(|other| other.strip_prefix(&inside)?.split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn full_name(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// A file in memory that is being written.
struct MemoryFile {
    folder: MemoryFolder,
    path: String,
    bytes: Vec<u8>,
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for MemoryFile {
    fn keep(self: Box<Self>) -> io::Result<()> {
        self.folder.0.lock().insert(self.path, self.bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: both folders keep the same promises.
    #[test]
    fn a_file_exists_once_it_is_kept() {
        let disk = tempfile::tempdir().expect("a folder");
        let folders: [Box<dyn Folder>; 2] = [Box::new(DiskFolder::new(disk.path())), Box::new(MemoryFolder::default())];
        for folder in folders {
            assert!(folder.open("a/b/c").expect("it can be read").is_none());
            let write = |path: &str, text: &str| {
                let mut file = folder.create(path).expect("it can be written");
                file.write_all(text.as_bytes()).expect("it can be written");
                file
            };
            drop(write("a/b/c", "nothing"));
            assert!(folder.children("a/b").expect("it can be read").is_empty());
            for text in ["one", "two"] {
                write("a/b/c", text).keep().expect("it can be written");
                let mut found = String::new();
                let content = folder.open("a/b/c").expect("it can be read");
                content.expect("it exists").read_to_string(&mut found).expect("it can be read");
                assert_eq!(found, text);
            }
            write("a/d/e", "other").keep().expect("it can be written");
            assert_eq!(folder.children("a").expect("it can be read"), ["b", "d"]);
            folder.delete("a/b").expect("it can be deleted");
            folder.delete("a/b").expect("it is gone");
            assert_eq!(folder.children("a").expect("it can be read"), ["d"]);
        }
    }
}
