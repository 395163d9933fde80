//! Goal: a table is read from the state of its query where that is in this process, with the same rows as from its topic, and
//! from the topic everywhere else. Method: drivers on the memory transport, which the tests step; the same statements while a
//! driver has the state and after it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::{StreamExt as _, TryStreamExt as _};
use headwater_language::catalog::Catalog;
use headwater_language::sql::{self, ast};
use headwater_planner::lookup::Lookup;
use headwater_state::{MemoryStore, Snapshot, Store};

use super::driver::Driver;
use super::for_tests::Process;

const COUNTS: &str = "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
const WINDOWS: &str = "CREATE TABLE t WITH (KEY_FORMAT = 'JSON', PARTITIONS = 3) AS \
    SELECT COUNT(v) * 10 AS many, UCASE(k) AS word, a AS part, AS_VALUE(a) + 1 AS next FROM s \
    WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY UCASE(k), a HAVING COUNT(*) < 3;";
const VISITS: &str = "INSERT INTO s (ROWTIME, k, a, v) VALUES (1000, 'a', 1, 1), (2000, 'b', 1, NULL), (3000, 'a', 1, 2), \
    (9000, 'A', 2, 1), (11000, 'a', 1, 5), (12000, 'b', 2, 6), (25000, 'c', 1, 7), (4000, 'x', 9, 1), (5000, 'x', 9, 1);";

