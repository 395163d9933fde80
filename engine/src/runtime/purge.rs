//! Deletes the records of exchanges that were read and committed: nobody reads them again, and an exchange has no retention time.
//!
//! Once in a while a thread asks the cluster to delete them, so that the query never waits for it. It is not repeated if it fails:
//! the next one deletes more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_connectors::transport::{Position, Transport, TransportError, TransportErrorKind};
use headwater_formats::record::TopicPartition;

/// How often records are deleted, in ms. The cluster frees whole segments, so doing it more often would not help.
const EVERY_MS: i64 = 30_000;

/// The records of a query's exchanges that are no longer needed.
#[derive(Debug, Default)]
pub(super) struct Purge {
    /// The committed offset of each partition that has advanced since records were deleted.
    before: BTreeMap<TopicPartition, i64>,
    /// When records were last deleted, in ms; `None` before the first commit.
    purged_at_ms: Option<i64>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// A thread is at it.
    is_busy: AtomicBool,
    /// The right to do it is missing.
    is_denied: AtomicBool,
}

impl Purge {
    /// Records a commit of these positions.
    pub(super) fn committed(
        &mut self,
        positions: &BTreeMap<TopicPartition, Position>,
        is_exchange: impl Fn(&str) -> bool,
        now_ms: i64,
    ) {
        let of_exchange = positions.iter().filter(|(partition, _)| is_exchange(&partition.topic));
        self.before.extend(of_exchange.map(|(partition, position)| (partition.clone(), position.offset)));
        self.purged_at_ms.get_or_insert(now_ms);
    }

    /// Deletes what was committed, if it is time: in a thread of its own if `in_thread`, otherwise at once.
    pub(super) fn step(&mut self, query: &str, transport: &Arc<dyn Transport>, now_ms: i64, in_thread: bool) {
        let is_due = self.purged_at_ms.is_some_and(|at_ms| now_ms - at_ms >= EVERY_MS);
        let Progress { is_busy, is_denied } = &*self.progress;
        if !is_due || self.before.is_empty() || is_busy.load(Ordering::Relaxed) || is_denied.load(Ordering::Relaxed) {
            return;
        }
        self.purged_at_ms = Some(now_ms);
        let before = std::mem::take(&mut self.before);
        let (query, progress, transport) = (query.to_owned(), self.progress.clone(), transport.clone());
        let delete = move || progress.note(&query, transport.admin().delete_records(&before));
        if !in_thread {
            return delete();
        }
        is_busy.store(true, Ordering::Relaxed);
        if let Err(error) = std::thread::Builder::new().name("purge".to_owned()).spawn(delete) {
            self.progress.is_busy.store(false, Ordering::Relaxed);
            tracing::debug!(%error, "could not start a thread that deletes records of exchanges");
        }
    }
}

impl Progress {
    fn note(&self, query_id: &str, deleted: Result<(), TransportError>) {
        match deleted {
            Ok(()) => {}
            Err(error) if error.kind == TransportErrorKind::Authorization => {
                self.is_denied.store(true, Ordering::Relaxed);
                let hint = "grant Delete on the query's topics";
                tracing::warn!(query_id, %error, hint, "records of exchanges stay, although they were read");
            }
            Err(error) => tracing::debug!(query_id, %error, "could not delete records of exchanges"),
        }
        self.is_busy.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_connectors::transport::{Isolation, Transport as _};

    use super::super::for_tests::Process;
    use super::*;

    /// Goal: records of an exchange are deleted once they were read and committed, and no others; nothing is counted twice or lost
    /// when the query is started again. Method: two processes, whose rows pass through the topic of the exchange.
    #[tokio::test]
    async fn what_was_read_of_an_exchange_is_deleted() {
        let mut one = Process::with(&["CREATE TABLE t AS SELECT a, COUNT(*) AS n FROM s GROUP BY a;"]).await;
        let two = Process::new(&one.cluster.clone(), "b");
        let (mut here, mut there) = (one.driver().await, two.driver().await);
        one.drive(&mut [&mut here, &mut there]);
        for round in 1..=3 {
            for a in 0..8 {
                one.ask(&format!("INSERT INTO s VALUES ('{a}', {a}, 0);")).await;
            }
            one.drive(&mut [&mut here, &mut there]);
            assert!(starts(&one.cluster).iter().sum::<i64>() < 30 * round, "only what was read is deleted");
            one.now_ms += EVERY_MS;
            one.drive(&mut [&mut here, &mut there]);
            let (starts, ends) = (starts(&one.cluster), ends(&one.cluster));
            // The last offset has the marker of the transaction.
            assert!(starts.iter().zip(&ends).all(|(start, end)| end - start <= 1), "{starts:?} {ends:?}");
            assert!(starts.iter().sum::<i64>() >= 8 * round, "{starts:?}");
            one.cluster.expire_members();
            (here, there) = (one.driver().await, two.driver().await);
            one.drive(&mut [&mut here, &mut there]);
            let rows: Vec<String> = (0..8).map(|a| format!("{a} {round}")).collect();
            assert_eq!(one.rows("SELECT * FROM t;").await, rows);
        }
    }

    fn marks(cluster: &MemoryTransport) -> Vec<headwater_connectors::transport::Watermarks> {
        let topics = cluster.admin().topics().expect("topics");
        let exchange = topics.iter().find(|topic| topic.name.ends_with("-exchange-1")).expect("an exchange");
        cluster.admin().watermarks(&exchange.name, Isolation::ReadUncommitted).expect("a topic")
    }

    fn starts(cluster: &MemoryTransport) -> Vec<i64> {
        marks(cluster).iter().map(|marks| marks.start).collect()
    }

    fn ends(cluster: &MemoryTransport) -> Vec<i64> {
        marks(cluster).iter().map(|marks| marks.end).collect()
    }

    /// Lets no records be deleted.
    struct Refusing;

    impl Plan for Refusing {
        fn fault(&self, call: Call) -> Option<Fault> {
            (call == Call::DeleteRecords).then_some(Fault::Refused)
        }

        fn cut(&self, records: usize) -> usize {
            records
        }
    }

    #[test]
    fn it_is_tried_again_with_the_next_commit() {
        let transport: Arc<dyn Transport> =
            Arc::new(FaultyTransport::new(Arc::new(MemoryTransport::new()), Arc::new(Refusing)));
        let (mut purge, exchange) = (Purge::default(), TopicPartition::new("exchange", 0));
        let is_exchange = |topic: &str| *topic == *exchange.topic;
        let positions =
            |offset: i64| BTreeMap::from([(exchange.clone(), offset.into()), (TopicPartition::new("s", 0), 9.into())]);
        purge.committed(&positions(5), is_exchange, 0);
        purge.step("q", &transport, EVERY_MS - 1, false);
        assert_eq!(purge.before, BTreeMap::from([(exchange.clone(), 5)]), "not of the source, and not yet");
        purge.step("q", &transport, EVERY_MS, false);
        assert!(purge.before.is_empty());
        purge.committed(&positions(7), is_exchange, EVERY_MS);
        purge.step("q", &transport, EVERY_MS + 1, false);
        assert_eq!(purge.before[&exchange], 7, "not before the next time");
        purge.step("q", &transport, 2 * EVERY_MS, false);
        assert!(purge.before.is_empty());
    }
}
