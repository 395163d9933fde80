//! A cache of open files: the least recently used file is closed when there are too many.
//!
//! Separate because a broker with many partitions has more segments than a process can have open files, and neither
//! segments nor partitions should have to know about that.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::descriptors::Descriptors;

/// A cache of open files.
#[derive(Debug)]
pub(crate) struct Handles {
    files_max: usize,
    state: Mutex<State>,
}

impl Default for Handles {
    /// A cache as large as the process limit allows.
    fn default() -> Handles {
        Handles::with_at_most(Descriptors::of_process().segment_files_max)
    }
}

/// Identifies a file in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleId(u64);

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    clock: u64,
    open: BTreeMap<HandleId, (u64, Arc<File>)>,
    by_use: BTreeMap<u64, HandleId>,
}

impl Handles {
    fn with_at_most(files_max: usize) -> Handles {
        Handles { files_max, state: Mutex::default() }
    }

    /// An id for another file.
    pub(crate) fn new_id(&self) -> HandleId {
        let mut state = self.state.lock();
        state.next_id += 1;
        HandleId(state.next_id)
    }

    /// The file, opened for reading and writing. It is created only with `create`: a reader that comes late must not
    /// recreate a removed segment.
    pub(crate) fn get(&self, id: HandleId, path: &Path, create: bool) -> io::Result<Arc<File>> {
        if let Some(file) = self.state.lock().touch(id) {
            return Ok(file);
        }
        let opened = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path);
        let file = opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let file = Arc::new(file);
        self.state.lock().insert(id, Arc::clone(&file), self.files_max);
        Ok(file)
    }

    /// Removes the file from the cache; it is closed when its last user is done.
    pub(crate) fn close(&self, id: HandleId) {
        self.state.lock().remove(id);
    }
}

impl State {
    fn touch(&mut self, id: HandleId) -> Option<Arc<File>> {
        self.clock += 1;
        let (used, file) = self.open.get_mut(&id)?;
        self.by_use.remove(used);
        *used = self.clock;
        self.by_use.insert(self.clock, id);
        Some(Arc::clone(file))
    }

    fn insert(&mut self, id: HandleId, file: Arc<File>, files_max: usize) {
        self.remove(id);
        self.clock += 1;
        self.open.insert(id, (self.clock, file));
        self.by_use.insert(self.clock, id);
        while self.open.len() > files_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.open.remove(&oldest);
        }
    }

    fn remove(&mut self, id: HandleId) {
        if let Some((used, _)) = self.open.remove(&id) {
            self.by_use.remove(&used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_file_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let handles = Handles::with_at_most(20);
        let ids: Vec<_> = (0..=20).map(|_| handles.new_id()).collect();
        for (at, id) in ids.iter().enumerate() {
            handles.get(*id, &folder.path().join(at.to_string()), true).expect("opens");
            handles.get(ids[0], &folder.path().join("0"), true).expect("opens");
        }
        let state = handles.state.lock();
        assert_eq!(state.open.len(), 20);
        assert!(state.open.contains_key(&ids[0]) && !state.open.contains_key(&ids[1]));
    }
}
