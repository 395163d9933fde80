//! Runs the commands of a page: in a folder that looks like a fresh clone, with `headwater` on the path.
//!
//! The folder contains links to the files of the workspace, so that nothing a command writes ends up in the workspace.
//! `cargo run` starts the program that is already built: building inside a test would wait for the lock of the build
//! that runs the test. Every command has its own process group, and all groups are ended when the stage is dropped,
//! including brokers in the background.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::compare::agrees;
use super::{Block, Kind, exchanges};

/// Maximum time of one command; only a hanging command takes that long.
const COMMAND_MAX: Duration = Duration::from_secs(600);
/// Maximum time for a process group to end by itself.
const END_MAX: Duration = Duration::from_secs(10);

/// Replaces cargo on the path.
const CARGO: &str = "#!/bin/bash\n\
    # cargo run … -- ARGUMENTS: the built program.\n\
    [ \"$1\" = run ] || { echo \"only 'cargo run' is supported here\" >&2; exit 1; }\n\
    while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done\n\
    shift\n\
    exec headwater \"$@\"\n";

/// A folder to run commands in; dropping it ends all processes that are still running.
pub struct Stage {
    folder: TempDir,
    programs: TempDir,
    groups: Vec<Pid>,
}

/// The result of a command.
struct Ended {
    status: ExitStatus,
    printed: String,
}

impl Stage {
    /// A stage with the files of `workspace` and the program `headwater`.
    pub fn new(workspace: &Path, headwater: &Path) -> io::Result<Self> {
        let stage = Self { folder: tempfile::tempdir()?, programs: tempfile::tempdir()?, groups: Vec::new() };
        for entry in fs::read_dir(workspace)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                symlink(entry.path(), stage.folder.path().join(entry.file_name()))?;
            }
        }
        symlink(headwater, stage.programs.path().join("headwater"))?;
        let cargo = stage.programs.path().join("cargo");
        fs::write(&cargo, CARGO)?;
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755))?;
        Ok(stage)
    }

    /// Runs a block; the error shows what a reader of the page would have seen.
    pub fn run(&mut self, block: &Block) -> Result<(), String> {
        match block.kind {
            Kind::CiScript => Ok(()),
            Kind::Script => self.succeed(&["bash", "-euo", "pipefail", "-c", &block.text], None),
            Kind::Statements => self.succeed(&["headwater"], Some(&block.text)),
            Kind::Session => {
                exchanges(&block.text).iter().try_for_each(|one| self.compare(&one.command, &one.expected))
            }
        }
    }

    fn succeed(&mut self, command: &[&str], stdin: Option<&str>) -> Result<(), String> {
        let ended = self.perform(command, stdin).map_err(|e| e.to_string())?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(format!("ended with {}:\n{}", ended.status, ended.printed)),
        }
    }

    fn compare(&mut self, command: &str, expected: &str) -> Result<(), String> {
        let ended = self.perform(&["bash", "-c", command], None).map_err(|e| e.to_string())?;
        match agrees(expected, &ended.printed) {
            true => Ok(()),
            false => Err(format!("$ {command}\n--- expected\n{expected}--- printed\n{}", ended.printed)),
        }
    }

    /// Runs a command to its end. Its output goes to a file, so that a background process does not delay the reading.
    fn perform(&mut self, command: &[&str], stdin: Option<&str>) -> Result<Ended, Box<dyn Error>> {
        let output = tempfile::NamedTempFile::new()?;
        let mut child =
            self.command(command, stdin)?.stdout(output.reopen()?).stderr(append(output.path())?).spawn()?;
        self.groups.push(Pid::from_raw(i32::try_from(child.id())?));
        let status = wait(&mut child)?.ok_or_else(|| format!("still running after {} s", COMMAND_MAX.as_secs()))?;
        Ok(Ended { status, printed: fs::read_to_string(output.path())? })
    }

    fn command(&self, command: &[&str], stdin: Option<&str>) -> io::Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            std::iter::once(PathBuf::from(self.programs.path())).chain(std::env::split_paths(&path)),
        );
        let mut made = Command::new(command[0]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEADWATER_")) {
            made.env_remove(name);
        }
        made.args(&command[1..])
            .current_dir(self.folder.path())
            .env("PATH", path.map_err(io::Error::other)?)
            .env("HOME", self.folder.path())
            .env_remove("XDG_DATA_HOME")
            .stdin(input(stdin)?)
            .process_group(0);
        Ok(made)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for group in &self.groups {
            end(*group);
        }
    }
}

