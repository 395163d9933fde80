//! Folders of topics and partitions that are not in the journal.
//!
//! Separate because of its rule: records are removed only if the journal says that their topic was deleted. A journal
//! that is older than the folders, or that has lost lines, does not say so; then the folders are moved aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::log::make_folder;
use crate::meta::Image;

/// The folder that unknown folders are moved to, beside that of the logs.
const ORPHANED_FOLDER: &str = "orphaned";

/// The topics in the journal.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The existing topics, with their number of partitions.
    listed: BTreeMap<Uuid, i32>,
    deleted: BTreeSet<Uuid>,
}

impl Known {
    pub(super) fn of(image: &Image) -> Known {
        let listed = image.topics.values().map(|topic| (topic.id, topic.partitions)).collect();
        Known { listed, deleted: image.deleted_topics.clone() }
    }
}

/// Whether a folder, or a folder in it, contains a file that is not empty.
pub(crate) fn holds_records(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let found =
            if entry.file_type()?.is_dir() { holds_records(&entry.path())? } else { entry.metadata()?.len() > 0 };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes folders of deleted topics and folders without records; all others that are not in the journal are moved
/// aside.
pub(super) fn clear(logs: &Path, known: &Known) {
    for (name, folder) in entries(logs) {
        let Ok(id) = Uuid::try_parse(&name) else { continue };
        match known.listed.get(&id) {
            Some(partitions) => clear_partitions(logs, &name, &folder, *partitions),
            None => clear_one(logs, &name, &folder, known.deleted.contains(&id)),
        }
    }
}

/// Removes or moves partitions beyond the number in the journal.
fn clear_partitions(logs: &Path, topic: &str, folder: &Path, partitions: i32) {
    for (name, folder) in entries(folder) {
        if name.parse().is_ok_and(|partition: i32| partition >= partitions) {
            clear_one(logs, &format!("{topic}.partition-{name}"), &folder, false);
        }
    }
}

/// The entries of a folder, with their names.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

fn clear_one(logs: &Path, name: &str, folder: &Path, deleted: bool) {
    let cleared = match deleted || !holds_records(folder).unwrap_or(true) {
        true => fs::remove_dir_all(folder),
        false => move_aside(logs, name, folder),
    };
    if let Err(error) = cleared {
        tracing::warn!(folder = %folder.display(), %error, "could not clear away a folder that is not in the journal");
    }
}

fn move_aside(logs: &Path, name: &str, folder: &Path) -> io::Result<()> {
    let orphaned = logs.with_file_name(ORPHANED_FOLDER);
    make_folder(&orphaned)?;
    let numbered = (2..).map(|at| orphaned.join(format!("{name}.{at}")));
    let mut targets = std::iter::once(orphaned.join(name)).chain(numbered);
    let target = targets.find(|target| !target.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(folder, &target)?;
    tracing::warn!(
        from = %folder.display(),
        to = %target.display(),
        "moved a folder with records aside: its topic or partition is not in the journal"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(logs: &Path, id: Uuid, bytes: &str) -> PathBuf {
        let folder = logs.join(id.to_string());
        fs::create_dir_all(folder.join("0")).expect("makes");
        fs::write(folder.join("0").join("00000000000000000000.log"), bytes).expect("writes");
        folder
    }

    #[test]
    fn only_what_was_deleted_or_is_empty_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = folder.path().join("logs");
        let [listed, deleted, empty, unknown] = [1, 2, 3, 4].map(Uuid::from_u128);
        let known = Known { listed: [(listed, 1)].into(), deleted: [deleted].into() };
        for bytes in ["first", "second"] {
            let folders = [(listed, bytes), (deleted, bytes), (empty, ""), (unknown, bytes)];
            let folders = folders.map(|(id, bytes)| topic(&logs, id, bytes));
            clear(&logs, &known);
            assert_eq!(folders.map(|folder| folder.exists()), [true, false, false, false]);
        }
        for (name, bytes) in [(unknown.to_string(), "first"), (format!("{unknown}.2"), "second")] {
            let file = folder.path().join("orphaned").join(name).join("0").join("00000000000000000000.log");
            assert_eq!(fs::read_to_string(file).expect("is kept"), bytes);
        }
    }

    #[test]
    fn a_partition_that_is_not_listed_is_moved_aside_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = folder.path().join("logs");
        let id = Uuid::from_u128(1);
        let topic = topic(&logs, id, "listed");
        for (partition, bytes) in [("1", "unlisted"), ("2", ""), ("notes", "not ours")] {
            fs::create_dir(topic.join(partition)).expect("makes");
            fs::write(topic.join(partition).join("00000000000000000000.log"), bytes).expect("writes");
        }
        clear(&logs, &Known { listed: [(id, 1)].into(), deleted: BTreeSet::new() });
        let left = ["0", "1", "2", "notes"].map(|partition| topic.join(partition).exists());
        assert_eq!(left, [true, false, false, true]);
        let moved = folder.path().join("orphaned").join(format!("{id}.partition-1"));
        assert_eq!(fs::read_to_string(moved.join("00000000000000000000.log")).expect("is kept"), "unlisted");
    }
}
