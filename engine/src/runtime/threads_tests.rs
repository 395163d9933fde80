//! Goal: the result of a query does not depend on the number of threads that process its batches. Method: the same records of
//! several partitions pass two exchanges, with bad records among them and a HAVING, by one thread and by four.

use std::time::Duration;

use headwater_connectors::transport::{SinkOptions, Transport};
use headwater_formats::record::OutBatch;

use super::for_tests::Process;

const ROWS: i64 = 20_000;
const PARTITIONS: i64 = 4;

/// One batch of records for each partition. Every hundredth record is no JSON.
fn records() -> Vec<OutBatch> {
    let record = |n: i64| match n % 100 {
        99 => "no JSON".to_owned(),
        _ => format!(r#"{{"A":{},"V":{}}}"#, n % 7, n * 31 % 1_000),
    };
    let batch = |partition: i64| {
        let numbers = || (0..ROWS).filter(|n| n % PARTITIONS == partition);
        let keys: Vec<String> = numbers().map(|n| format!("k{}", n % 701)).collect();
        let values: Vec<String> = numbers().map(record).collect();
        OutBatch {
            topic: "s".into(),
            partitions: Some(vec![i32::try_from(partition).expect("a few"); values.len()].into()),
            keys: keys.iter().map(|key| Some(key.as_bytes())).collect(),
            timestamps_ms: Some((0..values.len() as i64).collect()),
            values: values.iter().map(|value| Some(value.as_bytes())).collect(),
            headers: None,
        }
    };
    (0..PARTITIONS).map(batch).collect()
}

async fn result(threads: &str) -> [Vec<String>; 2] {
    let create = "CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s WINDOW TUMBLING (SIZE 500 MILLISECONDS) \
                  GROUP BY k HAVING SUM(v) > 100;";
    let threads = format!("SET 'query.threads' = '{threads}';");
    let each = "CREATE TABLE u AS SELECT a + 1 AS part, COUNT(*) AS n, MAX(v) AS most FROM r GROUP BY a + 1;";
    let moved = "CREATE STREAM r AS SELECT * FROM s PARTITION BY a;";
    let mut process = Process::with(&[&threads, create, moved, each]).await;
    let mut sink = process.cluster.open_sink(SinkOptions::default()).expect("a sink");
    records().iter().for_each(|batch| sink.write(batch).expect("it is written"));
    sink.flush(Duration::from_secs(10)).expect("they are written");
    assert_eq!(process.run().await, None);
    [process.rows("SELECT * FROM t;").await, process.rows("SELECT * FROM u;").await]
}

#[tokio::test]
async fn threads_change_no_result() {
    let [by_one, groups] = result("1").await;
    assert!(by_one.len() > 1_000, "{} windows", by_one.len());
    assert_eq!(groups.len(), 7);
    assert_eq!(result("4").await, [by_one, groups]);
}
