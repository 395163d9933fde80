//! Everything that happened in a simulation, to compare it with another run of its seed and to count faults.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{Array as _, BinaryArray};
use headwater_connectors::transport::faults::{Call, Fault};
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Isolation, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport as _};
use headwater_formats::record::{TopicPartition, Wanted};

use super::chaos::{Noted, Notes};

/// What happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Each call and each cut of a batch, in order.
    pub notes: Vec<Noted>,
    /// Each record of each topic at the end, whether its transaction was committed or not.
    pub records: Vec<String>,
}

impl Trace {
    /// The events, and the current records of a cluster.
    pub(super) fn of(notes: &Notes, cluster: &MemoryTransport) -> Self {
        Self { notes: notes.all(), records: records(cluster) }
    }

    /// How often each call failed in each way; contains every combination.
    pub fn faults(&self) -> BTreeMap<(Call, Fault), u64> {
        let none = Call::ALL.iter().flat_map(|call| Fault::ALL.map(|fault| ((*call, fault), 0)));
        let mut counts: BTreeMap<_, _> = none.collect();
        for noted in &self.notes {
            if let Noted::Call { call, fault: Some(fault), .. } = noted {
                *counts.entry((*call, *fault)).or_default() += 1;
            }
        }
        counts
    }

    /// The first difference of two traces, as text; `None` if they are the same.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let notes = parting(&self.notes, &other.notes).map(|at| ("call", at));
        notes
            .or_else(|| parting(&self.records, &other.records).map(|at| ("record", at)))
            .map(|(what, (at, one, two))| format!("{what} {at} is {one} and {two}"))
    }
}

/// The first index at which two lists differ, and the two elements.
fn parting<T: PartialEq + std::fmt::Debug>(one: &[T], two: &[T]) -> Option<(usize, String, String)> {
    let at = (0..one.len().max(two.len())).find(|at| one.get(*at) != two.get(*at))?;
    Some((at, format!("{:?}", one.get(at)), format!("{:?}", two.get(at))))
}

/// All records of a cluster. The records of the command topic are only counted: each command has an id that is random
/// in each run.
fn records(cluster: &MemoryTransport) -> Vec<String> {
    let topics = cluster.admin().topics().expect("a cluster without faults");
    let of_topic = |name: &str, partition| {
        let mut records = records_of(cluster, &TopicPartition::new(name, partition));
        if name.ends_with("command_topic") {
            records.iter_mut().for_each(|record| *record = record.split(' ').next().unwrap_or_default().to_owned());
        }
        records
    };
    topics.iter().flat_map(|topic| (0..topic.partitions).flat_map(|p| of_topic(&topic.name, p))).collect()
}

fn records_of(cluster: &MemoryTransport, partition: &TopicPartition) -> Vec<String> {
    let isolation = Isolation::ReadUncommitted;
    let marks = cluster.admin().watermarks(&partition.topic, isolation).expect("a topic that is there");
    let end = marks[usize::try_from(partition.partition).expect("a partition's number")].end;
    let ranges = vec![ReadRange { partition: partition.clone(), start: 0, end: Some(end) }];
    let plan = ReadPlan { ranges, wanted: Wanted::ALL, isolation, batch_records_max: 1_000, ids: TopicIds::new() };
    let mut source = cluster.open_sources(vec![plan]).expect("a source").remove(0);
    let mut records = Vec::new();
    loop {
        match source.poll(Duration::ZERO).expect("a cluster without faults") {
            SourceEvent::Batch(batch) => records.extend((0..batch.len()).map(|row| {
                let text = |column: &Option<BinaryArray>| match column {
                    Some(column) if column.is_valid(row) => String::from_utf8_lossy(column.value(row)).into_owned(),
                    _ => "null".to_owned(),
                };
                let (offset, time) = (batch.offsets[row], batch.timestamps_ms[row]);
                let topic = without_unique(&partition.topic);
                let partition = partition.partition;
                format!("{topic}[{partition}]@{offset} {time} {} {}", text(&batch.keys), text(&batch.values))
            })),
            SourceEvent::Lost(_) | SourceEvent::Passed(..) => {}
            SourceEvent::Finished(_) | SourceEvent::Idle => return records,
        }
    }
}

/// The name of a topic, without the part that makes the topics of a query unique: it is random in each run.
fn without_unique(topic: &str) -> String {
    let is_unique = |part: &str| part.len() == 8 && part.chars().all(|c| c.is_ascii_hexdigit());
    let parts = topic.split('_').map(|part| match part.split_once('-') {
        Some((unique, rest)) if is_unique(unique) => rest,
        _ => part,
    });
    parts.collect::<Vec<_>>().join("_")
}
