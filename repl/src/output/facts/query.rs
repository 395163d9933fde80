//! EXPLAIN of a persistent query, and the parts of it that other statements also show.

use headwater_engine::answer::{
    Condition, FaultCause, Lag, OpenTransaction, PartitionLag, ProcessFailure, QueryDescription, QueryFailure,
    QueryState, QueryStatistics, RecordFaults, RestoreProgress, StateFacts, StoreFacts, StreamTime,
};

use super::time::{to_the_millisecond, to_the_second};
use crate::output::section::Section;

/// Its properties, its topology, its failures and its statistics.
pub(super) fn sections(described: &QueryDescription) -> Vec<Section> {
    let QueryDescription { query, state: is, group, failures: failing, statistics: did } = described;
    let mut facts = vec![
        ("ID", query.id.clone()),
        ("Status", state(*is)),
        ("Source", query.sources().collect::<Vec<_>>().join(", ")),
        ("Sink", query.sink().to_owned()),
        ("Consumer group", group.clone()),
    ];
    facts.extend(query.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
    facts.extend(query.dlq_topic.iter().map(|topic| ("Dead-letter topic", topic.clone())));
    facts.push(("Statement", query.statement.clone()));
    let mut sections = vec![
        Section::pairs(["Property", "Value"], facts).titled(format!("Query : {}", query.id)),
        Section::text(query.topology.to_string()).titled("Topology"),
    ];
    sections.extend(failures(&query.id, failing));
    sections.extend(did.as_ref().map(statistics));
    sections.extend(did.iter().flat_map(|did| state_of(&did.state)));
    sections
}

/// The state of a query, how far its restore is, and how many offsets it lost.
pub(super) fn state(QueryState { condition: is, lost, restore }: QueryState) -> String {
    let restored = restore.filter(|_| is == Condition::Restoring).map(restored);
    let notes: Vec<String> = restored.into_iter().chain((lost > 0).then(|| format!("{lost} offsets lost"))).collect();
    let word = condition(is);
    if notes.is_empty() { word.to_owned() } else { format!("{word} ({})", notes.join("; ")) }
}

/// How far a restore is.
fn restored(RestoreProgress { done, total, per_second, left_s }: RestoreProgress) -> String {
    let left = left_s.map(|seconds| format!(", {per_second} per second, {seconds} s left"));
    format!("{done} of {total} records{}", left.unwrap_or_default())
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Running => "RUNNING",
        Condition::Restoring => "RESTORING",
        Condition::RunningElsewhere => "RUNNING ELSEWHERE",
        Condition::NotRunning => "NOT RUNNING",
        Condition::Paused => "PAUSED",
        Condition::Error => "ERROR",
        Condition::Ended => "ENDED",
    }
}

/// Why a query fails, by process; `None` if it does not.
pub(super) fn failures(query: &str, failing: &[ProcessFailure]) -> Option<Section> {
    let row = |failure: &ProcessFailure| {
        let next = match failure.next_try_ms {
            Some(at_ms) => to_the_millisecond(at_ms).unwrap_or_default(),
            None => "none; stopped until RESUME or a change".to_owned(),
        };
        vec![failure.process.clone(), failure.reason.clone(), failure.attempts.to_string(), next]
    };
    let columns = ["Process", "Reason", "Attempts", "Next Try"];
    let section = || Section::table(&columns, failing.iter().map(row)).titled(format!("Failure of {query}"));
    (!failing.is_empty()).then(section)
}

/// What a query did in this process.
pub(super) fn statistics(did: &QueryStatistics) -> Section {
    let partitions: Vec<String> = did.partitions.iter().map(ToString::to_string).collect();
    let last_message = did.last_message_ms.and_then(to_the_millisecond);
    let mut rows = vec![
        ("Status", state(QueryState { condition: did.condition, lost: 0, restore: did.restore })),
        ("Partitions here", partitions.join(", ")),
        ("Records read", did.records_read.to_string()),
        ("Bytes read", did.bytes_read.to_string()),
        ("Records written", did.records_written.to_string()),
        ("Records per second", format!("{:.1}", did.records_per_second)),
        ("Bad records", did.bad_records.to_string()),
        ("Not in the processing log", did.unlogged.to_string()),
        ("Offsets lost", did.lost.to_string()),
        ("Commits", did.commits.to_string()),
        ("Last message", last_message.unwrap_or_else(|| "none".to_owned())),
    ];
    rows.extend(did.faults.iter().map(|of| (cause(of.cause), skipped(of))));
    rows.extend(did.state.pending.map(|pending| ("Results pending", pending.to_string())));
    rows.extend(did.failure.as_ref().map(|failure| ("Failure", failed(failure))));
    rows.extend(did.errors.iter().map(|error| ("Error", error.clone())));
    Section::pairs(["Counter", "Value"], rows).titled("Runtime statistics of this process")
}

