//! Finds the records that a topic refuses among many, by writing them in transactions that are always given up.
//!
//! A transaction ends with the first record that is refused, and whoever reads the input again to write all but that one is
//! soon busy with nothing else. Here a refusal costs one small transaction, and half of the records are looked at next.

use std::ops::Range;
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::transport::{Sink, SinkOptions, Transport, TransportError, TransportErrorKind};
use headwater_formats::record::OutBatch;

/// How long one search may take. The transaction of the query is open meanwhile, and the cluster ends it after 20 s.
const SEARCH_MAX: Duration = Duration::from_secs(8);
/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rows that are refused, in order, and why.
    pub(super) refused: Vec<(usize, TransportError)>,
    /// All rows below this one were looked at.
    pub(super) to: usize,
}

/// A writer beside that of the query, under a transactional id of its own.
pub(super) struct Probe {
    sink: Box<dyn Sink>,
    /// Bytes that records may have together whatever they are compressed to.
    batch_bytes_max: Option<usize>,
}

impl Probe {
    /// A probe beside a writer with these options. Fails as opening a sink does; `None` where there are no transactions.
    pub(super) fn beside(transport: &dyn Transport, options: &SinkOptions) -> Result<Option<Self>, TransportError> {
        let Some(id) = &options.transactional_id else { return Ok(None) };
        let options = SinkOptions { transactional_id: Some(format!("{id}_probe")), ..options.clone() };
        let batch_bytes_max = options.batch_bytes_max;
        transport.open_sink(options).map(|sink| Some(Self { sink, batch_bytes_max }))
    }

    /// Looks for refused records in some rows, as far as the time goes. Fails where something else goes wrong.
    pub(super) fn search(&mut self, batch: &OutBatch, rows: Range<usize>) -> Result<Found, TransportError> {
        let started = Instant::now();
        let mut found = Found { refused: Vec::new(), to: rows.start };
        // The rows to look at, the first ones last.
        let mut left = self.parts(batch, rows);
        while let Some(rows) = left.pop().filter(|_| started.elapsed() < SEARCH_MAX) {
            match self.attempt(&batch.slice(rows.start, rows.len()))? {
                None => found.to = rows.end,
                Some(error) if rows.len() == 1 => {
                    found.refused.push((rows.start, error));
                    found.to = rows.end;
                }
                Some(_) => {
                    let middle = rows.start + rows.len() / 2;
                    left.extend([middle..rows.end, rows.start..middle]);
                }
            }
        }
        Ok(found)
    }

    /// The rows in parts, the first ones last: those that are too large for a batch each by itself, since they are what is
    /// refused mostly, and a refusal costs more than ten attempts that go well.
    fn parts(&self, batch: &OutBatch, rows: Range<usize>) -> Vec<Range<usize>> {
        let length = |column: &BinaryArray, row: usize| usize::try_from(column.value_length(row)).unwrap_or(usize::MAX);
        let bytes = |row: usize| length(&batch.keys, row).saturating_add(length(&batch.values, row));
        let is_large = |row: &usize| self.batch_bytes_max.is_some_and(|most| bytes(*row) > most);
        let (mut parts, mut first) = (Vec::new(), rows.start);
        for large in rows.clone().filter(is_large) {
            parts.extend([first..large, large..large + 1]);
            first = large + 1;
        }
        parts.push(first..rows.end);
        parts.reverse();
        parts
    }

    /// Writes records and takes them back. Why one of them is refused, if one is.
    fn attempt(&mut self, batch: &OutBatch) -> Result<Option<TransportError>, TransportError> {
        if batch.is_empty() {
            return Ok(None);
        }
        self.sink.begin()?;
        let written = self.sink.write(batch).and_then(|()| self.sink.flush(ATTEMPT_MAX));
        let taken_back = self.sink.abort(ATTEMPT_MAX);
        match written {
            Ok(()) => taken_back.map(|()| None),
            Err(error) if error.kind == TransportErrorKind::Refused => taken_back.map(|()| Some(error)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_connectors::transport::{Isolation, NewTopic, ReadPlan, ReadRange, SourceEvent, TopicIds};
    use headwater_formats::record::{TopicPartition, Wanted};

    use super::*;

    fn cluster() -> MemoryTransport {
        let cluster = MemoryTransport::new();
        let topic = NewTopic { name: "t".to_owned(), partitions: 1, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&topic).expect("a new topic");
        cluster.refuse("t", b"bad").expect("it is there");
        cluster
    }

    fn batch(values: impl Iterator<Item = &'static str>) -> OutBatch {
        let values: Vec<Option<&[u8]>> = values.map(|value| Some(value.as_bytes())).collect();
        OutBatch {
            topic: "t".into(),
            partitions: Some(vec![0; values.len()].into()),
            keys: vec![None::<&[u8]>; values.len()].into(),
            values: values.into(),
            timestamps_ms: None,
            headers: None,
        }
    }

    #[test]
    fn every_refused_record_is_found_and_none_is_written() {
        let cluster = cluster();
        let options = SinkOptions { transactional_id: Some("q".to_owned()), ..SinkOptions::default() };
        let mut probe = Probe::beside(&cluster, &options).expect("opens").expect("has transactions");
        let is_bad = |row: usize| [0, 7, 8, 500, 999].contains(&row);
        let batch = batch((0..1_000).map(|row| if is_bad(row) { "bad" } else { "good" }));
        for rows in [0..1_000, 7..9, 1..7, 3..3] {
            let found = probe.search(&batch, rows.clone()).expect("no other error");
            let refused: Vec<usize> = found.refused.iter().map(|(row, _)| *row).collect();
            assert_eq!(refused, rows.clone().filter(|row| is_bad(*row)).collect::<Vec<_>>());
            assert_eq!(found.to, rows.end);
        }
        let range = ReadRange { partition: TopicPartition::new("t", 0), start: 0, end: None };
        let plan = ReadPlan {
            ranges: vec![range],
            wanted: Wanted::ALL,
            isolation: Isolation::ReadCommitted,
            batch_records_max: 10,
            ids: TopicIds::new(),
        };
        let mut source = cluster.open_sources(vec![plan]).expect("opens").remove(0);
        let only_markers = |event| matches!(event, SourceEvent::Passed(..) | SourceEvent::Idle);
        assert!((0..10).all(|_| only_markers(source.poll(Duration::ZERO).expect("no error"))));
    }

    #[test]
    fn what_is_too_large_for_a_batch_is_looked_at_alone() {
        let options =
            SinkOptions { transactional_id: Some("q".to_owned()), batch_bytes_max: Some(4), ..SinkOptions::default() };
        let probe = Probe::beside(&cluster(), &options).expect("opens").expect("has transactions");
        let batch = batch(["large", "a", "b", "longer", "larger", "c"].into_iter());
        let parts =
            |rows| probe.parts(&batch, rows).into_iter().rev().filter(|rows| !rows.is_empty()).collect::<Vec<_>>();
        assert_eq!(parts(0..6), [0..1, 1..3, 3..4, 4..5, 5..6]);
        assert_eq!(parts(1..4), [1..3, 3..4]);
        assert!(parts(2..2).is_empty());
    }

    #[test]
    fn there_is_none_without_transactions() {
        assert!(Probe::beside(&cluster(), &SinkOptions::default()).expect("no error").is_none());
    }
}
