//! Finds the records that a topic refuses by writing them in transactions that are always aborted.
//!
//! A refused record ends the whole transaction, and reading the input again for each of them would soon take all the
//! time. Here a refusal costs one small transaction, after which each half of its records is tried.

use std::ops::Range;
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::transport::{Sink, SinkOptions, Transport, TransportError, TransportErrorKind};
use headwater_formats::record::OutBatch;

/// How long one search may take. The query's transaction stays open meanwhile, and the cluster aborts it after 20 s.
const SEARCH_MAX: Duration = Duration::from_secs(8);
/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// The result of a search.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The refused rows in order, each with the reason.
    pub(super) refused: Vec<(usize, TransportError)>,
    /// All rows below this one were tried.
    pub(super) to: usize,
}

/// A second writer beside that of the query, with its own transactional id.
pub(super) struct Probe {
    sink: Box<dyn Sink>,
    /// Most bytes of a batch before compression.
    batch_bytes_max: Option<usize>,
}

impl Probe {
    /// A probe beside a writer with these options; `None` without transactions. Fails like opening a sink.
    pub(super) fn beside(transport: &dyn Transport, options: &SinkOptions) -> Result<Option<Self>, TransportError> {
        let Some(id) = &options.transactional_id else { return Ok(None) };
        let options = SinkOptions { transactional_id: Some(format!("{id}_probe")), ..options.clone() };
        let batch_bytes_max = options.batch_bytes_max;
        transport.open_sink(options).map(|sink| Some(Self { sink, batch_bytes_max }))
    }

    /// Searches some rows for refused records until the time is up. Fails on any other error.
    pub(super) fn search(&mut self, batch: &OutBatch, rows: Range<usize>) -> Result<Found, TransportError> {
        let started = Instant::now();
        let mut found = Found { refused: Vec::new(), to: rows.start };
        // The rows that are left to try, in reverse order.
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

    /// The rows in parts, in reverse order. Each row too large for a batch is a part of its own, because such rows are the
    /// ones most often refused, and a refusal costs more than ten successful attempts.
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

    /// Writes records and aborts. Returns why one of them is refused, if one is.
    fn attempt(&mut self, batch: &OutBatch) -> Result<Option<TransportError>, TransportError> {
        if batch.is_empty() {
            return Ok(None);
        }
        self.sink.begin()?;
        let written = self.sink.write(batch).and_then(|()| self.sink.flush(ATTEMPT_MAX));
        let aborted = self.sink.abort(ATTEMPT_MAX);
        match written {
            Ok(()) => aborted.map(|()| None),
            Err(error) if error.kind == TransportErrorKind::Refused => aborted.map(|()| Some(error)),
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
