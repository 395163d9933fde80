//! Reading: the partitions of one plan deliver to one queue, from which batches are taken as soon as there are records.
//! All sources that are opened together share one client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use headwater_formats::record::TopicPartition;
use rdkafka::consumer::BaseConsumer;

use super::connection::{self, Connection};
use super::context::{Context, Watch};
use super::errors;
use super::inquiry::{Halt, Halted, inquire};
use super::native::Inbox;
use super::properties::{Properties, Role};
use super::sorter::{Sorter, is_empty};
use crate::transport::{ReadPlan, Source, SourceEvent, TransportError, TransportErrorKind};

/// How long a bounded read may receive nothing while its brokers are unreachable before it fails. Until then, lost
/// connections are retried silently.
const OUTAGE_MAX: Duration = Duration::from_secs(30);

/// How long a partition may be missing before a read of it fails.
const GONE_MAX: Duration = Duration::from_secs(3);

/// Maximum single wait, so that callbacks are served regularly.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Maximum number of messages taken at once: enough for the largest batches, and a limit for the array of pointers.
const MESSAGES_MAX: usize = 65_536;

/// Opens one source for each plan, all on one client. No client is created when every range is empty.
pub(super) fn open(properties: &Properties, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
    let client = open_client(properties, &plans)?;
    let open_one = |plan| KafkaSource::open(client.as_ref(), &plan).map(|source| Box::new(source) as Box<dyn Source>);
    plans.into_iter().map(open_one).collect()
}

/// Pause before a range continues whose offset was temporarily outside the log.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// What the sources of one call share.
#[derive(Clone)]
struct Client {
    consumer: Arc<BaseConsumer<Context>>,
    watch: Arc<Watch>,
    properties: Arc<Properties>,
}

fn open_client(properties: &Properties, plans: &[ReadPlan]) -> Result<Option<Client>, TransportError> {
    let is_busy = |plan: &&ReadPlan| plan.ranges.iter().any(|range| !is_empty(range));
    let busy: Vec<_> = plans.iter().filter(is_busy).collect();
    let Some(first) = busy.first() else { return Ok(None) };
    if busy.iter().any(|plan| plan.isolation != first.isolation) {
        return Err(TransportError::invalid("sources that are opened together must have the same isolation level"));
    }
    let bounded = busy.iter().flat_map(|plan| &plan.ranges).any(|range| range.end.is_some());
    let role = Role::Source { isolation: first.isolation, bounded, sources: busy.len() };
    let connection = Connection::new(properties, &role)?;
    check_partitions(&connection, &busy)?;
    let (consumer, watch) = connection.into_parts();
    Ok(Some(Client { consumer, watch, properties: Arc::new(properties.clone()) }))
}

/// Looks up every topic. librdkafka does so before it reads anyway, but does not report a missing one.
fn check_partitions(connection: &Connection, plans: &[&ReadPlan]) -> Result<(), TransportError> {
    let partitions = plans.iter().flat_map(|plan| &plan.ranges).map(|range| &range.partition);
    let mut highest: BTreeMap<&str, i32> = BTreeMap::new();
    for partition in partitions {
        let highest = highest.entry(&partition.topic).or_insert(partition.partition);
        *highest = (*highest).max(partition.partition);
    }
    for (topic, highest) in highest {
        let partitions = connection.partitions(topic)?.ok_or_else(|| TransportError::unknown_topic(topic))?;
        if highest >= partitions {
            let fact = format!("topic \"{topic}\" has {partitions} partitions, so partition {highest} does not exist");
            return Err(TransportError::invalid(fact));
        }
    }
    Ok(())
}

/// A reader of the ranges of one plan.
struct KafkaSource {
    sorter: Sorter,
    reader: Option<Reader>,
}

/// The queue that the non-empty ranges deliver to.
struct Reader {
    inbox: Inbox,
    /// For each partition started, the index of its range in the plan.
    range_indices: Vec<usize>,
    client: Client,
    progress_at: Instant,
}

