//! The journal: a file with one line for each change, with a checksum.
//!
//! Separate because of its promises: a change that was written survives the process; an incomplete last line, left by a
//! crash, is dropped; anything else that cannot be read stops the start before a byte is changed; and the file is
//! rewritten when it has grown to several times its contents.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::change::Change;
use super::image::{ClusterImage, Image};
use crate::clock::now_ms;
use crate::failure::FailureTracker;
use crate::log::Flush;

/// The format that this version writes. It must be increased for a format that older versions must not touch although
/// they know all of its changes.
pub(crate) const FORMAT: u32 = 1;
/// The running version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The journal is rewritten when it has grown to this size, and to several times its size after the last rewrite.
const REWRITE_BYTES_MIN: u64 = 4 << 20;
const REWRITE_GROWTH: u64 = 4;
/// The number of digits in a line's checksum.
const CHECKSUM_DIGITS: usize = 8;

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read or written.
    #[error("could not open {path}: {cause}")]
    Io {
        /// The path of the journal.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// A complete line cannot be read. A crash does not cause this, so the file is damaged.
    #[error("{path} is damaged at line {line}: restore the file or move the folder away")]
    Damaged {
        /// The path of the journal.
        path: PathBuf,
        /// The line number, starting at 1.
        line: usize,
    },
    /// A newer version of Headwater wrote something that this version does not know.
    #[error(
        "{path} was written by a newer version of Headwater{}: line {line} contains {what}, which version {VERSION} \
         does not support; upgrade Headwater (nothing in the folder was changed)",
        named(writer.as_deref())
    )]
    Newer {
        /// The path of the journal.
        path: PathBuf,
        /// The line number, starting at 1.
        line: usize,
        /// What is not known.
        what: String,
        /// The version that wrote the line, if the journal tells.
        writer: Option<String>,
    },
    /// The journal is missing or empty although the folder contains records.
    #[error(
        "{path} is missing or empty although the folder contains records: without the journal it is unknown which \
         topics they belong to; restore the journal, or move the folder \"logs\" beside it away to start without them"
    )]
    Lost {
        /// The path of the journal.
        path: PathBuf,
    },
}

fn named(writer: Option<&str>) -> String {
    writer.filter(|writer| *writer != VERSION).map(|writer| format!(" ({writer})")).unwrap_or_default()
}

/// The journal and the metadata that it contains.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    flush: Flush,
}

#[derive(Debug)]
struct State {
    image: Image,
    lines: Option<Lines>,
    write_failures: FailureTracker,
    /// The number of changes that were written since it was opened.
    changes: u64,
    closed: bool,
}

impl State {
    fn new(image: Image, lines: Option<Lines>) -> Mutex<State> {
        Mutex::new(State { image, lines, write_failures: FailureTracker::default(), changes: 0, closed: false })
    }
}

/// The open file.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_at_rewrite: u64,
}

impl Journal {
    /// A journal that is kept in memory only.
    pub(crate) fn in_memory() -> Journal {
        Journal { state: State::new(Image::default(), None), flush: Flush::System }
    }

