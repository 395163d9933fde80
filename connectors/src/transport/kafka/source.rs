//! Reading: the partitions of one plan deliver into one queue, from which batches are taken as soon
//! as there is something. All sources that are opened together share one client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use super::connection;
use super::consume::Inbox;
use super::context::{Context, Watch};
use super::errors;
use super::properties::{Properties, Role};
use super::sorter::{Sorter, is_empty};
use crate::record::TopicPartition;
use crate::transport::{ReadPlan, Source, SourceEvent, TransportError};

/// How long a bounded read may see nothing while its brokers cannot be reached, before it fails. Below this, lost
/// connections are retried without a word.
const OUTAGE_MAX: Duration = Duration::from_secs(30);

/// Longest single wait, so that callbacks are served meanwhile.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Most messages taken at once: enough for the largest batches, and a limit on the array of pointers.
const MESSAGES_MAX: usize = 65_536;

/// Opens one source for each plan, all on one client. When every range is empty no client is made.
pub(super) fn open(properties: &Properties, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
    let client = open_client(properties, &plans)?;
    let open_one = |plan| KafkaSource::open(client.as_ref(), &plan).map(|source| Box::new(source) as Box<dyn Source>);
    plans.into_iter().map(open_one).collect()
}

/// What the sources of one call share.
struct Client {
    consumer: Arc<BaseConsumer<Context>>,
    watch: Arc<Watch>,
    bootstrap: Arc<str>,
}

fn open_client(properties: &Properties, plans: &[ReadPlan]) -> Result<Option<Client>, TransportError> {
    let is_busy = |plan: &&ReadPlan| plan.ranges.iter().any(|range| !is_empty(range));
    let busy: Vec<_> = plans.iter().filter(is_busy).collect();
    let Some(first) = busy.first() else { return Ok(None) };
    if busy.iter().any(|plan| plan.isolation != first.isolation) {
        return Err(errors::refused("sources that are opened together must have one isolation level"));
    }
    let bounded = busy.iter().flat_map(|plan| &plan.ranges).any(|range| range.end.is_some());
    let role = Role::Source { isolation: first.isolation, bounded, sources: busy.len() };
    let (consumer, watch) = connection::open(properties, &role)?;
    Ok(Some(Client { consumer: Arc::new(consumer), watch, bootstrap: properties.bootstrap().into() }))
}

/// A reader of the ranges of one plan.
struct KafkaSource {
    sorter: Sorter,
    reader: Option<Reader>,
}

/// The queue that the ranges which are not empty deliver into.
struct Reader {
    inbox: Inbox,
    /// For each partition started, its place in the plan.
    places: Vec<usize>,
    watch: Arc<Watch>,
    bootstrap: Arc<str>,
    progress_at: Instant,
}

impl KafkaSource {
    fn open(client: Option<&Client>, plan: &ReadPlan) -> Result<Self, TransportError> {
        let busy = plan.ranges.iter().enumerate().filter(|(_, range)| !is_empty(range));
        let mut reader = client.map(|client| Reader::new(client, plan.batch_records_max));
        for (place, range) in busy {
            let reader = reader.as_mut().expect("a client is made when a range is not empty");
            let TopicPartition { topic, partition } = &range.partition;
            let started = reader.inbox.start(topic, *partition, range.start);
            started.map_err(|code| errors::failed(&format!("{} could not be read", range.partition), code))?;
            reader.places.push(place);
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
            places: Vec::new(),
            watch: Arc::clone(&client.watch),
            bootstrap: Arc::clone(&client.bootstrap),
            progress_at: Instant::now(),
        }
    }

    /// Takes what has arrived, waiting at most `wait` for the first of it, and hands it to the sorter.
    fn receive(&mut self, sorter: &mut Sorter, wait: Duration) -> Result<(), TransportError> {
        connection::serve(self.inbox.client());
        let mut arrived = false;
        for message in self.inbox.take(wait) {
            arrived = true;
            if let Some(index) = message.index() {
                sorter.sort(self.places[index], &message);
            }
        }
        sorter.cut();
        for ended in sorter.take_ended() {
            self.stop(ended);
        }
        match arrived {
            true => self.progress_at = Instant::now(),
            false if sorter.awaits_end() => self.check_outage()?,
            false => {}
        }
        Ok(())
    }

    /// Nothing more is fetched of a range that ended.
    fn stop(&mut self, place: usize) {
        if let Some(index) = self.places.iter().position(|at| *at == place) {
            self.inbox.stop(index);
        }
    }

    /// The failure that keeps a bounded read from going on, after a while without any progress.
    fn check_outage(&self) -> Result<(), TransportError> {
        let failed = self.watch.failure().filter(|failure| failure.at > self.progress_at);
        match failed {
            Some(failure) if self.progress_at.elapsed() >= OUTAGE_MAX => {
                Err(errors::connection_failed(&self.bootstrap, failure.code, &failure.reason))
            }
            _ => Ok(()),
        }
    }
}
