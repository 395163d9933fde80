//! Where the bytes of one result go: directly to the output, or through a pager if the result is long.
//!
//! A result is held back until it is longer than the screen; only then is a pager started. A slow result is held back
//! only for a short time and then written directly. At most one screenful is held back, and a pager that does not read
//! makes the query wait.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a short result may be held back until it ends.
pub const HELD_MAX: Duration = Duration::from_millis(400);
/// Maximum number of bytes that are held back.
pub const HELD_BYTES_MAX: usize = 1 << 20;

/// How one result is written.
#[derive(Debug)]
pub enum Flow {
    /// Directly.
    Direct,
    /// Held back until it ends, is long, or is slow.
    Holding(Held),
    /// Through a pager.
    Paging(Child),
    /// To nothing: the user has quit the pager.
    Left,
}

/// The beginning of a result.
#[derive(Debug)]
pub struct Held {
    bytes: Vec<u8>,
    /// When the first bytes arrived.
    since: Option<Instant>,
    /// Numbers of bytes and lines above which a pager is started.
    lines_max: usize,
    pager: String,
}

impl Flow {
    /// Holds a result back until it has more than `lines_max` lines; then starts `pager`, a shell command.
    pub fn holding(pager: String, lines_max: usize) -> Self {
        Self::Holding(Held { bytes: Vec::new(), since: None, lines_max, pager })
    }

    /// Writes bytes. Fails with [`io::ErrorKind::BrokenPipe`] after the user has quit the pager.
    pub fn write(&mut self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Direct => out.write_all(bytes),
            Self::Left => Err(io::ErrorKind::BrokenPipe.into()),
            Self::Paging(child) => {
                let written = child.stdin.as_mut().map_or(Ok(()), |input| input.write_all(bytes));
                written.or_else(|error| self.leave(error))
            }
            Self::Holding(held) => {
                held.since.get_or_insert_with(Instant::now);
                held.bytes.extend_from_slice(bytes);
                if held.is_long() { self.page(out) } else { Ok(()) }
            }
        }
    }

    /// Writes a slow result directly. Called repeatedly while it runs.
    pub fn release_when_slow(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Holding(held) if held.since.is_some_and(|since| since.elapsed() > HELD_MAX) => self.release(out),
            _ => Ok(()),
        }
    }

    /// Ends the result: writes what was held back, or waits until the user quits the pager.
    pub fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match std::mem::replace(self, Self::Direct) {
            Self::Holding(held) => out.write_all(&held.bytes),
            Self::Paging(mut child) => {
                drop(child.stdin.take());
                child.wait().map(drop)
            }
            Self::Direct | Self::Left => Ok(()),
        }
    }

    /// Whether a pager is using the terminal.
    pub fn is_paging(&self) -> bool {
        matches!(self, Self::Paging(_))
    }

    /// Whether the user quit the pager before the result ended.
    pub fn is_left(&self) -> bool {
        matches!(self, Self::Left)
    }

    fn release(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.end(out)?;
        out.flush()
    }

    fn page(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Self::Holding(held) = std::mem::replace(self, Self::Direct) else { return Ok(()) };
        match start(&held.pager) {
            Ok(child) => *self = Self::Paging(child),
            Err(error) => tracing::warn!(pager = held.pager, %error, "the pager could not be started"),
        }
        self.write(&held.bytes, out)
    }

    fn leave(&mut self, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::BrokenPipe
            && let Self::Paging(mut child) = std::mem::replace(self, Self::Left)
        {
            drop(child.stdin.take());
            child.wait()?;
        }
        Err(error)
    }
}

impl Held {
    fn is_long(&self) -> bool {
        let lines = self.bytes.iter().filter(|byte| **byte == b'\n').count();
        lines > self.lines_max || self.bytes.len() > HELD_BYTES_MAX
    }
}

/// The pager to use: `$PAGER`, otherwise `less` if it is found; `None` if `$PAGER` is empty.
pub fn find(variables: &std::collections::BTreeMap<String, String>) -> Option<String> {
    match variables.get("PAGER") {
        Some(pager) => Some(pager.trim().to_string()).filter(|pager| !pager.is_empty() && pager != "cat"),
        None => {
            let path = variables.get("PATH")?;
            let found = std::env::split_paths(path).any(|folder| folder.join("less").is_file());
            found.then(|| "less".to_string())
        }
    }
}

/// Starts a pager. Unless the user has set LESS, `less` exits by itself on short texts (F), keeps colors (R), does not
/// wrap lines (S) and leaves the text on the screen (X).
fn start(pager: &str) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRSX");
    }
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_result_is_written_directly_at_its_end() {
        let mut out = Vec::new();
        let mut flow = Flow::holding("false".into(), 3);
        flow.write(b"a\nb\n", &mut out).unwrap();
        assert!(out.is_empty());
        flow.end(&mut out).unwrap();
        assert_eq!(out, b"a\nb\n");
    }

    /// Goal: a long result reaches the pager completely. Method: a pager that copies to a file.
    #[test]
    fn a_long_result_goes_through_the_pager() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("paged");
        let mut out = Vec::new();
        let mut flow = Flow::holding(format!("cat > '{}'", file.display()), 2);
        flow.write(b"a\nb\n", &mut out).unwrap();
        flow.write(b"c\n", &mut out).unwrap();
        assert!(flow.is_paging());
        flow.write(b"d\n", &mut out).unwrap();
        flow.end(&mut out).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"a\nb\nc\nd\n");
        assert!(out.is_empty());
    }

    /// Goal: quitting the pager stops the result and is distinguished from a closed output. Method: a pager that exits
    /// at once, written to until its pipe breaks.
    #[test]
    fn a_pager_that_was_left_stops_the_result() {
        let mut out = Vec::new();
        let mut flow = Flow::holding("true".into(), 0);
        let block = vec![b'\n'; 1 << 16];
        let error = (0..1_000).find_map(|_| flow.write(&block, &mut out).err()).expect("the pipe breaks");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(flow.is_left());
        assert!(flow.write(b"x", &mut out).is_err());
    }

    #[test]
    fn the_user_chooses_the_pager() {
        let find = |name: &str, value: &str| find(&[(name.to_string(), value.to_string())].into());
        assert_eq!(find("PAGER", "most -s"), Some("most -s".into()));
        assert_eq!(find("PAGER", ""), None);
        assert_eq!(find("PATH", "/nowhere"), None);
    }
}
