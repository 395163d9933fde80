//! The log in a topic of Kafka: `_schemas`, with one partition, compacted, as Confluent's registry has it.
//!
//! Separate because nothing else here knows a cluster. It connects when it is first used, so that a registry which nobody
//! asks costs nothing, and creates the topic when the first schema is registered.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, BinaryArray};
use async_trait::async_trait;
use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, ReadRange, Sink, SinkOptions, Source, SourceEvent, TopicIds, Transport,
    TransportError, TransportErrorKind, Watermarks,
};
use headwater_formats::record::{OutBatch, RawBatch, TopicPartition, Wanted};
use parking_lot::Mutex;

use crate::log::{LogError, LogRecord, SchemaLog};

/// The topic with the schemas.
pub const TOPIC: &str = "_schemas";

/// How large a record may be, in bytes: the longest schema whose every character is escaped, and what refers to it.
const RECORD_BYTES_MAX: &str = "4194304";
/// Most records that are taken from the topic at once.
const BATCH_RECORDS_MAX: usize = 1_000;
/// How long one poll of the topic may wait.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait for the next record, or until records are acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);

/// The log in the topic `_schemas` of a cluster.
///
/// ```
/// use std::sync::Arc;
///
/// use headwater_connectors::transport::Transport;
/// use headwater_connectors::transport::memory::MemoryTransport;
/// use headwater_schema_registry::{Server, TOPIC, TopicLog};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let cluster: Arc<dyn Transport> = Arc::new(MemoryTransport::new());
/// let log = TopicLog::new({ let cluster = Arc::clone(&cluster); move || Ok(Arc::clone(&cluster)) });
/// let server = Server::start("127.0.0.1:0".parse()?, log).await?;
/// assert_eq!(cluster.admin().topic(TOPIC)?, None, "nothing was registered yet");
/// # server.shutdown().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct TopicLog(Arc<Mutex<Topic>>);

/// How the cluster is reached.
type Connect = dyn Fn() -> Result<Arc<dyn Transport>, TransportError> + Send;

/// The topic, behind a lock: what is read has all that was written before.
struct Topic {
    connect: Box<Connect>,
    transport: Option<Arc<dyn Transport>>,
    /// Kept while writes succeed, since opening one takes longer than a write.
    sink: Option<Box<dyn Sink>>,
}

impl TopicLog {
    /// A log in the cluster that this connects to, each time until it succeeds.
    pub fn new(connect: impl Fn() -> Result<Arc<dyn Transport>, TransportError> + Send + 'static) -> Self {
        let topic = Topic { connect: Box::new(connect), transport: None, sink: None };
        Self(Arc::new(Mutex::new(topic)))
    }

    /// Works with the topic in a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Topic) -> Result<T, TransportError> + Send + 'static,
    ) -> Result<T, LogError> {
        let topic = Arc::clone(&self.0);
        let worked = tokio::task::spawn_blocking(move || work(&mut topic.lock())).await;
        let worked = worked.map_err(|panic| LogError(format!("internal error: {panic}")))?;
        worked.map_err(|error| LogError(error.message))
    }
}

#[async_trait]
impl SchemaLog for TopicLog {
    async fn read_all(&self) -> Result<Vec<LogRecord>, LogError> {
        self.blocking(Topic::read_all).await
    }

