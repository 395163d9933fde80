//! Finds the test files in the paths that a user gives.

use std::fs;
use std::path::{Path, PathBuf};

/// The file name extension of tests in folders.
const EXTENSION: &str = "test";

/// The files given, and every `*.test` file in the folders given, in the order of their names; each once. Hidden files
/// are skipped, and symbolic links to folders are not followed. Fails with one line for each path that cannot be read
/// or contains no test.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match of_path(path) {
            Ok(found) if found.is_empty() => {
                problems.push(format!("there are no *.{EXTENSION} files in \"{}\"", path.display()));
            }
            Ok(found) => files.extend(found.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>()),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems.join("\n")) }
}

fn of_path(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("could not read \"{}\": {error}", path.display());
    let mut found = Vec::new();
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        collect(path, &mut found)?;
    } else {
        found.push(path.to_owned());
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |error| format!("could not read \"{}\": {error}", folder.display());
    let mut entries =
        fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()).map_err(unreadable)?;
    entries.retain(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(unreadable)?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_tests_in_order_and_problems_come_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b/2.test", "b/10.test", "a.test", "b/notes.sql", ".git/x.test", "empty/x.sql"] {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), "").unwrap();
        }
        let all = [path("a.test"), path("b/10.test"), path("b/2.test")];
        assert_eq!(files(&[folder.path().to_owned(), path("a.test")]).unwrap(), all);
        assert_eq!(files(&[path("b/notes.sql")]).unwrap(), [path("b/notes.sql")]);
        let problems = files(&[path("empty"), path("nowhere")]).unwrap_err();
        let lines: Vec<&str> = problems.lines().collect();
        assert!(lines[0].contains("no *.test files") && lines[0].contains("empty"), "{problems}");
        assert!(lines[1].contains("nowhere"), "{problems}");
    }
}
