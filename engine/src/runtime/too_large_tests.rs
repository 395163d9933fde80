//! M2: a group that outgrows a record, of the changelog or of the sink (ksql#6711, ksql#5026, samza#1008). The row that makes it
//! too large is rejected; the group keeps its value, and the query goes on with all others.
//!
//! Method: a query runs until idle over the memory transport, once for each record, after a topic was given a small limit. The
//! memory transport counts the bytes of key and value.

use std::sync::Arc;

use headwater_connectors::transport::Transport as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_language::config::Settings;

use super::for_tests::Process;
use crate::{Engine, Session};

const SOURCE: &str = "CREATE STREAM x (k STRING KEY, v STRING, t BIGINT) WITH (KAFKA_TOPIC = 'x', PARTITIONS = 1, VALUE_FORMAT = 'JSON', TIMESTAMP = 't');";
const RIGHT: &str =
    "CREATE TABLE r (k STRING PRIMARY KEY, w STRING) WITH (KAFKA_TOPIC = 'r', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
const EVERY_CHANGE: &str = "SET 'cache.max.bytes.buffering' = '0';";

/// A process whose tables are read from the state of their queries, as long as they run.
async fn process(statements: &[&str]) -> Process {
    let cluster = MemoryTransport::new();
    let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
    let mut process = Process { cluster, engine, session: Session::new(Settings::default()), now_ms: 1_000 };
    for statement in statements {
        process.ask(statement).await;
    }
    process
}

fn limit_changelogs(process: &Process, bytes: &str) {
    let topics = process.cluster.admin().topics().expect("topics").into_iter().map(|topic| topic.name);
    for name in topics.filter(|name| name.ends_with("-changelog")) {
        process.cluster.set(&name, "max.message.bytes", bytes).expect("a topic");
    }
}

async fn insert(process: &mut Process, key: &str, value: &str, time_ms: i64) {
    process.ask(&format!("INSERT INTO x (k, v, t) VALUES ('{key}', '{value}', {time_ms});")).await;
}

/// Goal: the list stays at what the sink takes, also in the state, whichever way results come out; and it grows again once the sink
/// takes more. Method: ten rows of two groups, one of which is soon too large; its state is seen when the limit is raised.
#[tokio::test]
async fn a_list_that_the_sink_refuses_does_not_grow_in_the_state() {
    for setting in ["SHOW TABLES;", EVERY_CHANGE] {
        let query = "CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS list, COUNT(*) AS n FROM x GROUP BY k;";
        let mut process = process(&[setting, SOURCE, query]).await;
        process.cluster.set("T", "max.message.bytes", "1000").expect("a topic");
        for time_ms in 0..10 {
            insert(&mut process, "a", &"y".repeat(200), time_ms).await;
            insert(&mut process, "b", "z", time_ms).await;
        }
        assert_eq!(process.run().await, None);
        let query = "SELECT k, ARRAY_LENGTH(list) AS l, n FROM t;";
        assert_eq!(process.rows(query).await, ["a 4 4", "b 10 10"]);
        let reported = process.rows("SELECT source_offset, source_topic FROM processing_log;").await;
        assert_eq!(reported, ["10 x", "12 x", "14 x", "16 x", "18 x", "8 x"], "each row that does not fit");
        let reasons = process.rows("SELECT DISTINCT reason FROM processing_log;").await.join("\n");
        let expected = "with it, group a would be too large: the record has 1";
        assert!(reasons.contains(expected) && reasons.contains("but topic \"T\" accepts at most 1000"), "{reasons}");
        process.cluster.set("T", "max.message.bytes", "2000").expect("a topic");
        insert(&mut process, "a", "w", 20).await;
        assert_eq!(process.run().await, None);
        assert_eq!(process.rows(query).await, ["a 5 5", "b 10 10"], "what was rejected is not in the state");
    }
}

