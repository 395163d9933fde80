//! Writes one answer's rows from the stream to the screen: immediately, interruptibly, with progress.
//!
//! Only one batch is in memory at a time, and the next one is not requested before the last is written: a slow reader
//! slows the query.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::error::DataFusionError;
use futures::{Stream, StreamExt};
use headwater_engine::answer::{Progress, Rows};

use crate::interrupt::Interrupt;
use crate::output::{Fit, Output, width_min};
use crate::progress;
use crate::screen::{Paging, Screen};
use crate::settings::Settings;

/// Number of rows that a table waits for to determine its widths, if they arrive within [`FIRST_CHUNK_WAIT`].
const FIRST_CHUNK_ROWS: usize = 200;
/// How long a table waits for more rows before it shows the first ones.
const FIRST_CHUNK_WAIT: Duration = Duration::from_millis(30);

/// Why showing an answer ended early.
#[derive(Debug)]
pub enum Broken {
    /// Ctrl-C.
    Interrupted,
    /// The query failed.
    Query(DataFusionError),
    /// The screen could not be written to.
    Output(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What is needed to show an answer.
pub struct Show<'a> {
    /// The screen to show it on.
    pub screen: &'a mut Screen,
    /// What can stop it.
    pub interrupt: &'a mut Interrupt,
    /// How to show it.
    pub settings: Settings,
    /// When the statement started.
    pub started: Instant,
    /// What it waits for, as it was said.
    pub waits_for: Option<String>,
}

impl Show<'_> {
    /// Shows all rows and returns their number. The table is completed even if the rows end early.
    pub async fn rows(&mut self, rows: &mut Rows) -> Result<u64, Broken> {
        let schema = rows.stream.schema();
        let (fit, paging) = self.fit(schema.fields().len());
        let mut writer = self.settings.output.writer(fit);
        self.screen.begin_result(paging);
        writer.begin(&schema, self.screen)?;
        let mut count = 0;
        let mut end = Ok(());
        while let Some(next) = self.next(&mut rows.stream, Some(&rows.progress)).await.transpose() {
            let (batch, failed) = match next {
                Ok(batch) if count == 0 => self.first_chunk(batch, rows).await,
                Ok(batch) => (batch, Ok(())),
                Err(broken) => {
                    end = Err(broken);
                    break;
                }
            };
            if batch.num_rows() > 0 {
                count += batch.num_rows() as u64;
                writer.batch(&batch, self.screen)?;
                self.shown()?;
            }
            if failed.is_err() {
                end = failed;
                break;
            }
        }
        // After a failure before the first row, an empty table would suggest an empty result.
        if end.is_ok() || count > 0 && self.settings.output.is_for_people() {
            writer.end(self.screen)?;
        }
        end.map(|()| count)
    }

    /// Shows lines as they arrive.
    pub async fn lines<E>(
        &mut self,
        mut lines: impl Stream<Item = Result<String, E>> + Unpin,
    ) -> Result<u64, LinesBroken<E>> {
        let mut writer = LineWriter::new(self.settings.output);
        let mut count = 0;
        loop {
            let line = tokio::select! {
                biased;
                () = self.interrupt.pressed() => return Err(LinesBroken::Broken(Broken::Interrupted)),
                line = lines.next() => line,
            };
            match line {
                Some(Ok(line)) => {
                    writer.write(&line, self.screen).map_err(|error| LinesBroken::Broken(error.into()))?
                }
                Some(Err(failure)) => return Err(LinesBroken::Failed(failure)),
                None => return Ok(count),
            }
            count += 1;
        }
    }

    /// How a table with this many columns is shown: fitted to the screen if possible, otherwise in the pager.
    pub fn fit(&self, columns: usize) -> (Fit, Paging) {
        let Settings { output, wrap, column_width, pager } = self.settings;
        let width = self.screen.size().map(|size| size.columns);
        let too_wide = width.is_some_and(|width| output == Output::Table && width_min(columns) > width);
        let can_page = pager && self.screen.has_pager();
        match (can_page, too_wide && column_width.is_none()) {
            (false, _) => (Fit { width, wrap, column_width }, Paging::Never),
            (true, false) => (Fit { width, wrap, column_width }, Paging::WhenLong),
            (true, true) => (Fit { width: None, wrap, column_width }, Paging::Always),
        }
    }