    /// Opens and replays the journal, which is created if it does not exist. With `must_exist`, a missing or empty
    /// journal is an error, because there are records that it must know. After an error no byte has changed.
    pub(crate) fn open(path: &Path, flush: Flush, must_exist: bool) -> Result<Journal, JournalError> {
        let failed = |cause| JournalError::Io { path: path.to_owned(), cause };
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed)?,
        };
        let Replayed { image, bytes } = replay(&text).map_err(|unreadable| unreadable.at(path))?;
        if must_exist && image.cluster.is_none() && image.topics.is_empty() {
            return Err(JournalError::Lost { path: path.to_owned() });
        }
        keep_torn(path, &text[bytes..]).map_err(failed)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let bytes = bytes as u64;
        file.set_len(bytes).map_err(failed)?;
        let lines = Lines { path: path.to_owned(), file, bytes, bytes_at_rewrite: bytes.min(REWRITE_BYTES_MIN) };
        Ok(Journal { state: State::new(image, Some(lines)), flush })
    }

    /// Records the running version and its format; must be called before any other change is written. If the cluster
    /// has no id yet, it gets the one that `new_id` returns. Returns the cluster's id.
    pub(crate) fn sign(&self, new_id: impl FnOnce() -> String) -> io::Result<String> {
        let known = self.read(|image| image.cluster.clone());
        let id = known.as_ref().map_or_else(new_id, |known| known.id.clone());
        let signed = ClusterImage { id: id.clone(), version: Some(VERSION.to_owned()), format: FORMAT };
        if known.as_ref() != Some(&signed) {
            let ClusterImage { id, version, format } = signed;
            self.write(Change::ClusterNamed { id, version, format })?;
        }
        Ok(id)
    }

    /// Writes a change to the journal and applies it. After an error nothing has changed.
    pub(crate) fn write(&self, change: Change) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(io::Error::other("the broker has shut down"));
        }
        state.append(&line(&change)?, self.flush)?;
        state.image.apply(change);
        state.changes += 1;
        state.rewrite_when_grown();
        Ok(())
    }

    /// Calls `read` with the current metadata.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Image) -> T) -> T {
        read(&self.state.lock().image)
    }

    /// The number of changes that were written since it was opened.
    pub(crate) fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// Forces everything to the disk, if there are more changes than `synced`. Returns how many there are.
    pub(crate) fn sync_after(&self, synced: u64) -> io::Result<u64> {
        let (changes, file) = {
            let state = self.state.lock();
            let lines = state.lines.as_ref().filter(|_| state.changes > synced);
            (state.changes, lines.map(|lines| lines.file.try_clone()).transpose()?)
        };
        // Others can write meanwhile.
        file.map_or(Ok(()), |file| file.sync_data()).map(|()| changes)
    }

    /// Forces everything to the disk and refuses further changes, since another process may soon use the folder.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.closed = true;
        state.lines.as_ref().map_or(Ok(()), |lines| lines.file.sync_data())
    }
}

impl State {
    fn append(&mut self, line: &[u8], flush: Flush) -> io::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let (appended, bytes) = (lines.append(line, flush), line.len() as u64);
        match &appended {
            Err(error) if self.write_failures.failed(error, bytes, now_ms()) => {
                tracing::error!(path = %lines.path.display(), %error, "could not write to the journal");
            }
            Err(_) => {}
            Ok(()) => {
                if let Some(failures) = self.write_failures.succeeded(bytes, now_ms()) {
                    tracing::warn!(path = %lines.path.display(), failures, "writing to the journal works again");
                }
            }
        }
        appended
    }

    fn rewrite_when_grown(&mut self) {
        let Some(lines) = &mut self.lines else { return };
        if lines.bytes < REWRITE_BYTES_MIN.max(lines.bytes_at_rewrite * REWRITE_GROWTH) {
            return;
        }
        match lines.rewritten(&self.image) {
            Ok(rewritten) => {
                *lines = rewritten;
                self.image.deleted_topics.clear(); // the new journal does not know them either
            }
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
            let _ = self.file.set_len(self.bytes); // `bytes` is what counts; the next start drops an incomplete line
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Writes the image to a new file and replaces the old one with it.
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
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let bytes = text.len() as u64;
        Ok(Lines { path: self.path.clone(), file, bytes, bytes_at_rewrite: bytes })
    }
}

fn line(change: &Change) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(change)?;
    Ok(format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())).into_bytes())
}

/// Why a line could not be read.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    /// The checksum does not match.
    Damaged,
    /// The line is undamaged, but contains something unknown.
    Unknown(String),
}

fn parse(line: &[u8]) -> Result<Change, Flaw> {
    let json = checked(line).ok_or(Flaw::Damaged)?;
    serde_json::from_slice(json).map_err(|_| Flaw::Unknown(what_is_in(json)))
}