fn cause(cause: FaultCause) -> &'static str {
    match cause {
        FaultCause::Late => "Late records",
        FaultCause::Keyless => "Records without a key",
        FaultCause::Undecoded => "Records not decoded",
        FaultCause::Failed => "Failed expressions",
        FaultCause::Unwritten => "Records not written",
    }
}

/// How often it happened, and where first.
fn skipped(RecordFaults { count, first: (topic, partition, offset), .. }: &RecordFaults) -> String {
    format!("{count}, first at {topic}[{partition}] offset {offset}")
}

/// The stores of a query in this process, and its stream times; none if it keeps no state.
pub(super) fn state_of(StateFacts { stores, stream_times, .. }: &StateFacts) -> Vec<Section> {
    let store = |store: &StoreFacts| vec![store.changelog.clone(), store.keys.to_string(), store.bytes.to_string()];
    let time = |time: &StreamTime| {
        vec![
            format!("{}[{}]", time.topic, time.partition),
            to_the_millisecond(time.time_ms).unwrap_or_default(),
            time.offset.map(|offset| offset.to_string()).unwrap_or_default(),
        ]
    };
    let mut sections = Vec::new();
    if !stores.is_empty() {
        let columns = ["Changelog", "Keys", "Bytes"];
        sections.push(Section::table(&columns, stores.iter().map(store)).titled("State in this process"));
    }
    if !stream_times.is_empty() {
        let columns = ["Partition", "Stream Time", "Set By Offset"];
        sections.push(Section::table(&columns, stream_times.iter().map(time)).titled("Stream times in this process"));
    }
    sections
}

fn failed(QueryFailure { error, attempts, next_try_ms }: &QueryFailure) -> String {
    match next_try_ms {
        Some(at_ms) => {
            let at = to_the_millisecond(*at_ms).unwrap_or_default();
            format!("{error}; attempt {attempts}, retrying at {at}")
        }
        None => format!("{error}; stopped until RESUME or a change"),
    }
}

/// How far a query is behind. Stream times are shown if it has any.
pub(super) fn lag(Lag { group, topic, partitions }: &Lag) -> Section {
    let has_time = partitions.iter().any(|partition| partition.stream_time_ms.is_some());
    let rows = partitions.iter().map(|partition| cells(partition, has_time));
    let mut columns = vec!["Partition", "Start Offset", "End Offset", "Committed", "Lag", "Lost"];
    columns.extend(["Stream Time", "Set By Offset"].iter().filter(|_| has_time));
    columns.push("Open Transaction");
    Section::table(&columns, rows).titled(format!("Consumer group {group} on {topic}"))
}

fn cells(partition: &PartitionLag, has_time: bool) -> Vec<String> {
    let mut cells = vec![
        partition.partition.to_string(),
        partition.start.to_string(),
        partition.end.to_string(),
        partition.committed.map_or("none".to_owned(), |offset| offset.to_string()),
        partition.lag.to_string(),
        partition.lost.to_string(),
    ];
    let time = || partition.stream_time_ms.and_then(to_the_millisecond).unwrap_or_else(|| "none".to_owned());
    let set_by = || partition.stream_time_offset.map(|offset| offset.to_string()).unwrap_or_default();
    if has_time {
        cells.extend([time(), set_by()]);
    }
    cells.push(partition.open_transaction.map(held_back).unwrap_or_default());
    cells
}

/// How many offsets an open transaction holds back, and since when.
fn held_back(OpenTransaction { start, offsets, since_ms }: OpenTransaction) -> String {
    let since = since_ms.and_then(to_the_second).map(|time| format!(" since {time}"));
    format!("holds back {offsets} offsets from {start}{}", since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_transaction_is_shown_with_its_offsets() {
        let open = OpenTransaction { start: 0, offsets: 2, since_ms: Some(60_000) };
        assert_eq!(held_back(open), "holds back 2 offsets from 0 since 1970-01-01T00:01:00Z");
        assert_eq!(held_back(OpenTransaction { since_ms: None, ..open }), "holds back 2 offsets from 0");
    }

    #[test]
    fn a_state_includes_lost_offsets() {
        let is = |condition, lost| QueryState { condition, lost, restore: None };
        assert_eq!(state(is(Condition::NotRunning, 0)), "NOT RUNNING");
        assert_eq!(state(is(Condition::Running, 60)), "RUNNING (60 offsets lost)");
    }

    #[test]
    fn a_state_includes_how_far_a_restore_is() {
        let is = |restore| QueryState { condition: Condition::Restoring, lost: 0, restore: Some(restore) };
        let begun = RestoreProgress { done: 0, total: 9_000, per_second: 0, left_s: None };
        assert_eq!(state(is(begun)), "RESTORING (0 of 9000 records)");
        let later = RestoreProgress { done: 3_000, per_second: 1_500, left_s: Some(4), ..begun };
        assert_eq!(state(is(later)), "RESTORING (3000 of 9000 records, 1500 per second, 4 s left)");
    }
}
