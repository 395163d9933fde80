//! Joins that several processes share: however far one of them is behind, the result is that of the records.
//!
//! Rows of streams and tables with one key are in partitions with different numbers, so that they meet from different processes.

use std::collections::BTreeSet;

use super::for_tests::shared::{KEYS, PARTITIONS, Record, STREAMS, Shared, clocks, records, table, write};

/// The number in the row that a table had for a key at a stream time, as text.
fn had(table: &[Record], key: u64, clock_ms: i64) -> String {
    let mut rows = table.iter().zip(clocks(table)).rev();
    let row = rows.find(|(row, time_ms)| row.key == key && *time_ms <= clock_ms);
    row.map_or(String::new(), |(row, _)| row.number.to_string())
}

/// Checks a join of the stream with the table T by its key and, if `has_other`, of what comes out with the table U by a number. Two
/// processes run it, which are killed now and then if the seed says so.
async fn check_tables(seed: u64, has_other: bool) {
    let (u, other) = match has_other {
        true => ("u.k AS x, u.n", "LEFT JOIN u ON CONCAT('k', CAST(l.n % 12 AS STRING)) = u.k"),
        false => ("''", ""),
    };
    let join = format!(
        "CREATE STREAM j AS SELECT l.k AS k, l.n AS l, t.n AS t, {u} AS u FROM l LEFT JOIN t ON l.k = t.k {other};"
    );
    let mut shared = Shared::new(seed, &[STREAMS[0], &table("t"), &table("u"), &join], "CSAS_J_5").await;
    let stream = records(&mut shared.chance, 300, 0);
    let [t, u] = [1, 2].map(|turn| records(&mut shared.chance, 200, turn));
    write(&shared.process, "l", &stream);
    write(&shared.process, "t", &t);
    write(&shared.process, "u", &u);
    let row = |(record, clock_ms): (&Record, i64)| {
        let Record { key, number, .. } = *record;
        let other = if has_other { had(&u, number % 12, clock_ms) } else { String::new() };
        format!("k{key} {number} {} {other}", had(&t, key, clock_ms))
    };
    let mut expected: Vec<String> = stream.iter().zip(clocks(&stream)).map(row).collect();
    expected.sort();
    shared.run(!seed.is_multiple_of(3)).await;
    let rows = shared.process.rows("SELECT k, l, t, u FROM j;").await;
    let differences: Vec<_> = rows.iter().zip(&expected).filter(|(row, expected)| row != expected).collect();
    assert!(differences.is_empty() && rows.len() == expected.len(), "seed {seed}: {differences:?}");
}

/// Trap J1.
#[tokio::test]
async fn a_row_of_a_stream_gets_what_a_table_elsewhere_had_at_its_time() {
    for seed in 0..24 {
        check_tables(seed, false).await;
    }
}

#[tokio::test]
async fn a_row_that_passes_two_exchanges_gets_what_both_tables_had_at_its_time() {
    for seed in 0..24 {
        check_tables(seed, true).await;
    }
}

/// Goal: no match is lost because one process is behind another one, and no row is emitted without a match that has one.
#[tokio::test]
async fn streams_match_however_far_one_process_is_behind() {
    const JOIN: &str = "CREATE STREAM j AS SELECT l.k AS k, l.n AS l, r.n AS r FROM l LEFT JOIN r WITHIN 300 MILLISECONDS GRACE PERIOD 50 MILLISECONDS ON l.k = r.k;";
    for seed in 0..24 {
        let mut shared = Shared::new(seed, &[STREAMS[0], STREAMS[1], JOIN], "CSAS_J_4").await;
        let (left, right) = (records(&mut shared.chance, 300, 0), records(&mut shared.chance, 300, 0));
        write(&shared.process, "l", &left);
        write(&shared.process, "r", &right);
        let (mut expected, mut alone) = (BTreeSet::new(), BTreeSet::new());
        for one in &left {
            let matches = |other: &&Record| other.key == one.key && (other.time_ms - one.time_ms).abs() <= 300;
            let matched: Vec<&Record> = right.iter().filter(matches).collect();
            let text = |other: &str| format!("k{} {} {other}", one.key, one.number);
            expected.extend(matched.iter().map(|other| text(&other.number.to_string())));
            alone.extend(matched.is_empty().then(|| text("")));
        }
        shared.run(!seed.is_multiple_of(3)).await;
        // Rows that wait come out once a row of their key is later.
        let flush = |key| Record { key, number: 1_000 + key, partition: (key % PARTITIONS) as i32, time_ms: 100_000 };
        write(&shared.process, "l", &(0..KEYS).map(flush).collect::<Vec<_>>());
        shared.run(false).await;
        let rows: Vec<String> = shared.process.rows("SELECT k, l, r FROM j;").await;
        let distinct: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(distinct.len(), rows.len(), "seed {seed}: no row comes twice");
        expected.append(&mut alone);
        let differences: Vec<_> = expected.symmetric_difference(&distinct).collect();
        assert!(differences.is_empty(), "seed {seed}: {differences:?}");
    }
}

/// Goal: both sides of a stream that is joined with itself have all rows, although each side passes its own exchange and processes are
/// behind each other. Method: a row matches the one whose number is the next.
#[tokio::test]
async fn a_stream_matches_itself_however_far_one_process_is_behind() {
    const JOIN: &str = "CREATE STREAM j AS SELECT b.n AS n, a.n AS l, b.k AS k FROM l a LEFT JOIN l b WITHIN 300 MILLISECONDS GRACE PERIOD 50 MILLISECONDS ON a.n + 1 = b.n;";
    for seed in 0..16 {
        let mut shared = Shared::new(seed, &[STREAMS[0], JOIN], "CSAS_J_3").await;
        let records = records(&mut shared.chance, 300, 0);
        write(&shared.process, "l", &records);
        let text = |one: &Record| {
            let mut matches = records.iter().filter(|other| other.number == one.number + 1);
            let matched = matches.find(|other| (other.time_ms - one.time_ms).abs() <= 300);
            format!("{} {}", one.number, matched.map_or(String::new(), |other| format!("k{}", other.key)))
        };
        let expected: BTreeSet<String> = records.iter().map(text).collect();
        shared.run(!seed.is_multiple_of(3)).await;
        // Rows that wait come out once a row of their partition is later.
        let flush =
            |at| Record { key: at, number: 1_000 + 2 * at, partition: (at % PARTITIONS) as i32, time_ms: 100_000 };
        write(&shared.process, "l", &(0..40).map(flush).collect::<Vec<_>>());
        shared.run(false).await;
        let rows: Vec<String> = shared.process.rows("SELECT l, k FROM j;").await;
        let distinct: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(distinct.len(), rows.len(), "seed {seed}: no row comes twice");
        let differences: Vec<_> = expected.symmetric_difference(&distinct).collect();
        assert!(differences.is_empty(), "seed {seed}: {differences:?}");
    }
}
