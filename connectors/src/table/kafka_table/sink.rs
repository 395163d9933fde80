//! The DataFusion sink at the end of a statement that writes.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::datasource::sink::DataSink;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType};

use super::records::RecordShape;
use super::writer::Writer;

/// Appends the rows of a statement to a topic.
#[derive(Debug)]
pub struct TopicSink {
    writer: Arc<Writer>,
    shape: RecordShape,
    rows: SchemaRef,
}

impl TopicSink {
    /// A sink for rows with these columns, which `shape` was made for.
    pub fn new(writer: Arc<Writer>, shape: RecordShape, rows: SchemaRef) -> Self {
        Self { writer, shape, rows }
    }
}

impl DisplayAs for TopicSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicSink: topic={}", self.shape.topic())?;
        self.writer.transactional_id().map_or(Ok(()), |id| write!(f, ", transactional_id={id}"))
    }
}

#[async_trait]
impl DataSink for TopicSink {
    fn schema(&self) -> &SchemaRef {
        &self.rows
    }

    async fn write_all(&self, rows: SendableRecordBatchStream, _: &Arc<TaskContext>) -> Result<u64> {
        self.writer.write(rows, self.shape.encoder()?).await
    }
}
