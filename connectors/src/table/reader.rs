//! The thread of a scan: it polls a source, decodes records and passes batches on.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_formats::decode::{DecodedRows, RecordDecoder};
use headwater_formats::panic::words;
use headwater_formats::record::{RawBatch, TopicPartition};

use super::context::ScanContext;
use crate::schemas::teach;
use crate::transport::{ReadPlan, ReadRange, Source, SourceEvent, TransportError};

/// Timeout of a poll, after which the reader checks whether anyone still wants its rows.
const POLL: Duration = Duration::from_millis(100);

/// Whether the consumer wants more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Continue.
    More,
    /// The consumer has enough or was dropped.
    Stop,
}

/// Counters of one scan that EXPLAIN ANALYZE shows.
#[derive(Clone)]
pub struct ReadMetrics {
    records: Count,
    bytes: Count,
    rejects: Count,
}

impl ReadMetrics {
    /// Registers the counters of one output partition.
    pub fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name: &'static str| MetricBuilder::new(set).counter(name, partition);
        Self { records: counter("records_read"), bytes: counter("bytes_read"), rejects: counter("rejects") }
    }
}

/// Opens a source for `ranges`.
pub fn open(context: &ScanContext, plan: ReadPlan) -> Result<Box<dyn Source>> {
    let mut sources = context.transport.open_sources(vec![plan]).map_err(external)?;
    sources.pop().ok_or_else(|| DataFusionError::Internal("the transport opened no source".to_owned()))
}

/// Wraps an error of a transport or format as a DataFusion error.
pub fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Runs a reader on a blocking thread. A panic in it becomes an error of this query only.
pub fn spawn_reader(
    builder: &mut RecordBatchReceiverStreamBuilder,
    read: impl FnOnce() -> Result<()> + Send + 'static,
) {
    builder.spawn_blocking(move || {
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
            Err(DataFusionError::Internal(format!("a reader panicked: {}", words(panic.as_ref()))))
        })
    });
}

/// Reads `ranges` to their ends and passes each decoded batch to `sink`, together with the raw batch. Blocks; ends
/// early when the sink returns [`Flow::Stop`] or `wanted` becomes false. If records were deleted before they were read,
/// the context decides whether it fails.
pub fn read_to_end(
    source: &mut dyn Source,
    ranges: &[ReadRange],
    decoder: &mut RecordDecoder,
    context: &ScanContext,
    metrics: &ReadMetrics,
    wanted: &dyn Fn() -> bool,
    sink: &mut dyn FnMut(&RawBatch, DecodedRows) -> Result<Flow>,
) -> Result<()> {
    let (mut covered, schemas) = (Covered::new(ranges), context.transport.schemas());
    while !covered.open.is_empty() && wanted() {
        match source.poll(POLL).map_err(external)? {
            SourceEvent::Idle | SourceEvent::Passed(..) => {}
            SourceEvent::Lost(lost) => {
                if lost.ends_range() {
                    let offsets = covered.finish(&lost.partition);
                    context.progress.add_read(0, 0, offsets);
                }
                context.lose(lost).map_err(external)?;
            }
            SourceEvent::Finished(partition) => {
                let offsets = covered.finish(&partition);
                context.progress.add_read(0, 0, offsets);
            }
            SourceEvent::Batch(raw) => {
                count(&raw, &mut covered, context, metrics);
                teach(decoder, &raw, schemas.as_ref()).map_err(|error| external(TransportError::from(error)))?;
                let mut rows = decoder.decode(&raw)?;
                add(&metrics.rejects, rows.rejects.len() as u64);
                context.progress.add_valueless(rows.valueless);
                rows.rejects.drain(..).for_each(|reject| context.progress.add_reject(reject));
                if sink(&raw, rows)? == Flow::Stop {
                    return Ok(());
                }
            }
        }
    }
    if covered.open.is_empty() && context.scans_check_topics {
        context.check_topics().map_err(external)?;
    }
    Ok(())
}

fn count(raw: &RawBatch, covered: &mut Covered, context: &ScanContext, metrics: &ReadMetrics) {
    let (records, offsets) = (raw.len() as u64, covered.advance(raw));
    context.progress.add_read(records, raw.payload_bytes, offsets);
    add(&metrics.records, records);
    add(&metrics.bytes, raw.payload_bytes);
}

fn add(counter: &Count, by: u64) {
    counter.add(usize::try_from(by).unwrap_or(usize::MAX));
}

/// How far each range has been read.
struct Covered {
    /// Next offset and end of each range that is not finished.
    open: BTreeMap<TopicPartition, (i64, i64)>,
}

impl Covered {
    fn new(ranges: &[ReadRange]) -> Self {
        let bounds = |r: &ReadRange| (r.partition.clone(), (r.start, r.end.unwrap_or(i64::MAX)));
        Self { open: ranges.iter().map(bounds).collect() }
    }

    /// Number of offsets that a batch covers, including the gap before it.
    fn advance(&mut self, raw: &RawBatch) -> u64 {
        let (Some((next, _)), Some(last)) = (self.open.get_mut(&raw.origin), raw.offsets.last()) else { return 0 };
        let offsets = last + 1 - *next;
        *next = last + 1;
        u64::try_from(offsets).unwrap_or(0)
    }

    /// Number of offsets from the last batch to the end of the range.
    fn finish(&mut self, partition: &TopicPartition) -> u64 {
        let left = self.open.remove(partition).map_or(0, |(next, end)| end - next);
        u64::try_from(left).unwrap_or(0)
    }
}
