//! The sink through which the statements of this process write.
//!
//! An idempotent producer takes half a second until its first record is acknowledged, so it is kept. After a failure it
//! is dropped, and the next write opens a new one.

use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{Sink, SinkOptions, Transport, TransportError};
use headwater_formats::record::OutBatch;
use parking_lot::Mutex;

/// Writes records for statements. Blocks; one write at a time.
pub struct Writer {
    transport: Arc<dyn Transport>,
    sink: Mutex<Option<Box<dyn Sink>>>,
}

impl Writer {
    /// A writer that is not connected yet.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, sink: Mutex::new(None) }
    }

    /// Writes a batch and waits at most `patience` for all of it to be acknowledged.
    pub fn write(&self, batch: &OutBatch, patience: Duration) -> Result<(), TransportError> {
        let mut held = self.sink.lock();
        let mut sink = match held.take() {
            Some(sink) => sink,
            None => self.transport.open_sink(SinkOptions::default())?,
        };
        sink.write(batch)?;
        sink.flush(patience)?;
        *held = Some(sink);
        Ok(())
    }
}
