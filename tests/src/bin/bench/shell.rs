//! Runs `headwater` for the benchmarks, and parses its output.

use std::error::Error;
use std::path::{Path, PathBuf};

use headwater_tests::usage::{Run, measure};

/// `headwater` on a cluster, or with an embedded broker on a folder.
pub struct Shell {
    program: PathBuf,
    place: Vec<String>,
}

impl Shell {
    /// On a real cluster. The definitions belong to the benchmark's own service id.
    pub fn at_cluster(program: &Path, bootstrap: &str) -> Self {
        let place = ["--bootstrap-server", bootstrap, "--service-id", "headwater_bench"].map(str::to_owned);
        Self { program: program.to_owned(), place: place.into() }
    }

    /// With the embedded broker on a folder.
    pub fn at_folder(program: &Path, folder: &Path) -> Self {
        let place = ["--data".to_owned(), folder.display().to_string()];
        Self { program: program.to_owned(), place: place.into() }
    }

    /// The same with a schema registry.
    pub fn with_registry(mut self, url: &str) -> Self {
        self.place.extend(["--schema-registry".to_owned(), url.to_owned()]);
        self
    }

    /// Runs statements in a new process, with rows as JSON, and measures it.
    pub fn run(&self, sql: &str) -> Result<Run, Box<dyn Error>> {
        let program = self.program.display().to_string();
        let mut command = vec![program.as_str()];
        command.extend(self.place.iter().map(String::as_str));
        command.extend(["--output", "json", "-e", sql]);
        measure(&std::env::current_exe()?, &command)
    }
}

/// The number of records that a query read, from the summary below its result: `3 rows in 0.5 s; read 50,000 records
/// (…)`.
pub fn records_read(run: &Run) -> Result<u64, Box<dyn Error>> {
    find_records_read(&run.stderr).ok_or_else(|| format!("no records read in the summary:\n{}", run.stderr).into())
}

fn find_records_read(text: &str) -> Option<u64> {
    let (_, after) = text.split_once("; read ")?;
    let (number, _) = after.split_once(" record")?;
    number.replace(',', "").parse().ok()
}

/// The sum of one field over all rows of a JSON result.
pub fn sum_of(run: &Run, field: &str) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for line in run.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        sum += row[field].as_u64().ok_or_else(|| format!("no number \"{field}\" in the row {line}"))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_are_found_in_the_summary() {
        assert_eq!(find_records_read("10 rows in 0.500 s; read 50,000 records (100,000/s)\n"), Some(50_000));
        assert_eq!(find_records_read("1 row in 0.500 s; read 1 record\n"), Some(1));
        assert_eq!(find_records_read("1 row in 0.500 s\n"), None);
    }
}