/// The JSON of a line whose checksum matches.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (checksum, json) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    let json = json.strip_prefix(b" ")?;
    (crc32c::crc32c(json) == checksum).then_some(json)
}

fn what_is_in(json: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    match value.get("change").and_then(serde_json::Value::as_str) {
        Some(name) => format!("the change \"{name}\""),
        None => "text in another format".to_owned(),
    }
}

/// The result of replaying a journal.
struct Replayed {
    image: Image,
    /// The length of the complete lines, in bytes.
    bytes: usize,
}

/// The line at which the replay failed.
struct Unreadable {
    line: usize,
    flaw: Flaw,
    writer: Option<String>,
}

impl Unreadable {
    fn at(self, path: &Path) -> JournalError {
        let Unreadable { line, flaw, writer } = self;
        let path = path.to_owned();
        match flaw {
            Flaw::Damaged => JournalError::Damaged { path, line },
            Flaw::Unknown(what) => JournalError::Newer { path, line, what, writer },
        }
    }
}

/// Replays all lines. An incomplete last line is left out: a crash interrupted the write, so it was never acknowledged.
fn replay(text: &[u8]) -> Result<Replayed, Unreadable> {
    let mut image = Image::default();
    let mut bytes = 0;
    for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let whole = line.strip_suffix(b"\n");
        match parse(whole.unwrap_or(line)).and_then(known_format) {
            Err(Flaw::Damaged) | Ok(_) if whole.is_none() => break,
            Ok(change) => image.apply(change),
            Err(flaw) => {
                let writer = writer(&image, whole.unwrap_or(line));
                return Err(Unreadable { line: at + 1, flaw, writer });
            }
        }
        bytes += line.len();
    }
    Ok(Replayed { image, bytes })
}

fn known_format(change: Change) -> Result<Change, Flaw> {
    match change {
        Change::ClusterNamed { format, .. } if format > FORMAT => Err(Flaw::Unknown(format!("format number {format}"))),
        change => Ok(change),
    }
}

/// The version that wrote a line, according to the line itself or to those before it.
fn writer(image: &Image, line: &[u8]) -> Option<String> {
    match parse(line) {
        Ok(Change::ClusterNamed { version, .. }) => version,
        _ => image.cluster.as_ref().and_then(|cluster| cluster.version.clone()),
    }
}