impl KafkaSource {
    fn open(client: Option<&Client>, plan: &ReadPlan) -> Result<Self, TransportError> {
        let busy = plan.ranges.iter().enumerate().filter(|(_, range)| !is_empty(range));
        let mut reader = client.map(|client| Reader::new(client, plan.batch_records_max));
        for (range_index, range) in busy {
            let reader = reader.as_mut().expect("a client is created if a range is not empty");
            let TopicPartition { topic, partition } = &range.partition;
            let started = reader.inbox.start(topic, *partition, range.start);
            started.map_err(|code| errors::failed(&format!("{} could not be read", range.partition), code))?;
            reader.range_indices.push(range_index);
        }
        Ok(Self { sorter: Sorter::new(plan), reader })
    }
}

impl Source for KafkaSource {
    fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError> {
        let begun = Instant::now();
        loop {
            if let Some(event) = self.sorter.next_event() {
                return event;
            }
            let left = timeout.saturating_sub(begun.elapsed());
            match &mut self.reader {
                Some(reader) if !self.sorter.is_finished() => reader.receive(&mut self.sorter, left.min(WAIT_MAX))?,
                _ => return Ok(SourceEvent::Idle),
            }
            if left.is_zero() {
                return self.sorter.next_event().unwrap_or(Ok(SourceEvent::Idle));
            }
        }
    }
}

impl Reader {
    fn new(client: &Client, batch_records_max: usize) -> Self {
        Self {
            inbox: Inbox::new(Arc::clone(&client.consumer), batch_records_max.min(MESSAGES_MAX)),
            range_indices: Vec::new(),
            client: client.clone(),
            progress_at: Instant::now(),
        }
    }

    /// Takes what has arrived, waiting at most `wait` for the first message, and passes it to the sorter.
    fn receive(&mut self, sorter: &mut Sorter, wait: Duration) -> Result<(), TransportError> {
        connection::serve(self.inbox.client());
        let mut arrived = false;
        for message in self.inbox.take(wait) {
            arrived = true;
            if let Some(index) = message.index() {
                sorter.sort(self.range_indices[index], &message);
            }
        }
        sorter.cut();
        for (range_index, halted) in sorter.take_halted() {
            self.look_into(sorter, range_index, &halted)?;
        }
        for ended in sorter.take_ended() {
            self.stop(ended);
        }
        match arrived {
            true => self.progress_at = Instant::now(),
            false => self.check_failure(sorter.awaits_end())?,
        }
        Ok(())
    }

    /// Finds out why a range does not continue, and restarts it if possible.
    fn look_into(&mut self, sorter: &mut Sorter, range_index: usize, halted: &Halted) -> Result<(), TransportError> {
        let resume = match inquire(&self.client.properties, halted)? {
            Some(lost) => sorter.lose(range_index, lost),
            // The records exist and will still be fetched.
            None if halted.halt == Halt::Short => return Ok(()),
            None => {
                thread::sleep(RESTART_PAUSE);
                Some(halted.next)
            }
        };
        let index = self.range_indices.iter().position(|at| *at == range_index);
        if let (Some(offset), Some(index)) = (resume, index) {
            let restarted = self.inbox.restart(index, offset);
            restarted.map_err(|code| errors::failed(&format!("{} could not be read", halted.partition), code))?;
        }
        Ok(())
    }

    /// Stops fetching a range that has ended.
    fn stop(&mut self, range_index: usize) {
        if let Some(index) = self.range_indices.iter().position(|at| *at == range_index) {
            self.inbox.stop(index);
        }
    }

    /// The failure that prevents reading, after some time without progress. An unbounded read waits for brokers as long
    /// as it takes.
    fn check_failure(&self, awaits_end: bool) -> Result<(), TransportError> {
        let Some(failure) = self.client.watch.failure().filter(|failure| failure.at > self.progress_at) else {
            return Ok(());
        };
        let waited = self.progress_at.elapsed();
        match errors::kind_of(failure.code) {
            TransportErrorKind::UnknownTopic if waited >= GONE_MAX => {
                Err(errors::failed_with_reason("the topic can no longer be read", failure.code, &failure.reason))
            }
            _ if awaits_end && waited >= OUTAGE_MAX => {
                let mut error =
                    errors::connection_failed(self.client.properties.bootstrap(), failure.code, &failure.reason);
                error
                    .message
                    .push_str(&format!("; gave up reading after {} s without a connection", OUTAGE_MAX.as_secs()));
                Err(error)
            }
            _ => Ok(()),
        }
    }
}