#[tokio::test]
async fn a_state_has_the_rows_of_its_topic() {
    let mut process = Process::with(&[WINDOWS, VISITS]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    process.ask("INSERT INTO s (ROWTIME, k, a, v) VALUES (6000, 'X', 9, 1), (13000, 'a', 1, 8);").await;
    process.drive(&mut [&mut driver]);
    let queries = [
        ("SELECT * FROM t;", ""),
        ("SELECT ROWTIME, part, word, windowend, many FROM t;", ""),
        ("SELECT COUNT(*) AS n FROM t;", ""),
        ("SELECT * FROM t WHERE word = 'A' AND part = 1;", ", keys=1"),
        ("SELECT * FROM t WHERE part IN (1, 2, 1) AND (word = 'A' OR word = 'B' OR word = 'none');", ", keys=6"),
        ("SELECT many FROM t WHERE word IN ('A', 'B', 'C', 'D', 'E') AND 1 = part AND many > 5;", ", keys=5"),
        ("SELECT * FROM t WHERE word = 'A' AND part = 1 AND windowstart = 10000;", ", keys=1, windows=1"),
        ("SELECT * FROM t WHERE windowend = 20000;", ", windows=1"),
        ("SELECT * FROM t WHERE windowstart BETWEEN 0 AND 10000 AND word <> 'A';", ", windows=2"),
        ("SELECT * FROM t WHERE word = 'X' AND part = 9;", ", keys=1"),
        ("SELECT * FROM t WHERE word = 'A';", ""),
        (
            "SELECT x.word, x.many, y.many FROM t AS x JOIN t AS y ON x.word = y.word AND x.windowstart < y.windowstart;",
            "",
        ),
        ("SELECT word, SUM(many) AS m FROM t GROUP BY word ORDER BY m DESC LIMIT 1;", ""),
        ("SELECT word FROM t WHERE EXISTS (SELECT 1 AS one FROM s WHERE s.k = LCASE(t.word));", ""),
    ];
    let mut found = Vec::new();
    for (query, limits) in queries {
        let plan = process.plan(query).await;
        let scan = plan.lines().find(|line| line.contains("StateScanExec: state of query CTAS_T_2")).expect("a state");
        assert!(scan.ends_with(&format!("]{limits}")), "{query}\n{plan}");
        assert!(!plan.contains("topic=T"), "{plan}");
        found.push(process.rows(query).await);
    }
    let all =
        ["A 1 0 10000 20 2", "A 1 10000 20000 20 2", "A 2 0 10000 10 3", "B 1 0 10000 0 2", "B 2 10000 20000 10 3"];
    assert_eq!(found[0][..5], all, "X was counted three times, which HAVING does not keep");
    let addressed = "SELECT word, ROWOFFSET FROM t;";
    assert!(process.plan(addressed).await.contains("LatestPerKeyExec: topic=T"), "only the topic has offsets");
    drop(driver);
    for ((query, _), found) in queries.iter().zip(found) {
        assert!(process.plan(query).await.contains("LatestPerKeyExec: topic=T"), "{query}");
        assert_eq!(process.rows(query).await, found, "{query}");
    }
}

/// Goal: a look-up, which is not planned by DataFusion, has the rows and columns of any other query, and refuses what is wrong.
/// Method: the same predicate in parentheses, which is no look-up.
#[tokio::test]
async fn a_lookup_is_like_any_other_query() {
    let create = "CREATE TABLE t WITH (KEY_FORMAT = 'JSON') AS SELECT k, a, COUNT(*) AS n, MAX(v) AS v FROM s GROUP BY k, a \
                  HAVING COUNT(*) < 3;";
    let mut process = Process::with(&[create, VISITS]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    let catalog = process.engine.catalog().await.expect("a catalog");
    for select in ["*", "n, v", "v, k, ROWTIME", "a, n", "k, a, n, v"] {
        for [one, other] in [["k = 'a'", "a = 1"], ["'x' = k", "9 = a"], ["a = -1", "k = 'a'"], ["k = 'none'", "a = 1"]]
        {
            let (plain, other) = (
                format!("SELECT {select} FROM t WHERE {one} AND {other};"),
                format!("SELECT {select} FROM t WHERE ({one}) AND ({other});"),
            );
            assert!(lookup_of(&plain, &catalog) && !lookup_of(&other, &catalog), "{plain}");
            let (found, expected) =
                (process.begin(&plain).await.stream.schema(), process.begin(&other).await.stream.schema());
            assert_eq!(found, expected, "{plain}");
            assert_eq!(process.rows(&plain).await, process.rows(&other).await, "{plain}");
        }
    }
    assert_eq!(process.rows("SELECT n, v FROM t WHERE k = 'a' AND a = 1;").await, [] as [&str; 0], "HAVING");
    assert_eq!(process.rows("SELECT n, v FROM t WHERE k = 'A' AND a = 2;").await, ["1 1"]);
    for wrong in [
        "SELECT none FROM t WHERE k = 'a' AND a = 1;",
        "SELECT n, n FROM t WHERE k = 'a' AND a = 1;",
        "SELECT * FROM t WHERE k = 'a' AND none = 1;",
    ] {
        assert!(!lookup_of(wrong, &catalog), "{wrong}");
    }
    assert_eq!(process.rows("SELECT n FROM t WHERE k = 'A';").await, ["1"], "half of the key");
}

fn lookup_of(query: &str, catalog: &Catalog) -> bool {
    let parsed = sql::parse(query);
    let ast::StatementKind::Query(query) = &parsed.statements[0].kind else { panic!("{query} is no query") };
    Lookup::of(query, catalog).is_some()
}

/// Windows that have expired are in the topic alone, so that only predicates that exclude them are answered from the state.
#[tokio::test]
async fn windows_that_have_expired_are_read_from_the_topic() {
    let create = "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) \
                  GROUP BY k;";
    let mut process = Process::with(&[create, "INSERT INTO s (ROWTIME, k) VALUES (1000, 'a'), (2000, 'b');"]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    let all = "SELECT k, windowstart FROM t WHERE k IN ('a', 'b');";
    assert!(process.reads_state(all).await, "none has expired");
    process.ask("INSERT INTO s (ROWTIME, k) VALUES (11000, 'a'), (11000, 'b'), (35000, 'a'), (35000, 'b');").await;
    process.drive(&mut [&mut driver]);
    for _ in 0..2 {
        assert!(!process.reads_state(all).await);
        assert_eq!(process.rows(all).await, ["a 0", "a 10000", "a 30000", "b 0", "b 10000", "b 30000"]);
        for (predicate, is_kept) in [
            ("windowstart >= 30000 AND k = 'a'", true),
            ("40000 <= windowend AND k = 'a'", true),
            ("windowstart BETWEEN 30000 AND 60000 AND k = 'a'", true),
            ("k = 'a' AND (windowstart = 50000 OR windowend IN (40000, 50000))", true),
            ("k = 'a' AND (windowstart = 30000 OR n > 5)", false),
            ("windowend > 10000 AND k = 'a' AND windowstart > 15000", false),
        ] {
            let query = format!("SELECT windowstart FROM t WHERE {predicate};");
            assert_eq!(process.reads_state(&query).await, is_kept, "{predicate}");
            assert_eq!(process.rows(&query).await, ["30000"], "{predicate}");
        }
        drop(driver);
        driver = process.driver().await;
        process.drive(&mut [&mut driver]);
    }
}

/// Goal: sessions are in the state until they expire, and are found in the topic afterwards, also after a restart.
#[tokio::test]
async fn sessions_that_have_expired_are_read_from_the_topic() {
    let create = "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s WINDOW SESSION (5 SECONDS, RETENTION 20 SECONDS, \
                  GRACE PERIOD 0 SECONDS) GROUP BY k;";
    let mut process = Process::with(&[create, "INSERT INTO s (ROWTIME, k) VALUES (1000, 'a'), (2000, 'a');"]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    let all = "SELECT k, windowstart, windowend, n FROM t WHERE k IN ('a', 'b');";
    assert!(process.reads_state(all).await, "none has expired");
    assert_eq!(process.rows(all).await, ["a 1000 2000 2"]);
    // The rows go to several partitions, each of which expires by the time that it knows.
    for time_ms in [11_000, 30_000] {
        let rows: Vec<String> = (0..20).map(|key| format!("({time_ms}, 'k{key}'), ({time_ms}, 'a')")).collect();
        process.ask(&format!("INSERT INTO s (ROWTIME, k) VALUES {};", rows.join(", "))).await;
        process.drive(&mut [&mut driver]);
    }
    for _ in 0..2 {
        assert!(!process.reads_state(all).await);
        assert_eq!(process.rows(all).await, ["a 1000 2000 2", "a 11000 11000 20", "a 30000 30000 20"]);
        for predicate in ["windowstart > 10500", "windowend > 10500", "windowend IN (11000, 30000)"] {
            let query = format!("SELECT windowstart FROM t WHERE k = 'a' AND {predicate};");
            assert!(process.reads_state(&query).await, "{predicate}");
            assert_eq!(process.rows(&query).await, ["11000", "30000"], "{predicate}");
        }
        drop(driver);
        driver = process.driver().await;
        process.drive(&mut [&mut driver]);
    }
}

/// Goal: EXPLAIN says why a topic is read.
#[tokio::test]
async fn a_plan_says_why_the_topic_is_read() {
    let mut process = Process::with(&[
        "CREATE TABLE u (k STRING PRIMARY KEY, w INT) WITH (KAFKA_TOPIC = 'u', PARTITIONS = 4, FORMAT = 'JSON');",
        "CREATE TABLE c AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;",
        "CREATE TABLE t AS SELECT c.k AS k, n, w FROM c LEFT JOIN u ON c.k = u.k;",
        "CREATE TABLE n AS SELECT k, UNIX_TIMESTAMP() AS now FROM u;",
    ])
    .await;
    let (mut counts, mut join) = (process.driver_of("CTAS_C_3").await, process.driver_of("CTAS_T_4").await);
    let mut now = process.driver_of("CTAS_N_5").await;
    process.drive(&mut [&mut counts, &mut join, &mut now]);
    for query in ["SELECT * FROM t;", "SELECT k, ROWTIME FROM t;"] {
        assert!(process.plan(query).await.contains("StateScanExec"), "{query}");
    }
    for (query, why) in [
        ("SELECT k, ROWOFFSET FROM c;", "the state of its query does not have ROWOFFSET"),
        ("SELECT * FROM n;", "a step after the state gives another result each time"),
    ] {
        let plan = process.plan(query).await;
        assert!(plan.contains(&format!(", because {why}")), "{query}\n{plan}");
    }
    drop(join);
    let plan = process.plan("SELECT * FROM t;").await;
    assert!(plan.contains(", because the state of its query is not all in this process"), "{plan}");
}

/// P1: rows known to exist are not there, because the bytes of a key are unlike those of the state, or the owner of its partition
/// is another process (ksql#4170, ksql#8378, ksql#4142). 10 partitions, each format of keys, tables of all kinds, two processes.
#[tokio::test]
async fn each_key_has_one_row_from_either_process() {
    const ROWS: usize = 1_000;
    for format in ["KAFKA", "JSON", "DELIMITED"] {
        let declare = |name: &str, kind: &str, key: &str| {
            format!(
                "CREATE {kind} {name} (k STRING {key}, v INT) WITH (KAFKA_TOPIC = '{name}', PARTITIONS = 10, \
                 KEY_FORMAT = '{format}', VALUE_FORMAT = 'JSON');"
            )
        };
        let mut one = Process::with(&[
            &declare("st", "STREAM", "KEY"),
            &declare("ta", "TABLE", "PRIMARY KEY"),
            "CREATE TABLE counts AS SELECT k, COUNT(*) AS v FROM st GROUP BY k;",
            "CREATE TABLE copy AS SELECT k, v FROM ta;",
            "CREATE TABLE both_sides AS SELECT ta.k AS k, counts.v AS v FROM ta JOIN counts ON ta.k = counts.k;",
        ])
        .await;
        for name in ["st", "ta"] {
            let rows: Vec<String> = (0..ROWS).map(|key| format!("('key-{key}', 1)")).collect();
            one.ask(&format!("INSERT INTO {name} (k, v) VALUES {};", rows.join(", "))).await;
        }
        let queries = ["CTAS_COUNTS_4", "CTAS_COPY_5", "CTAS_BOTH_SIDES_6"];
        let mut two = Process::new(&one.cluster.clone(), "b");
        let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
        for query in queries {
            of_one.push(one.driver_of(query).await);
        }
        one.drive(&mut of_one.iter_mut().collect::<Vec<_>>());
        for is_shared in [false, true] {
            if is_shared {
                for query in queries {
                    of_two.push(two.driver_of(query).await);
                }
                one.drive(&mut of_one.iter_mut().chain(&mut of_two).collect::<Vec<_>>());
            }
            for process in [&mut one, &mut two] {
                for table in ["counts", "copy", "both_sides"] {
                    let all = process.rows(&format!("SELECT COUNT(*) AS n, SUM(v) AS total FROM {table};")).await;
                    assert_eq!(all, ["1000 1000"], "{format} {table}");
                    for key in (0..ROWS).step_by(if is_shared { 499 } else { 97 }) {
                        let query = format!("SELECT v FROM {table} WHERE k = 'key-{key}';");
                        assert_eq!(process.rows(&query).await, ["1"], "{format} {table} {key}");
                    }
                }
            }
            assert_eq!(one.plan("SELECT * FROM both_sides;").await.contains("StateScanExec"), !is_shared);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_computed_again_is_read_from_the_topic() {
    let create = "CREATE TABLE t AS SELECT k, COUNT(*) AS n, UNIX_TIMESTAMP() AS at FROM s GROUP BY k;";
    let mut process = Process::with(&[create, VISITS]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    assert!(!process.reads_state("SELECT * FROM t;").await);
    assert_eq!(process.rows("SELECT k FROM t;").await, ["A", "a", "b", "c", "x"]);
}

/// Trap: rows known to exist are missing, because a state is restored, in another process, or behind (ksql#4170).
#[tokio::test]
async fn a_state_that_is_not_all_here_is_not_read() {
    let mut one = Process::with(&[COUNTS, VISITS]).await;
    let all = "SELECT * FROM t;";
    let mut first = one.driver().await;
    one.drive(&mut [&mut first]);
    assert!(one.reads_state(all).await);
    let before = one.rows(all).await;
    assert_eq!(before, ["A 1", "a 3", "b 2", "c 1", "x 2"]);
    drop(first);
    let mut restoring = one.driver().await;
    let mut shown = 0;
    while !one.reads_state(all).await {
        assert_eq!(one.rows(all).await, before, "while the state is restored");
        one.now_ms += 10;
        restoring.step(one.now_ms, Duration::ZERO).expect("a step");
        shown += 1;
    }
    assert!(shown > 1, "it was restored in steps");
    assert_eq!(one.rows(all).await, before);
    // Another process takes a part of it.
    let mut two = Process::new(&one.cluster.clone(), "b");
    let mut second = two.driver().await;
    one.drive(&mut [&mut restoring, &mut second]);
    for process in [&mut one, &mut two] {
        assert!(!process.reads_state(all).await);
        assert_eq!(process.rows(all).await, before);
        assert_eq!(process.rows("SELECT n FROM t WHERE k = 'b';").await, ["2"]);
    }
}

/// Trap: a process that lost its partitions and does not know it yet shows what is no longer so.
#[tokio::test]
async fn a_state_that_is_behind_is_not_read() {
    let mut one = Process::with(&[COUNTS, VISITS]).await;
    let mut lost = one.driver().await;
    one.drive(&mut [&mut lost]);
    assert!(one.reads_state("SELECT * FROM t;").await);
    one.cluster.expire_members();
    let mut two = Process::new(&one.cluster.clone(), "b");
    let mut next = two.driver().await;
    two.now_ms = one.now_ms;
    two.drive(&mut [&mut next]);
    two.ask("INSERT INTO s (k) VALUES ('b');").await;
    two.drive(&mut [&mut next]);
    assert!(two.reads_state("SELECT * FROM t;").await);
    for process in [&mut two, &mut one] {
        assert_eq!(process.rows("SELECT n FROM t WHERE k = 'b';").await, ["3"]);
    }
    assert!(!one.reads_state("SELECT * FROM t;").await);
}

/// Several driven partitions in one process, by two drivers, are a whole state.
#[tokio::test]
async fn drivers_of_one_process_show_their_parts_together() {
    let mut process = Process::with(&[COUNTS, VISITS]).await;
    let (mut one, mut other) = (process.driver().await, process.driver().await);
    process.drive(&mut [&mut one, &mut other]);
    assert!(process.reads_state("SELECT * FROM t;").await);
    assert_eq!(process.rows("SELECT COUNT(*) AS n, SUM(n) AS m FROM t;").await, ["5 9"]);
    drop(other);
    assert!(!process.reads_state("SELECT * FROM t;").await);
}

const KEYS: usize = 60_000;

/// Writes one row for each of many keys.
async fn visit_all(process: &mut Process) {
    process.ask(&format!("INSERT INTO numbers VALUES ({KEYS});")).await;
}

/// A process with a table of many keys, and the drivers of its two queries.
async fn with_many_keys() -> (Process, [Driver; 2]) {
    let mut process = Process::with(&[]).await;
    for statement in [
        "CREATE STREAM numbers (n INT) WITH (KAFKA_TOPIC = 'numbers', PARTITIONS = 1, VALUE_FORMAT = 'JSON');",
        "CREATE STREAM u AS SELECT EXPLODE(GENERATE_SERIES(1, n)) AS i FROM numbers;",
        "CREATE TABLE many AS SELECT i, COUNT(*) AS n FROM u GROUP BY i;",
    ] {
        process.ask(statement).await;
    }
    let mut drivers = Vec::new();
    for query in process.engine.catalog().await.expect("it is known").queries() {
        drivers.push(process.engine.driver(&query.id, Arc::new(process.cluster.clone())).await.expect("a query"));
    }
    let drivers: [Driver; 2] = drivers.try_into().unwrap_or_else(|_| panic!("two queries"));
    (process, drivers)
}

/// Trap: a scan that is read slowly sees several commits, holds up the query, or goes on after it was dropped
/// (risingwave#8369, ksql#6939).
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_sees_one_commit_and_ends_when_it_is_dropped() {
    let (mut process, [mut source, mut counts]) = with_many_keys().await;
    visit_all(&mut process).await;
    process.drive(&mut [&mut source, &mut counts]);
    let mut slow = process.begin("SELECT n FROM many;").await;
    let first = slow.stream.next().await.expect("rows").expect("a batch");
    visit_all(&mut process).await;
    process.drive(&mut [&mut source, &mut counts]);
    let now = process.rows("SELECT COUNT(*) AS keys, MIN(n) AS least, MAX(n) AS most FROM many;").await;
    assert_eq!(now, [format!("{KEYS} 2 2")], "the query went on");
    let others: Vec<_> = slow.stream.try_collect().await.expect("rows");
    let counts_of = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    let seen: Vec<i64> = [first].iter().chain(&others).flat_map(counts_of).collect();
    assert_eq!((seen.len(), seen.iter().all(|n| *n == 1)), (KEYS, true), "rows of the first commit only");
    let mut dropped = process.begin("SELECT n FROM many;").await;
    dropped.stream.next().await.expect("rows").expect("a batch");
    let progress = dropped.progress.clone();
    drop(dropped);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let read = progress.snapshot().records_read;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(progress.snapshot().records_read, read, "it reads no further");
    assert!(read < KEYS as u64, "{read} of {KEYS} keys were read");
}

/// Goal: a reader in another thread sees each commit as a whole, and the writer never waits for it. Method: each epoch sets all
/// keys to its number; readers take snapshots all the time, keep some of them, and read everything.
#[test]
fn readers_see_whole_commits_while_they_are_made() {
    const ROWS: u64 = 10_000;
    let mut store = MemoryStore::default();
    let view = store.view();
    let keys = BinaryArray::from_iter_values((0..ROWS).map(u64::to_be_bytes));
    let numbers = |snapshot: &Snapshot| {
        let values = snapshot.scan(.., 1_000).flat_map(|part| {
            part.expect("few bytes").values.iter().map(|v| v.expect("a value").to_vec()).collect::<Vec<_>>()
        });
        values.collect::<Vec<_>>()
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let read = || {
            let mut kept = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let snapshot = view.snapshot();
                let seen = numbers(&snapshot);
                assert!(seen.is_empty() || seen.len() == ROWS as usize, "{} keys", seen.len());
                assert!(seen.iter().all(|value| *value == seen[0]), "a snapshot has one commit");
                kept.push((snapshot, seen.first().cloned()));
            }
            kept.iter().for_each(|(snapshot, first)| assert_eq!(numbers(snapshot).first(), first.as_ref()));
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for epoch in 0_u64..15 {
            store.put(0, &keys, &BinaryArray::from_iter_values((0..ROWS).map(|_| epoch.to_be_bytes())));
            store.seal().expect("few bytes");
            store.commit();
        }
        is_over.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("what readers see is whole"));
    });
}