/// Copies an incomplete last line to a file beside the journal, so that its bytes are kept.
fn keep_torn(path: &Path, torn: &[u8]) -> io::Result<()> {
    if torn.is_empty() {
        return Ok(());
    }
    let kept = path.with_extension("torn");
    tracing::warn!(path = %path.display(), bytes = torn.len(), kept = %kept.display(), "truncated an incomplete last line");
    fs::write(kept, torn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str) -> Change {
        Change::ClusterNamed { id: id.to_owned(), version: None, format: 0 }
    }

    fn open(path: &Path) -> Journal {
        Journal::open(path, Flush::System, false).expect("opens")
    }

    fn id(journal: &Journal) -> Option<String> {
        journal.read(|image| image.cluster.as_ref().map(|cluster| cluster.id.clone()))
    }

    fn signed(json: &str) -> String {
        format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()))
    }

    /// A journal of two lines, and its text.
    fn written(path: &Path) -> String {
        let journal = open(path);
        for id in ["first", "second"] {
            journal.write(named(id)).expect("records");
        }
        fs::read_to_string(path).expect("reads")
    }

    #[test]
    fn changes_come_back_and_a_torn_line_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let text = written(&path);
        let first = text.find('\n').expect("a line") + 1;
        for cut in first + 1..text.len() {
            fs::write(&path, &text[..cut]).expect("writes");
            assert_eq!(id(&open(&path)).as_deref(), Some("first"), "cut at {cut}");
            assert_eq!(fs::read_to_string(path.with_extension("torn")).expect("is kept"), text[first..cut]);
        }
        let journal = open(&path);
        journal.write(named("third")).expect("records");
        assert_eq!(id(&open(&path)).as_deref(), Some("third"));
    }

    /// A line that cannot be read and is not merely incomplete is an error, wherever it is, and not a byte is changed.
    #[test]
    fn damage_is_an_error_that_names_the_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let text = written(&path);
        for (from, line) in [("first", "line 1"), ("second", "line 2")] {
            let damaged = text.replace(from, &"x".repeat(from.len()));
            fs::write(&path, &damaged).expect("writes");
            let error = Journal::open(&path, Flush::System, false).expect_err("is damaged");
            assert!(error.to_string().contains(line), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("reads"), damaged);
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_refused_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let text = written(&path);
        let of_newer = signed(r#"{"change":"cluster_named","id":"c","version":"7.8.9","format":1}"#);
        let unknown_kind = signed(r#"{"change":"topic_frozen","name":"t"}"#);
        let unknown_field = signed(r#"{"change":"topic_deleted","name":"t","but_not":"really"}"#);
        let newer_format = signed(r#"{"change":"cluster_named","id":"c","version":"7.8.9","format":2}"#);
        let other_form = signed("<change/>");
        for (lines, names) in [
            ([&text, &*of_newer, &unknown_kind].concat(), ["line 4", "topic_frozen", "7.8.9"]),
            ([&text, &*of_newer, unknown_kind.trim_end()].concat(), ["line 4", "topic_frozen", "7.8.9"]),
            ([&*unknown_kind, &text].concat(), ["line 1", "topic_frozen", "newer"]),
            ([&text, &*unknown_field].concat(), ["line 3", "topic_deleted", "newer"]),
            ([&text, &*newer_format].concat(), ["line 3", "format number 2", "7.8.9"]),
            ([&text, &*other_form].concat(), ["line 3", "another form", "newer"]),
        ] {
            fs::write(&path, &lines).expect("writes");
            let error = Journal::open(&path, Flush::System, true).expect_err("is newer").to_string();
            let complete = ["upgrade", VERSION].into_iter().chain(names).all(|word| error.contains(word));
            assert!(complete, "{error}");
            assert_eq!(fs::read_to_string(&path).expect("reads"), lines, "no byte is changed");
        }
    }

    #[test]
    fn a_journal_that_says_nothing_is_refused_where_there_is_something_to_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        for text in [None, Some(""), Some("0123abcd {\"change\":\"clus"), Some("\0\0\0\0")] {
            if let Some(text) = text {
                fs::write(&path, text).expect("writes");
            }
            let error = Journal::open(&path, Flush::System, true).expect_err("is lost");
            assert!(error.to_string().contains("restore the journal"), "{error}");
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), text, "no byte is changed");
        }
        assert_eq!(id(&open(&path)), None);
    }

    #[test]
    fn a_journal_is_signed_once_by_each_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = open(&path);
        assert_eq!(journal.sign(|| "made".to_owned()).expect("signs"), "made");
        let once = fs::read_to_string(&path).expect("reads");
        assert_eq!(open(&path).sign(|| panic!("has an id")).expect("is signed"), "made");
        assert_eq!(fs::read_to_string(&path).expect("reads"), once);
        fs::write(&path, signed(&once[CHECKSUM_DIGITS + 1..].trim_end().replace(VERSION, "0.0.1"))).expect("writes");
        open(&path).sign(|| panic!("has an id")).expect("signs");
        assert_eq!(fs::read_to_string(&path).expect("reads").lines().count(), 2);
    }

    #[test]
    fn a_journal_that_has_grown_is_rewritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = open(&path);
        let long = "x".repeat(100_000);
        for _ in 0..50 {
            journal.write(named(&long)).expect("records");
        }
        assert!(fs::metadata(&path).expect("is there").len() < 2_000_000);
        journal.write(named("last")).expect("records");
        assert_eq!(id(&open(&path)).as_deref(), Some("last"));
    }
}