    async fn append(&self, records: Vec<LogRecord>) -> Result<(), LogError> {
        self.blocking(move |topic| topic.append(&records)).await
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Topic {
    fn transport(&mut self) -> Result<Arc<dyn Transport>, TransportError> {
        if let Some(transport) = &self.transport {
            return Ok(Arc::clone(transport));
        }
        let transport = (self.connect)()?;
        self.transport = Some(Arc::clone(&transport));
        Ok(transport)
    }

    fn read_all(&mut self) -> Result<Vec<LogRecord>, TransportError> {
        let transport = self.transport()?;
        match marks(transport.as_ref())? {
            Some(Watermarks { start, end }) if start < end => read(open_source(transport.as_ref(), start, end)?),
            _ => Ok(Vec::new()),
        }
    }

    fn append(&mut self, records: &[LogRecord]) -> Result<(), TransportError> {
        let mut sink = match self.sink.take() {
            Some(sink) => sink,
            None => self.open_sink()?,
        };
        sink.write(&batch_of(records))?;
        sink.flush(PATIENCE)?;
        self.sink = Some(sink);
        Ok(())
    }

    fn open_sink(&mut self) -> Result<Box<dyn Sink>, TransportError> {
        let transport = self.transport()?;
        if marks(transport.as_ref())?.is_none() {
            make(transport.as_ref())?;
        }
        transport.open_sink(SinkOptions { topic: Some(TOPIC.into()), ..SinkOptions::default() })
    }
}

/// Both ends of the topic; `None` if it does not exist.
fn marks(transport: &dyn Transport) -> Result<Option<Watermarks>, TransportError> {
    match transport.admin().watermarks(TOPIC, Isolation::ReadCommitted).as_deref() {
        Ok([marks]) => Ok(Some(*marks)),
        Ok(partitions) => {
            let found = partitions.len();
            Err(TransportError::invalid(format!("topic \"{TOPIC}\" has {found} partitions, but must have one")))
        }
        Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(None),
        Err(error) => Err(error.clone()),
    }
}

fn make(transport: &dyn Transport) -> Result<(), TransportError> {
    let settings = [("cleanup.policy", "compact"), ("max.message.bytes", RECORD_BYTES_MAX)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    match transport.admin().create_topic(&NewTopic { name: TOPIC.to_owned(), partitions: 1, replicas: None, settings })
    {
        Err(error) if error.kind == TransportErrorKind::TopicExists => Ok(()),
        made => made,
    }
}

fn open_source(transport: &dyn Transport, start: i64, end: i64) -> Result<Box<dyn Source>, TransportError> {
    let plan = ReadPlan {
        ranges: vec![ReadRange { partition: TopicPartition::new(TOPIC, 0), start, end: Some(end) }],
        wanted: Wanted { keys: true, values: true, headers: false },
        isolation: Isolation::ReadCommitted,
        batch_records_max: BATCH_RECORDS_MAX,
        ids: TopicIds::new(),
    };
    let opened = transport.open_sources(vec![plan])?.pop();
    opened.ok_or_else(|| TransportError::internal("the transport opened no source"))
}

/// All records of a source.
fn read(mut source: Box<dyn Source>) -> Result<Vec<LogRecord>, TransportError> {
    let mut records = Vec::new();
    let mut heard = Instant::now();
    loop {
        match source.poll(POLL)? {
            SourceEvent::Batch(batch) => {
                records.extend(records_of(&batch));
                heard = Instant::now();
            }
            SourceEvent::Finished(_) => return Ok(records),
            // A schema that is gone without its key would leave messages that nobody can read: better to say so.
            SourceEvent::Lost(lost) => return Err(TransportError::lost(lost.to_string())),
            SourceEvent::Idle if heard.elapsed() > PATIENCE => {
                let seconds = PATIENCE.as_secs();
                return Err(TransportError::timeout(format!("topic \"{TOPIC}\" could not be read within {seconds} s")));
            }
            SourceEvent::Passed(..) | SourceEvent::Idle => {}
        }
    }
}

/// Records without a key are not those of a registry.
fn records_of(batch: &RawBatch) -> impl Iterator<Item = LogRecord> {
    let of = |column: &Option<BinaryArray>, row: usize| {
        column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row).to_vec())
    };
    (0..batch.len())
        .filter_map(move |row| Some(LogRecord { key: of(&batch.keys, row)?, value: of(&batch.values, row) }))
}

fn batch_of(records: &[LogRecord]) -> OutBatch {
    let keys = records.iter().map(|record| Some(&*record.key)).collect();
    let values = records.iter().map(|record| record.value.as_deref()).collect();
    OutBatch {
        topic: TOPIC.into(),
        partitions: Some(vec![0; records.len()].into()),
        keys: BinaryArray::from_opt_vec(keys),
        values: BinaryArray::from_opt_vec(values),
        timestamps_ms: None,
        headers: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
    use headwater_connectors::transport::memory::MemoryTransport;

    use super::*;
    use crate::registry::SchemaRegistry;
    use crate::request::{Answer, Method, Request};

    fn record(key: &str, value: Option<&str>) -> LogRecord {
        LogRecord { key: key.as_bytes().to_vec(), value: value.map(|value| value.as_bytes().to_vec()) }
    }

    fn log(cluster: &Arc<dyn Transport>) -> TopicLog {
        let cluster = Arc::clone(cluster);
        TopicLog::new(move || Ok(Arc::clone(&cluster)))
    }

    fn memory() -> Arc<dyn Transport> {
        Arc::new(MemoryTransport::new())
    }

    #[tokio::test]
    async fn what_one_log_appends_another_one_reads() {
        let cluster = memory();
        assert_eq!(log(&cluster).read_all().await, Ok(Vec::new()));
        assert_eq!(cluster.admin().topic(TOPIC), Ok(None), "reading creates nothing");
        let first = log(&cluster);
        let (one, two) = (record("a", Some("1")), [record("b", Some("2")), record("a", None)]);
        first.append(vec![one.clone()]).await.expect("it is written");
        first.append(two.to_vec()).await.expect("it is written");
        let settings = cluster.admin().topic_settings(TOPIC).expect("it was created");
        assert_eq!(settings["cleanup.policy"], "compact");
        let second = log(&cluster);
        assert_eq!(second.read_all().await, Ok([&[one][..], &two].concat()));
        second.append(vec![record("c", Some("3"))]).await.expect("it is written");
        assert_eq!(first.read_all().await.map(|records| records.len()), Ok(4));
    }

    #[tokio::test]
    async fn a_topic_with_several_partitions_is_rejected() {
        let cluster = memory();
        let topic = NewTopic { name: TOPIC.to_owned(), partitions: 2, replicas: None, settings: Default::default() };
        cluster.admin().create_topic(&topic).expect("it is created");
        let problem = LogError("topic \"_schemas\" has 2 partitions, but must have one".to_owned());
        assert_eq!(log(&cluster).read_all().await, Err(problem.clone()));
        assert_eq!(log(&cluster).append(vec![record("a", None)]).await, Err(problem));
    }

    /// Fails one call, the first one of its kind.
    struct Once(Call, Fault, AtomicUsize);

    impl Plan for Once {
        fn fault(&self, call: Call) -> Option<Fault> {
            (call == self.0 && self.2.fetch_add(1, Ordering::Relaxed) == 0).then_some(self.1)
        }

        fn cut(&self, records: usize) -> usize {
            records
        }
    }

    /// Goal: whatever fails, nothing gets two ids and no id two schemas. Method: the first registration fails in each way,
    /// and then another schema is registered before the first one is tried again.
    #[tokio::test]
    async fn the_log_decides_after_a_failure() {
        let calls = [Call::Watermarks, Call::CreateTopic, Call::OpenSink, Call::Write, Call::Flush];
        for fault in Fault::ALL {
            // An error that there is no topic is none that is lost.
            for call in calls.into_iter().filter(|call| (*call, fault) != (Call::Watermarks, Fault::ReplyLost)) {
                let plan = Once(call, fault, AtomicUsize::new(0));
                let cluster: Arc<dyn Transport> = Arc::new(FaultyTransport::new(memory(), Arc::new(plan)));
                let registry = SchemaRegistry::new(Box::new(log(&cluster)));
                let register = async |subject: &str, schema: &str| {
                    let body = format!("{{\"schema\": \"\\\"{schema}\\\"\"}}").into_bytes();
                    registry.answer(Request::new(Method::Post, &format!("/subjects/{subject}/versions"), body)).await
                };
                let failed = register("a", "int").await;
                assert!(failed.body.contains("50001"), "{call:?} {fault:?}: {}", failed.body);
                let ids = [register("b", "long").await, register("a", "int").await].map(|Answer { body, .. }| body);
                let is_written = matches!((call, fault), (Call::Write, Fault::ReplyLost) | (Call::Flush, _));
                let expected = if is_written { [r#"{"id":2}"#, r#"{"id":1}"#] } else { [r#"{"id":1}"#, r#"{"id":2}"#] };
                assert_eq!(ids, expected, "{call:?} {fault:?}");
            }
        }
    }
}