/// Goal: the same for the changelog, in which a query would fail to write the group with each attempt, for each kind of state.
#[tokio::test]
async fn a_group_that_the_changelog_refuses_stays_what_it_was() {
    let queries = [
        "CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS list FROM x GROUP BY k;",
        "CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS list FROM x WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k;",
        "CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS list FROM x WINDOW SESSION (1 HOUR) GROUP BY k;",
    ];
    for (query, setting) in queries.iter().flat_map(|query| [(query, "SHOW TABLES;"), (query, EVERY_CHANGE)]) {
        let mut process = process(&[setting, SOURCE, query]).await;
        assert_eq!(process.run().await, None, "its topics exist");
        limit_changelogs(&process, "1000");
        for time_ms in 0..10 {
            insert(&mut process, "a", &"y".repeat(200), time_ms).await;
            insert(&mut process, "b", "z", time_ms).await;
            if time_ms % 3 == 0 {
                assert_eq!(process.run().await, None, "{query}");
            }
        }
        assert_eq!(process.run().await, None, "{query}");
        let lists = process.rows("SELECT k, ARRAY_LENGTH(list) AS l FROM t;").await;
        assert_eq!(lists, ["a 4", "b 10"], "{query} {setting}");
        let reasons = process.rows("SELECT reason FROM processing_log;").await;
        let names =
            |reason: &String| reason.contains("group a") && reason.contains("-changelog\" accepts at most 1000");
        assert!(reasons.len() == 6 && reasons.iter().all(names), "{reasons:?}");
    }
}

/// Goal: results that come out once do so, though their groups could not take all rows, and are not larger than they may be.
#[tokio::test]
async fn a_final_result_has_the_rows_that_fit() {
    let query = "CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS list FROM x \
                 WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY k EMIT FINAL;";
    for bytes in 860..880 {
        let mut process = process(&[SOURCE, query]).await;
        assert_eq!(process.run().await, None);
        limit_changelogs(&process, &bytes.to_string());
        for time_ms in 0..6 {
            insert(&mut process, "a", &"y".repeat(200), time_ms).await;
        }
        insert(&mut process, "b", "z", 1_000).await;
        assert_eq!(process.run().await, None);
        let lists = process.rows("SELECT k, ARRAY_LENGTH(list) AS l FROM t;").await;
        assert!(lists == ["a 4"] || lists == ["a 3"], "{bytes}: {lists:?}");
    }
}

/// Goal: a key that is too large for the changelog is reported in short, and so is a row of a table.
#[tokio::test]
async fn keys_and_rows_of_tables_may_be_too_large_as_well() {
    let table = "CREATE TABLE y (k STRING PRIMARY KEY, v STRING) WITH (KAFKA_TOPIC = 'y', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
    let mut process = process(&[
        SOURCE,
        table,
        "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM x GROUP BY k;",
        "CREATE TABLE u AS SELECT k, v FROM y;",
    ])
    .await;
    assert_eq!(process.run().await, None);
    limit_changelogs(&process, "600");
    insert(&mut process, &"long".repeat(200), "", 0).await;
    insert(&mut process, "a", "", 0).await;
    for value in ["first", &"w".repeat(700), ""] {
        process.ask(&format!("INSERT INTO y VALUES ('a', '{value}');")).await;
        process.ask(&format!("INSERT INTO y VALUES ('b', '{value}{value}');")).await;
    }
    process.ask("INSERT INTO y VALUES ('a', 'last');").await;
    assert_eq!(process.run().await, None);
    assert_eq!(process.rows("SELECT * FROM t;").await, ["a 1"]);
    assert_eq!(process.rows("SELECT * FROM u;").await, ["a last", "b "]);
    let reasons = process.rows("SELECT reason FROM processing_log;").await;
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("longlong…")), "{reasons:?}");
}

/// Joins with a stream `y` and a table `l`: the query, what is inserted, the rows that come out, and the records that are reported.
fn joins_of_large_rows() -> [(String, [String; 2], &'static str, &'static str); 4] {
    let (large, small) = ("y".repeat(1_000), "z".repeat(100));
    let streams = [
        format!("INSERT INTO x VALUES ('a', '{large}', 1), ('a', '{small}', 2), ('b', '{small}', 3);"),
        format!(
            "INSERT INTO y VALUES ('a', '{small}', 4), ('b', '{large}', 5), ('a', '{large}', 6), ('c', '{small}', 7);"
        ),
    ];
    let both = [
        format!(
            "INSERT INTO l VALUES ('a', '{large}', 'a'), ('a', '{small}', 'a'), ('b', '{small}', 'b'), ('a', '{large}', 'a');"
        ),
        format!("INSERT INTO r VALUES ('a', '{small}'), ('b', '{large}'), ('a', '{large}'), ('c', '{small}');"),
    ];
    let of_stream = [
        format!("INSERT INTO r VALUES ('a', '{small}'), ('b', '{large}'), ('a', '{large}'), ('c', '{small}');"),
        format!("INSERT INTO x VALUES ('a', '{large}', 9000000000000), ('b', '{small}', 9000000000000);"),
    ];
    let select = "SELECT LEN(v) AS v, LEN(w) AS w";
    [
        (
            format!("CREATE STREAM t AS {select}, x.k AS k FROM x JOIN y WITHIN 1 HOUR ON x.k = y.k;"),
            streams,
            "100 100 a",
            "x 0, y 1, y 2",
        ),
        (
            format!("CREATE TABLE t AS {select}, l.k AS k FROM l LEFT JOIN r ON l.k = r.k;"),
            both.clone(),
            "100  b; 100 100 a",
            "l 0, l 3, r 1, r 2",
        ),
        (
            format!("CREATE TABLE t AS {select}, l.k AS k FROM l LEFT JOIN r ON l.r = r.k;"),
            both,
            "100  b; 100 100 a",
            "l 0, l 3, r 1, r 2",
        ),
        (
            format!("CREATE STREAM t AS {select}, x.k AS k FROM x LEFT JOIN r ON x.k = r.k;"),
            of_stream,
            "100  b; 1000 100 a",
            "r 1, r 2",
        ),
    ]
}

