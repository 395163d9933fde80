//! The journal: every change on a line of its own, with a checksum.
//!
//! Apart because of its promises: a change that was recorded survives the process, a line torn by a
//! crash is dropped, and the file is rewritten when it holds much more than what is still true.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::change::Change;
use super::image::Image;
use crate::log::Flush;

/// The journal is rewritten when it has grown by this much, and to several times what it began with.
const REWRITE_BYTES_MIN: u64 = 4 << 20;
const REWRITE_GROWTH: u64 = 4;
/// Digits of a line's checksum.
const CHECKSUM_DIGITS: usize = 8;

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk does not let us.
    #[error("could not open {path}: {cause}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A line in front of other lines cannot be read: this is no crash, but damage.
    #[error("{path} is damaged in line {line}: restore the file, or move the folder away")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The journal with the image of all it holds.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    flush: Flush,
}

#[derive(Debug)]
struct State {
    image: Image,
    lines: Option<Lines>,
    closed: bool,
}

impl State {
    fn new(image: Image, lines: Option<Lines>) -> Mutex<State> {
        Mutex::new(State { image, lines, closed: false })
    }
}

/// The file.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_at_rewrite: u64,
}

impl Journal {
    /// A journal that ends with the process.
    pub(crate) fn in_memory() -> Journal {
        Journal { state: State::new(Image::default(), None), flush: Flush::System }
    }

    /// Opens or makes the journal and replays it.
    pub(crate) fn open(path: &Path, flush: Flush) -> Result<Journal, JournalError> {
        let failed = |cause| JournalError::Io { path: path.to_owned(), cause };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let text = fs::read(path).map_err(failed)?;
        let (image, bytes) = replay(&text).map_err(|line| JournalError::Damaged { path: path.to_owned(), line })?;
        file.set_len(bytes).map_err(failed)?;
        let lines = Lines { path: path.to_owned(), file, bytes, bytes_at_rewrite: bytes.min(REWRITE_BYTES_MIN) };
        Ok(Journal { state: State::new(image, Some(lines)), flush })
    }

    /// Writes a change down and applies it. After an error nothing has changed.
    pub(crate) fn record(&self, change: Change) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(io::Error::other("the broker has ended"));
        }
        if let Some(lines) = &mut state.lines {
            lines.append(&line(&change)?, self.flush).inspect_err(|error| {
                tracing::error!(path = %lines.path.display(), %error, "could not write to the journal");
            })?;
        }
        state.image.apply(change);
        state.rewrite_when_grown();
        Ok(())
    }

    /// Looks at what is known.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Image) -> T) -> T {
        look(&self.state.lock().image)
    }

    /// Forces everything to the disk and takes no further changes: the folder may soon be another process's.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.closed = true;
        state.lines.as_ref().map_or(Ok(()), |lines| lines.file.sync_data())
    }
}

impl State {
    fn rewrite_when_grown(&mut self) {
        let Some(lines) = &mut self.lines else { return };
        if lines.bytes < REWRITE_BYTES_MIN.max(lines.bytes_at_rewrite * REWRITE_GROWTH) {
            return;
        }
        match lines.rewritten(&self.image) {
            Ok(rewritten) => *lines = rewritten,
            Err(error) => {
                tracing::warn!(path = %lines.path.display(), %error, "could not rewrite the journal");
                lines.bytes_at_rewrite = lines.bytes;
            }
        }
    }
}

impl Lines {
    fn append(&mut self, line: &[u8], flush: Flush) -> io::Result<()> {
        let written = self.file.write_all_at(line, self.bytes);
        let kept = written.and_then(|()| if flush == Flush::EveryAppend { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = kept {
            let _ = self.file.set_len(self.bytes); // what counts is `bytes`; a torn line is dropped at start
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// The image in a new file, put in the place of the old one.
    fn rewritten(&self, image: &Image) -> io::Result<Lines> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        let mut text = Vec::new();
        for change in image.changes() {
            text.extend(line(&change)?);
        }
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        let bytes = text.len() as u64;
        Ok(Lines { path: self.path.clone(), file, bytes, bytes_at_rewrite: bytes })
    }
}

fn line(change: &Change) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(change)?;
    Ok(format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())).into_bytes())
}

fn parse(line: &[u8]) -> Option<Change> {
    let (checksum, json) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    let json = json.strip_prefix(b" ")?;
    if crc32c::crc32c(json) != checksum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// The image, and the length of what can be read; the number of a line that cannot, when others follow.
fn replay(text: &[u8]) -> Result<(Image, u64), usize> {
    let mut image = Image::default();
    let mut bytes = 0;
    for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match line.strip_suffix(b"\n").and_then(parse) {
            Some(change) => image.apply(change),
            None if bytes + line.len() == text.len() => break,
            None => return Err(at + 1),
        }
        bytes += line.len();
    }
    Ok((image, bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str) -> Change {
        Change::ClusterNamed { id: id.to_owned() }
    }

    fn open(path: &Path) -> Journal {
        Journal::open(path, Flush::System).expect("opens")
    }

    #[test]
    fn changes_come_back_and_a_torn_line_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = open(&path);
        for id in ["first", "second"] {
            journal.record(named(id)).expect("records");
        }
        drop(journal);
        let text = fs::read(&path).expect("reads");
        fs::write(&path, &text[..text.len() - 3]).expect("writes");
        let journal = open(&path);
        assert_eq!(journal.look(|image| image.cluster_id.clone()).as_deref(), Some("first"));
        journal.record(named("third")).expect("records");
        assert_eq!(open(&path).look(|image| image.cluster_id.clone()).as_deref(), Some("third"));
    }

    #[test]
    fn damage_in_the_middle_is_an_error_that_names_the_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = open(&path);
        for id in ["first", "second", "third"] {
            journal.record(named(id)).expect("records");
        }
        let text = fs::read_to_string(&path).expect("reads").replace("second", "other!");
        fs::write(&path, text).expect("writes");
        let error = Journal::open(&path, Flush::System).expect_err("is damaged");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_journal_that_has_grown_is_rewritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = open(&path);
        let long = "x".repeat(100_000);
        for _ in 0..50 {
            journal.record(named(&long)).expect("records");
        }
        assert!(fs::metadata(&path).expect("is there").len() < 2_000_000);
        journal.record(named("last")).expect("records");
        assert_eq!(open(&path).look(|image| image.cluster_id.clone()).as_deref(), Some("last"));
    }
}