/// Standard input with a text; empty without one.
fn input(text: Option<&str>) -> io::Result<Stdio> {
    let Some(text) = text else { return Ok(Stdio::null()) };
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), text)?;
    Ok(file.reopen()?.into())
}

fn append(path: &Path) -> io::Result<File> {
    File::options().append(true).open(path)
}

/// Waits for a child; `None` if it takes too long.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < COMMAND_MAX {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(None)
}

/// Ends all processes of a group: with SIGTERM, then SIGKILL. A group that has already ended is not an error.
fn end(group: Pid) {
    let asked = Instant::now();
    while killpg(group, Signal::SIGTERM).is_ok() {
        if asked.elapsed() > END_MAX {
            let _ = killpg(group, Signal::SIGKILL);
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readme::blocks;

    /// A stage whose `headwater` prints its arguments and its standard input.
    fn stage() -> (TempDir, Stage) {
        let workspace = tempfile::tempdir().unwrap();
        fs::write(workspace.path().join("README.md"), "page").unwrap();
        let headwater = workspace.path().join("headwater");
        fs::write(&headwater, "#!/bin/bash\necho \"called with $*\"\ncat\n").unwrap();
        fs::set_permissions(&headwater, fs::Permissions::from_mode(0o755)).unwrap();
        let stage = Stage::new(workspace.path(), &headwater).unwrap();
        (workspace, stage)
    }

    fn run(page: &str) -> Vec<Result<(), String>> {
        let (_workspace, mut stage) = stage();
        blocks(page).iter().map(|block| stage.run(block)).collect()
    }

    #[test]
    fn blocks_share_one_folder_and_leave_the_workspace_alone() {
        let (workspace, mut stage) = stage();
        for block in blocks("```sh\necho kept >new.txt\ncat README.md\n```\n```console\n$ cat new.txt\nkept\n```\n") {
            stage.run(&block).unwrap();
        }
        assert!(!workspace.path().join("new.txt").exists());
    }

    #[test]
    fn failing_scripts_and_wrong_output_are_reported_with_the_output() {
        let results = run("```sh\necho seen\nfalse\necho not reached\n```\n```console\n$ echo 2 >&2\n1\n```\n");
        let script = results[0].clone().unwrap_err();
        assert!(script.contains("seen") && !script.contains("not reached"));
        assert!(results[1].clone().unwrap_err().ends_with("--- expected\n1\n--- printed\n2\n"));
    }

    #[test]
    fn cargo_run_is_the_built_program_and_sql_goes_to_its_standard_input() {
        let page = "```console\n$ cargo run --release -- demo -x\ncalled with demo -x\n```\n```sql\nSELECT 1;\n```\n";
        assert_eq!(run(page), [Ok(()), Ok(())]);
    }

    #[test]
    fn command_for_ci_is_not_run() {
        assert_eq!(run("```sh ci\nfalse\n```\n"), [Ok(())]);
    }

    #[test]
    fn process_left_in_the_background_ends_with_the_stage() {
        let (workspace, mut stage) = stage();
        let pid_file = workspace.path().join("pid");
        let page = format!("```sh\nsleep 1000 & echo $! >{}\n```\n", pid_file.display());
        stage.run(&blocks(&page)[0]).unwrap();
        let pid = Pid::from_raw(fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap());
        assert!(nix::sys::signal::kill(pid, None).is_ok(), "it runs while the stage exists");
        drop(stage);
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "it is still running: {state}");
    }
}