    /// The next batch; draws the progress line while waiting.
    async fn next<S>(&mut self, stream: &mut S, progress: Option<&Progress>) -> Result<Option<RecordBatch>, Broken>
    where
        S: Stream<Item = Result<RecordBatch, DataFusionError>> + Unpin,
    {
        loop {
            tokio::select! {
                biased;
                () = self.interrupt.pressed() => return Err(Broken::Interrupted),
                batch = stream.next() => return batch.transpose().map_err(Broken::Query),
                () = tokio::time::sleep(progress::PERIOD) => self.show_progress(progress)?,
            }
        }
    }

    /// A table determines its widths from its first chunk, so rows that arrive in small batches are collected for a
    /// moment. Returns the rows, and the failure that ended them, if any.
    async fn first_chunk(&mut self, first: RecordBatch, rows: &mut Rows) -> (RecordBatch, Result<(), Broken>) {
        if self.settings.output != Output::Table {
            return (first, Ok(()));
        }
        let until = tokio::time::Instant::now() + FIRST_CHUNK_WAIT;
        let mut found = first.num_rows();
        let mut batches = vec![first];
        let mut failed = Ok(());
        while found < FIRST_CHUNK_ROWS {
            match tokio::time::timeout_at(until, rows.stream.next()).await {
                Ok(Some(Ok(batch))) => {
                    found += batch.num_rows();
                    batches.push(batch);
                }
                Ok(Some(Err(failure))) => {
                    failed = Err(Broken::Query(failure));
                    break;
                }
                Ok(None) | Err(_) => break,
            }
        }
        match concat_batches(&batches[0].schema(), &batches) {
            Ok(chunk) => (chunk, failed),
            Err(error) => (batches.swap_remove(0), Err(Broken::Query(error.into()))),
        }
    }

    fn shown(&mut self) -> Result<(), Broken> {
        self.screen.flush()?;
        Ok(self.screen.release_when_slow()?)
    }

    fn show_progress(&mut self, progress: Option<&Progress>) -> io::Result<()> {
        self.screen.release_when_slow()?;
        let Some(progress) = progress else { return Ok(()) };
        let waits_for = progress.waits_for();
        if let Some(what) = waits_for.as_ref().filter(|_| self.waits_for.is_none()) {
            self.screen.note(&format!("waiting: {what}"));
        }
        self.waits_for = waits_for;
        if let Some(line) = progress::line(progress.snapshot(), self.started.elapsed()) {
            self.screen.show_progress(&line);
        }
        Ok(())
    }
}

/// Why showing lines ended early.
#[derive(Debug)]
pub enum LinesBroken<E> {
    /// For a reason that also applies to rows.
    Broken(Broken),
    /// The stream failed.
    Failed(E),
}

/// Lines in each format: unchanged for people, one cell named `line` for programs.
struct LineWriter {
    output: Output,
    begun: bool,
    buffer: String,
}

impl LineWriter {
    fn new(output: Output) -> Self {
        Self { output, begun: false, buffer: String::new() }
    }

    fn write(&mut self, line: &str, screen: &mut Screen) -> io::Result<()> {
        self.buffer.clear();
        match self.output {
            Output::Table | Output::Vertical => crate::output::cells::push_printable(&mut self.buffer, line),
            Output::Json => crate::output::push_json_line(&mut self.buffer, "line", line),
            Output::Csv if self.begun => crate::output::push_csv_cell(&mut self.buffer, line),
            Output::Csv => {
                self.buffer.push_str("line\n");
                crate::output::push_csv_cell(&mut self.buffer, line);
            }
        }
        self.begun = true;
        self.buffer.push('\n');
        screen.write_all(self.buffer.as_bytes())?;
        screen.flush()
    }
}
