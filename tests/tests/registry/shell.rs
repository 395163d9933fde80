//! A second `headwater` on a data folder, which runs what is written to its standard input.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use headwater_tests::binary::headwater;

/// The process; killed when dropped.
pub struct Shell {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    pub fn open(folder: &Path) -> Self {
        let mut command = Command::new(headwater());
        command.args(["--output", "csv", "--data"]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), output, child }
    }

    /// Runs a statement, and returns when the first line of its answer is there: then the process uses the broker.
    pub fn answer(&mut self, statement: &str) -> String {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{statement}").unwrap();
        self.output.next().unwrap().unwrap()
    }

    /// Ends it as the end of its input does, and waits.
    pub fn end(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