/// Goal: what a join keeps is not larger than its changelogs accept: rows of both sides, and what refers to them. Such a row is
/// reported with its address, the others are joined, and the query goes on. Method: rows of 100 and of 1,000 bytes, which a limit of
/// 600 bytes lies between, in one batch and one by one.
#[tokio::test]
async fn a_join_does_not_keep_what_its_changelogs_refuse() {
    let stream = "CREATE STREAM y (k STRING KEY, w STRING, t BIGINT) WITH (KAFKA_TOPIC = 'y', PARTITIONS = 1, VALUE_FORMAT = 'JSON', TIMESTAMP = 't');";
    let left = "CREATE TABLE l (k STRING PRIMARY KEY, v STRING, r STRING) WITH (KAFKA_TOPIC = 'l', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
    for ((query, inserts, rows, reported), setting) in
        joins_of_large_rows().iter().flat_map(|case| [(case, "SHOW TABLES;"), (case, EVERY_CHANGE)])
    {
        for one_by_one in [false, true] {
            let mut process = process(&[setting, SOURCE, stream, left, RIGHT, query]).await;
            assert_eq!(process.run().await, None, "its topics exist");
            limit_changelogs(&process, "600");
            for insert in inserts.iter() {
                process.ask(insert).await;
                if one_by_one {
                    assert_eq!(process.run().await, None, "{query}");
                }
            }
            assert_eq!(process.run().await, None, "{query}");
            assert_eq!(process.rows("SELECT v, w, k FROM t;").await.join("; "), *rows, "{query}");
            let found = process.rows("SELECT source_topic, source_offset FROM processing_log;").await.join(", ");
            assert_eq!(found, *reported, "{query}");
            let reasons = process.rows("SELECT DISTINCT reason FROM processing_log;").await;
            let names = |reason: &String| reason.contains("-changelog\" accepts at most 600 (max.message.bytes)");
            assert!(reasons.iter().all(names), "{query}: {reasons:?}");
        }
    }
}

/// Goal: a record may be far larger than the state that it is made from, and then it is the row that is rejected as well, not only
/// what comes out: the state has what the topic has. Method: a limit of 1,000 bytes; long names, and a text that is computed.
#[tokio::test]
async fn a_record_that_is_far_larger_than_its_state_rejects_its_row() {
    let name = "n".repeat(100);
    let queries = [
        (format!("CREATE TABLE t AS SELECT k, COLLECT_LIST(STRUCT(`{name}` := v)) AS list, COUNT(*) AS n FROM x GROUP BY k;"), "9"),
        (format!("CREATE TABLE t AS SELECT k, COLLECT_LIST(STRUCT(`{name}` := v)) AS list, COUNT(*) AS n FROM x WINDOW SESSION (1 HOUR) GROUP BY k;"), "9"),
        ("CREATE TABLE t AS SELECT k, RPAD('y', CAST(COUNT(*) AS INT) * 240, 'y') AS list, COUNT(*) AS n FROM x GROUP BY k;".to_owned(), "4"),
    ];
    for ((query, count), setting) in queries.iter().flat_map(|query| [(query, "SHOW TABLES;"), (query, EVERY_CHANGE)]) {
        for one_by_one in [false, true] {
            let mut process = process(&[setting, SOURCE, query]).await;
            process.cluster.set("T", "max.message.bytes", "1050").expect("a topic");
            for time_ms in 0..12 {
                insert(&mut process, "a", "", time_ms).await;
                if one_by_one {
                    assert_eq!(process.run().await, None, "{query}");
                }
            }
            insert(&mut process, "b", "", 12).await;
            assert_eq!(process.run().await, None, "{query}");
            assert_eq!(process.rows("SELECT k, n FROM t;").await, [format!("a {count}"), "b 1".to_owned()], "{query}");
            let rejected = 12 - count.parse::<usize>().expect("a number");
            let reasons = process.rows("SELECT reason FROM processing_log;").await;
            assert_eq!(reasons.len(), rejected, "{query} {reasons:?}");
            let names = |reason: &String| reason.contains("with it, group a would be too large: the record has 1");
            assert!(reasons.iter().all(names), "{reasons:?}");
        }
    }
}

