//! Windows over a long history that is read at different speeds, by one process or by several: each window has all rows that are not
//! late by the stream time of their own partition.
//!
//! Method: the partitions span different times, of months, and rows are grouped by another column than the key, so that each window gets
//! rows of all partitions.

use std::collections::{BTreeMap, BTreeSet};

use super::for_tests::shared::{KEYS, PARTITIONS, Record, STREAMS, Shared, clocks, records, table, write};

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// A record of each partition, and then records with hours instead of the milliseconds of their times, each partition slower than the
/// one before it.
fn history(shared: &mut Shared) -> Vec<Record> {
    let hours = |record: Record| {
        let slower = 1 + i64::from(record.partition);
        Record { time_ms: record.time_ms * HOUR_MS / (40 * slower), ..record }
    };
    let first = |at| Record { key: at, number: at, partition: at as i32, time_ms: 0 };
    let others = records(&mut shared.chance, 400, 0).into_iter().map(hours);
    (0..PARTITIONS).map(first).chain(others).collect()
}

/// The count of each group and window, by texts.
fn counts(records: &[Record]) -> Vec<String> {
    let mut counts: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    for (record, clock_ms) in records.iter().zip(clocks(records)) {
        let start = record.time_ms - record.time_ms.rem_euclid(HOUR_MS);
        if start + 2 * HOUR_MS > clock_ms {
            *counts.entry((record.number % 3, start)).or_default() += 1;
        }
    }
    let mut texts: Vec<String> =
        counts.into_iter().map(|((group, start), count)| format!("{group} {start} {count}")).collect();
    texts.sort();
    texts
}

/// Records after which all windows before are closed.
fn flush() -> Vec<Record> {
    let flush = |key| Record { key, number: key, partition: (key % PARTITIONS) as i32, time_ms: 1_000_000 * HOUR_MS };
    (0..KEYS).map(flush).collect()
}

/// Checks the counts of a query over windows of these rows that is run by two processes, which are killed now and then if the seed says
/// so. It has read the first records, or nothing, when the others come.
async fn check(seed: u64, from: &str, emit: &str, first: usize) {
    let count = format!(
        "CREATE TABLE c AS SELECT l.n % 3 AS g, COUNT(*) AS c FROM {from} WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 1 HOUR) \
         GROUP BY l.n % 3 EMIT {emit};"
    );
    let mut shared = Shared::new(seed, &[STREAMS[0], &table("t"), &count], "CTAS_C_4").await;
    // The table has a row for each key, which is older than all records.
    let row = |key| Record { key, number: key, partition: (key % PARTITIONS) as i32, time_ms: -1_000 * HOUR_MS };
    write(&shared.process, "t", &(0..KEYS).map(row).collect::<Vec<_>>());
    let records = history(&mut shared);
    let (first, others) = records.split_at(if !seed.is_multiple_of(2) { first } else { 0 });
    write(&shared.process, "l", first);
    shared.run(false).await;
    write(&shared.process, "l", others);
    shared.run(!seed.is_multiple_of(3)).await;
    write(&shared.process, "l", &flush());
    shared.run(false).await;
    let rows = shared.process.rows("SELECT g, WINDOWSTART, c FROM c WHERE WINDOWSTART < 3600000000000;").await;
    let expected = counts(&records);
    let differences: Vec<_> =
        rows.iter().collect::<BTreeSet<_>>().symmetric_difference(&expected.iter().collect()).copied().collect();
    assert!(rows == expected, "seed {seed}: {differences:?}");
}

#[tokio::test]
async fn no_window_is_begun_again_however_far_one_process_is_behind() {
    for seed in 0..18 {
        check(seed, "l", "CHANGES", 24).await;
    }
}

#[tokio::test]
async fn no_window_closes_before_all_of_its_rows_were_read() {
    for seed in 0..18 {
        check(seed, "l", "FINAL", 4).await;
    }
}

#[tokio::test]
async fn windows_wait_for_rows_that_pass_two_exchanges() {
    for seed in 0..24 {
        let (emit, first) = if seed % 4 < 2 { ("CHANGES", 24) } else { ("FINAL", 4) };
        check(seed, "l JOIN t ON l.k = t.k", emit, first).await;
    }
}

#[tokio::test]
async fn a_push_query_closes_no_window_before_all_of_its_rows_were_read() {
    for seed in 0..6 {
        let mut shared = Shared::new(seed, &[STREAMS[0], "CREATE STREAM o AS SELECT k, n FROM l;"], "CSAS_O_3").await;
        let records = history(&mut shared);
        write(&shared.process, "l", &records);
        write(&shared.process, "l", &flush());
        let expected = counts(&records);
        let count = format!(
            "SELECT n % 3 AS g, WINDOWSTART AS start, COUNT(*) AS c FROM l WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 1 HOUR) \
             GROUP BY n % 3 EMIT FINAL LIMIT {};",
            expected.len()
        );
        shared.process.ask("SET 'auto.offset.reset' = 'earliest';").await;
        let rows = shared.process.rows(&count).await;
        assert!(rows == expected, "seed {seed}: {rows:?} instead of {expected:?}");
    }
}
