//! Writes the records of one statement: in a transaction if there is an id, otherwise acknowledged one by one.
//!
//! Sinks block, so a statement writes on its own thread, which receives rows through a channel. If the channel closes
//! without [`Message::End`], the statement was cancelled or its query failed, and what it wrote is rolled back if
//! possible.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt as _;
use headwater_formats::panic::words;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turns, OwnedMutexGuard, mpsc};

use super::records::RecordEncoder;
use crate::table::reader::external;
use crate::transport::{Membership, Sink, SinkOptions, Transport, TransportError};

/// Maximum number of batches of rows that wait to be written.
const BATCHES_AHEAD_MAX: usize = 2;
/// Maximum time for the cluster to acknowledge the last records of a statement.
const ACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

/// Writes the statements of one table.
pub struct Writer {
    cluster: Arc<dyn Transport>,
    topic: Arc<str>,
    transactional_id: Option<String>,
    /// Statements with a transactional id run one after the other: a second sink with the same id would fence the
    /// first.
    turns: Arc<Turns<()>>,
    /// The sink of the last statement. A producer needs half a second before its first record, so it is kept; after a
    /// failure it is discarded.
    spare: Mutex<Option<Box<dyn Sink>>>,
}

/// A message to the thread of a statement.
enum Message {
    /// More rows.
    Rows(RecordBatch),
    /// All rows have been sent.
    End,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer that is not connected yet.
    pub fn new(cluster: Arc<dyn Transport>, topic: Arc<str>, transactional_id: Option<String>) -> Self {
        Self { cluster, topic, transactional_id, turns: Arc::default(), spare: Mutex::new(None) }
    }

    /// The transactional id, if there is one.
    pub fn transactional_id(&self) -> Option<&str> {
        self.transactional_id.as_deref()
    }

    /// Writes all rows as one statement and returns their number. On success every record is acknowledged; otherwise
    /// the error says what may have been written.
    pub async fn write(self: &Arc<Self>, rows: SendableRecordBatchStream, encoder: RecordEncoder) -> Result<u64> {
        let turn = match self.transactional_id {
            Some(_) => Some(self.turns.clone().lock_owned().await),
            None => None,
        };
        let (batches, received) = mpsc::channel(BATCHES_AHEAD_MAX);
        let writer = self.clone();
        let writing = tokio::task::spawn_blocking(move || writer.run(received, encoder, turn));
        let fed = feed(rows, batches).await;
        // Always wait for the thread: what was written is rolled back before the query's error is reported.
        let written = writing.await.unwrap_or_else(|ended| Err(ended_early(ended)));
        written.map_err(|Failure { error, outcome }| {
            let error = fed.err().unwrap_or(error);
            outcome.into_iter().fold(error, |error, outcome| error.context(outcome))
        })
    }

    /// The thread of a statement. It holds the statement's turn until the transaction has ended.
    fn run(
        &self,
        received: mpsc::Receiver<Message>,
        encoder: RecordEncoder,
        _turn: Option<OwnedMutexGuard<()>>,
    ) -> Result<u64, Failure> {
        let mut statement = Statement { writer: self, encoder, sink: None, rows: 0, commit_tried: false };
        match statement.run(received) {
            Ok(rows) => {
                *self.spare.lock() = statement.sink;
                Ok(rows)
            }
            Err(error) => Err(statement.give_up(error)),
        }
    }

    /// A sink that is ready to write, with a transaction open if there is an id.
    fn open(&self) -> Result<Box<dyn Sink>, TransportError> {
        let spare = self.spare.lock().take();
        let mut sink = match spare {
            Some(sink) => sink,
            None => self.cluster.open_sink(SinkOptions {
                transactional_id: self.transactional_id.clone(),
                topic: Some(self.topic.clone()),
                ..SinkOptions::default()
            })?,
        };
        if self.transactional_id.is_some() {
            sink.begin()?;
        }
        Ok(sink)
    }
}

/// Sends the rows of a query to the thread that writes them, until that thread ends.
async fn feed(mut rows: SendableRecordBatchStream, batches: mpsc::Sender<Message>) -> Result<()> {
    while let Some(batch) = rows.try_next().await? {
        if batches.send(Message::Rows(batch)).await.is_err() {
            return Ok(());
        }
    }
    // If the thread has ended, it failed and returns the cause itself.
    let _ = batches.send(Message::End).await;
    Ok(())
}

/// Why a statement failed, and what was written.
struct Failure {
    /// The cause as far as the writer knows it; if the query failed, its own error is the cause.
    error: DataFusionError,
    /// What the topic contains nevertheless, if that is known.
    outcome: Option<String>,
}

/// A statement that is being written.
struct Statement<'a> {
    writer: &'a Writer,
    encoder: RecordEncoder,
    /// Opened for the first row.
    sink: Option<Box<dyn Sink>>,
    rows: u64,
    /// Whether it is unknown if the rows were written, unless the transaction can be rolled back.
    commit_tried: bool,
}

impl Statement<'_> {
    fn run(&mut self, mut received: mpsc::Receiver<Message>) -> Result<u64> {
        while let Some(message) = received.blocking_recv() {
            match message {
                Message::Rows(rows) if rows.num_rows() == 0 => {}
                Message::Rows(rows) => self.write(&rows)?,
                Message::End => return self.finish().map_err(external).map(|()| self.rows),
            }
        }
        Err(DataFusionError::Execution("the statement was cancelled".to_owned()))
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let records = self.encoder.encode(rows)?;
        if self.sink.is_none() {
            self.sink = Some(self.writer.open().map_err(external)?);
        }
        let sink = self.sink.as_mut().expect("the sink was opened for the first rows");
        self.rows += rows.num_rows() as u64;
        sink.write(&records).map_err(external)
    }

    fn finish(&mut self) -> Result<(), TransportError> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let Some(id) = self.writer.transactional_id() else { return sink.flush(ACKNOWLEDGED_MAX) };
        // Flushed first: the commit would do it too, but a failed commit leaves more in doubt.
        sink.flush(ACKNOWLEDGED_MAX)?;
        self.commit_tried = true;
        // The statement consumed nothing, so the transaction contains no offsets.
        sink.commit(&Membership::outside(id), &BTreeMap::new(), ACKNOWLEDGED_MAX)
    }

    /// Rolls back what was written, and reports the outcome.
    fn give_up(self, error: DataFusionError) -> Failure {
        let (topic, rows) = (&self.writer.topic, self.rows);
        let outcome = match (self.sink, self.writer.transactional_id()) {
            (None, _) => format!("nothing was written to topic \"{topic}\""),
            (_, None) => format!("up to {rows} rows of the statement may have been written to topic \"{topic}\""),
            (Some(mut sink), Some(_)) => match sink.abort(ACKNOWLEDGED_MAX) {
                Err(why) if self.commit_tried => {
                    format!("it is not known whether the rows were written to topic \"{topic}\" ({why})")
                }
                // Without a commit, the cluster rolls back what the sink could not.
                _ => format!("nothing was written to topic \"{topic}\": the transaction was rolled back"),
            },
        };
        Failure { error, outcome: Some(outcome) }
    }
}

/// Converts the failure of the thread: it panicked, or the runtime shut down.
fn ended_early(ended: tokio::task::JoinError) -> Failure {
    let error = match ended.try_into_panic() {
        Ok(panic) => DataFusionError::Internal(format!("a writer panicked: {}", words(panic.as_ref()))),
        Err(ended) => external(ended),
    };
    Failure { error, outcome: None }
}