/// Goal: a row of a table that its group could not take is not taken out of it when it leaves, also not by another process, and what is
/// kept of it is not shown as a group. Method: rows of which four fit into a changelog; each run restores the state from it.
#[tokio::test]
async fn a_row_of_a_table_that_its_group_could_not_take_is_not_taken_out() {
    let table = "CREATE TABLE y (id INT PRIMARY KEY, g STRING, v STRING) WITH (KAFKA_TOPIC = 'y', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
    let query = "CREATE TABLE t AS SELECT g, COLLECT_LIST(v) AS list, COUNT(*) AS n FROM y GROUP BY g;";
    for setting in ["SHOW TABLES;", EVERY_CHANGE] {
        let mut process = process(&[setting, table, query]).await;
        assert_eq!(process.run().await, None, "its topics exist");
        limit_changelogs(&process, "1000");
        let large = "y".repeat(200);
        for id in 0..10 {
            process.ask(&format!("INSERT INTO y VALUES ({id}, 'a', '{large}'), ({}, 'b', 'z');", id + 10)).await;
        }
        assert_eq!(process.run().await, None);
        let groups = "SELECT g, n FROM t;";
        assert_eq!(process.rows(groups).await, ["a 4", "b 10"], "{setting}");
        let delete = |id: i32| format!("INSERT INTO y (id, ROWTOMBSTONE) VALUES ({id}, true);");
        for id in 3..10 {
            process.ask(&delete(id)).await;
            assert_eq!(process.run().await, None);
        }
        assert_eq!(process.rows(groups).await, ["a 3", "b 10"], "{setting}");
        for id in 0..3 {
            process.ask(&delete(id)).await;
        }
        assert_eq!(process.run().await, None);
        assert_eq!(process.rows(groups).await, ["a 0", "b 10"], "{setting}");
        assert_eq!(process.rows("SELECT reason FROM processing_log;").await.len(), 6, "only rows that arrived");
    }
}

/// Goal: a record of a join that is too large for the sink is reported with its address, and the query goes on; so it does with EMIT
/// FINAL, and a delete of a row that never came out is accepted. Method: both rows fit, what is made of them does not.
#[tokio::test]
async fn a_joined_row_that_the_sink_refuses_is_reported() {
    let left = "CREATE TABLE l (k STRING PRIMARY KEY, v STRING) WITH (KAFKA_TOPIC = 'l', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
    let large = "y".repeat(600);
    for setting in ["SHOW TABLES;", EVERY_CHANGE] {
        let query = "CREATE TABLE t AS SELECT l.k AS k, v, w FROM l JOIN r ON l.k = r.k;";
        let mut process = process(&[setting, SOURCE, left, RIGHT, query]).await;
        process.cluster.set("T", "max.message.bytes", "1000").expect("a topic");
        process.ask(&format!("INSERT INTO l VALUES ('a', '{large}'), ('b', 'x');")).await;
        process.ask(&format!("INSERT INTO r VALUES ('a', '{large}'), ('b', 'y');")).await;
        assert_eq!(process.run().await, None);
        assert_eq!(process.rows("SELECT k, w FROM t WHERE ROWOFFSET >= 0;").await, ["b y"], "what the topic has");
        let reported = process.rows("SELECT source_topic, source_offset, reason FROM processing_log;").await;
        assert!(reported.len() == 1 && reported[0].starts_with("r 0 value: the record has 12"), "{reported:?}");
        process.ask("INSERT INTO l (k, ROWTOMBSTONE) VALUES ('a', true), ('b', true);").await;
        process.ask("INSERT INTO r VALUES ('c', 'z');").await;
        process.ask("INSERT INTO l VALUES ('c', 'z');").await;
        assert_eq!(process.run().await, None);
        assert_eq!(process.rows("SELECT k, w FROM t;").await, ["c z"]);
        assert_eq!(process.rows("SELECT reason FROM processing_log;").await.len(), 1, "deletes are accepted");
    }
}
