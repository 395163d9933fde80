//! What happens to the logs of topics by itself: records are forced to the disk, deleted when they expire, and compacted.
//!
//! Separate because no client asks for it. It is done now and then; errors are logged, and it is tried again.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::registry::{Topic, Topics};
use crate::log::{Compaction, Counts, Failed, Flush, Log, Outcome, Retention, remove_segments};
use crate::meta::Change;

impl Topics {
    /// Whether any topic wants its records to be forced to the disk at intervals.
    pub(crate) fn want_syncs(&self) -> bool {
        self.by_name.read().values().any(|topic| matches!(topic.rules.read().flush, Flush::Every(_)))
    }

    /// Forces to the disk what topics want there by now. Errors are logged: it is tried again.
    pub(crate) fn sync_due(&self, now_ms: i64) {
        for topic in self.all() {
            let Flush::Every(interval) = topic.rules.read().flush else { continue };
            let before_ms = now_ms.saturating_sub(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX));
            for (log, partition) in topic.logs().into_iter().zip(0..) {
                if let Err(error) = log.sync_older(before_ms) {
                    tracing::error!(topic = topic.name, partition, %error, "could not force a log to the disk");
                }
            }
        }
    }

    /// Deletes the records that topics no longer keep. Errors are logged: it is tried again.
    pub(crate) fn delete_expired(&self, now_ms: i64) {
        for topic in self.all() {
            let Some(retention) = topic.settings().retention() else { continue };
            for (log, partition) in topic.logs().into_iter().zip(0..) {
                if let Err(error) = self.delete_expired_of(&topic, partition, &log, &retention, now_ms) {
                    tracing::warn!(topic = topic.name, partition, %error, "could not delete expired records");
                }
            }
        }
    }

    fn delete_expired_of(
        &self,
        topic: &Topic,
        partition: i32,
        log: &Log,
        retention: &Retention,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let (kept_from, ends) = (log.kept_from(retention, now_ms), log.ends());
        if kept_from == ends.start {
            return Ok(());
        }
        if kept_from == ends.end {
            log.roll(&topic.rules.read())?;
        }
        self.delete_records(&topic.name, partition, kept_from)?;
        tracing::info!(topic = topic.name, partition, from = ends.start, to = kept_from, "deleted expired records");
        Ok(())
    }

    /// Writes the outlines of closed segments, so that they need not be read at the next start. Errors are logged: it is tried again.
    pub(crate) fn write_outlines(&self) {
        for topic in self.all() {
            for (log, partition) in topic.logs().into_iter().zip(0..) {
                if let Err(error) = log.write_outlines() {
                    tracing::warn!(topic = topic.name, partition, %error, "could not write the outline of a segment");
                }
            }
        }
    }

    /// Compacts the logs for which that is worth it.
    pub(crate) fn compact(&self, now_ms: i64) {
        for topic in self.all() {
            let Some(compaction) = topic.settings().compaction() else { continue };
            for (log, partition) in topic.logs().into_iter().zip(0..) {
                let _compacting = self.compacting.lock();
                self.compact_log(&topic, partition, &log, &compaction, now_ms);
            }
        }
    }

    fn compact_log(&self, topic: &Arc<Topic>, partition: i32, log: &Log, compaction: &Compaction, now_ms: i64) {
        let Some(plan) = log.plan_compaction(compaction, now_ms) else { return };
        let name = &topic.name;
        let compacted = plan.run(&|| log.is_closed()).and_then(|outcome| {
            let counts = outcome.counts;
            self.replace(topic, partition, log, outcome).map(|is_replaced| is_replaced.then_some(counts))
        });
        match compacted {
            Ok(Some(counts)) => report(name, partition, &counts),
            // Records were deleted meanwhile: the next time sees what is left.
            Ok(None) | Err(Failed::Stopped) => {}
            Err(Failed::Unsound(medium, error)) => {
                tracing::error!(topic = name, partition, %error, "could not read a segment to compact it; it stays as it is");
                log.keep_as_it_is(&medium);
            }
            Err(Failed::Io(error)) => log.could_not_compact(&error, now_ms),
        }
    }

    /// Has what was compacted take its place. Returns false if the log has changed too much meanwhile.
    fn replace(&self, topic: &Arc<Topic>, partition: i32, log: &Log, outcome: Outcome) -> Result<bool, Failed> {
        let (removed, synced) = {
            let _changing = self.changing.lock();
            let is_there = self.get(&topic.name).is_some_and(|current| Arc::ptr_eq(&current, topic));
            if !is_there || !log.can_be_replaced(&outcome) {
                outcome.discard();
                return Ok(false);
            }
            let (name, compacted) = (topic.name.clone(), outcome.compacted.clone());
            if let Err(error) = self.journal.write(Change::LogCompacted { name, partition, compacted }) {
                outcome.discard();
                return Err(Failed::Io(error));
            }
            (log.replace(outcome), self.journal.sync_after(0))
        };
        // After a power failure the journal may not know the new segments; then the old ones are the log.
        match synced {
            Ok(_) => remove_segments(&removed),
            Err(error) => {
                tracing::error!(topic = topic.name, partition, %error, "could not force the journal to the disk")
            }
        }
        Ok(true)
    }
}

fn report(topic: &str, partition: i32, counts: &Counts) {
    let Counts { records_before, records_after, bytes_before, bytes_after, keyless, unreadable } = *counts;
    tracing::info!(topic, partition, records_before, records_after, bytes_before, bytes_after, "compacted a log");
    if keyless > 0 {
        tracing::warn!(topic, partition, keyless, "compaction removed records without a key");
    }
    if unreadable > 0 {
        tracing::warn!(topic, partition, unreadable, "batches whose records cannot be read are not compacted");
    }
}
