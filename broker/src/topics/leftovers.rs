//! Folders of topics that the journal does not list.
//!
//! Apart because of the one rule: records are only removed when the journal says that their topic was deleted. A journal
//! that is older than the folders, or that has lost lines, says nothing, and then they are moved aside.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::log::make_folder;
use crate::meta::Image;

/// Where folders are moved to, beside that of the logs.
const ORPHANED_FOLDER: &str = "orphaned";

/// The topics of which the journal knows something.
#[derive(Debug, Default)]
pub(super) struct Known {
    listed: BTreeSet<Uuid>,
    deleted: BTreeSet<Uuid>,
}

impl Known {
    pub(super) fn of(image: &Image) -> Known {
        let listed = image.topics.values().map(|topic| topic.id).collect();
        Known { listed, deleted: image.deleted_topics.clone() }
    }
}

/// Whether there are bytes in a file of a folder, or of one in it.
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

/// Removes what was deleted or holds nothing, and moves everything else aside that is not listed.
pub(super) fn clear(logs: &Path, known: &Known) {
    let Ok(entries) = fs::read_dir(logs) else { return };
    for entry in entries.flatten() {
        let id = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
        let Some(id) = id.filter(|id| !known.listed.contains(id)) else { continue };
        let cleared = clear_one(logs, &entry.path(), known.deleted.contains(&id));
        if let Err(error) = cleared {
            tracing::warn!(folder = %entry.path().display(), %error, "could not clear a topic's folder away");
        }
    }
}

fn clear_one(logs: &Path, folder: &Path, deleted: bool) -> io::Result<()> {
    if deleted || !holds_records(folder)? {
        return fs::remove_dir_all(folder);
    }
    let orphaned = logs.with_file_name(ORPHANED_FOLDER);
    make_folder(&orphaned)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = |target: &std::path::PathBuf| !target.exists();
    let numbered = (2..).map(|at| orphaned.join(format!("{name}.{at}")));
    let target = std::iter::once(orphaned.join(&name)).chain(numbered).find(free);
    let target = target.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(folder, &target)?;
    tracing::warn!(
        from = %folder.display(),
        to = %target.display(),
        "moved a folder with records aside: the journal does not know its topic"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(logs: &Path, id: Uuid, bytes: &str) -> std::path::PathBuf {
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
        let known = Known { listed: [listed].into(), deleted: [deleted].into() };
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
}
