//! The log on standard error: warnings, unless more is requested. While a line is typed at the prompt, log lines are
//! printed above it.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use rustyline::ExternalPrinter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The environment variable with the log filter, such as `warn` or `headwater=debug,rdkafka=info`.
pub const VARIABLE: &str = "HEADWATER_LOG";

/// Where log lines go: to the prompt's printer while there is one, otherwise to standard error. Clones share the
/// printer.
#[derive(Clone, Default)]
pub struct LogOutput(Arc<Mutex<Option<Box<dyn ExternalPrinter + Send>>>>);

/// One log line that is being written.
pub struct Line {
    output: LogOutput,
    text: Vec<u8>,
}

impl LogOutput {
    /// From now on, prints lines above the line that is being typed.
    pub fn print_with(&self, printer: Box<dyn ExternalPrinter + Send>) {
        *self.0.lock() = Some(printer);
    }

    /// From now on, writes lines to standard error again.
    pub fn print_plainly(&self) {
        *self.0.lock() = None;
    }
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { output: self.clone(), text: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    /// A line that cannot be written is dropped.
    fn drop(&mut self) {
        let mut printer = self.output.0.lock();
        let text = String::from_utf8_lossy(&self.text).into_owned();
        let printed = printer.as_mut().is_some_and(|printer| printer.print(text).is_ok());
        if !printed {
            let _ = io::stderr().write_all(&self.text);
        }
    }
}

/// Starts logging to `output`. `wanted` is the value of [`VARIABLE`]; without it `verbosity` decides: 0 for warnings, 1
/// also for changes of state, 2 also for decisions. Fails when `wanted` is not a valid filter.
pub fn start(wanted: Option<&str>, verbosity: u8, color: bool, output: LogOutput) -> Result<(), String> {
    let directives = wanted.filter(|text| !text.is_empty()).unwrap_or_else(|| directives(verbosity));
    let filter = EnvFilter::try_new(directives).map_err(|error| format!("{VARIABLE} is not valid: {error}"))?;
    // If a subscriber exists, a test has set it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(output).with_ansi(color).try_init();
    Ok(())
}

fn directives(verbosity: u8) -> &'static str {
    match verbosity {
        // What matters of lsm_tree's errors comes with the query that has them.
        0 => "warn,lsm_tree=error",
        1 => {
            "warn,lsm_tree=error,headwater=info,headwater_repl=info,headwater_engine=info,headwater_connectors=info,headwater_broker=info"
        }
        _ => {
            "info,headwater=debug,headwater_repl=debug,headwater_engine=debug,headwater_connectors=debug,headwater_broker=debug"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_must_be_valid() {
        let error = start(Some("=x=y="), 0, false, LogOutput::default()).unwrap_err();
        assert!(error.starts_with("HEADWATER_LOG is not valid"));
        for verbosity in 0..3 {
            assert!(EnvFilter::try_new(directives(verbosity)).is_ok());
        }
    }

    /// A prompt that records what is printed above it.
    struct Prompt(Arc<Mutex<Vec<String>>>);

    impl ExternalPrinter for Prompt {
        fn print(&mut self, text: String) -> rustyline::Result<()> {
            self.0.lock().push(text);
            Ok(())
        }
    }

    #[test]
    fn a_line_goes_to_the_prompt_as_one_piece_while_there_is_one() {
        let (output, printed) = (LogOutput::default(), Arc::<Mutex<Vec<String>>>::default());
        output.print_with(Box::new(Prompt(printed.clone())));
        let mut line = output.make_writer();
        line.write_all(b"WARN one ").unwrap();
        line.write_all(b"line\n").unwrap();
        drop(line);
        output.print_plainly();
        drop(output.make_writer());
        assert_eq!(*printed.lock(), ["WARN one line\n"]);
    }
}
