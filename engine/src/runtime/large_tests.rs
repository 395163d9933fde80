//! Output that is far larger than its input is written piece by piece, in more than one epoch, each row once.

use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{SinkOptions, Transport};
use headwater_formats::record::OutBatch;
use headwater_language::config::Settings;

use super::driver::{Driver, StepOutcome};
use crate::answer::Answer;
use crate::{Engine, Session};

/// Records of the input, elements of each, and bytes of its text: the output is 330 MB.
const RECORDS: usize = 120;
const ELEMENTS: usize = 160;
const TEXT_BYTES: usize = 17_000;

async fn ask(engine: &Engine, session: &mut Session, statement: &str) -> Answer {
    engine.ask(session, statement).await.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"))
}

const SOURCE: &str = "CREATE STREAM s (n INT, v STRING, tags ARRAY<STRING>) \
                      WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
const QUERY: &str = "CREATE STREAM o AS SELECT n, v, EXPLODE(tags) AS tag FROM s;";

/// Writes records to the topic `s` at once, so that they are read as one batch.
fn fill(cluster: &MemoryTransport, records: usize) {
    let elements: Vec<String> = (0..ELEMENTS).map(|at| format!("\"t{at}\"")).collect();
    let text = "x".repeat(TEXT_BYTES);
    let record = |n| format!(r#"{{"N":{n},"V":"{text}","TAGS":[{}]}}"#, elements.join(",")).into_bytes();
    let values: Vec<Option<Vec<u8>>> = (0..records).map(|n| Some(record(n))).collect();
    let batch = OutBatch {
        topic: "s".into(),
        partitions: Some(vec![0; records].into()),
        keys: vec![None::<&[u8]>; records].into_iter().collect(),
        values: values.iter().map(Option::as_deref).collect(),
        timestamps_ms: None,
        headers: None,
    };
    cluster.open_sink(SinkOptions::default()).and_then(|mut sink| sink.write(&batch)).expect("records");
}

/// Goal: exploded rows neither overflow a batch nor fill one transaction without bound, and none is lost or duplicated
/// between two epochs. Method: one batch of records yields more bytes than an epoch may have.
#[tokio::test]
async fn rows_that_are_multiplied_come_out_in_several_epochs_each_once() {
    let cluster = MemoryTransport::new();
    let engine = Engine::new(Arc::new(cluster.clone()), &Settings::default());
    let mut session = Session::new(Settings::default());
    engine.process().apply_first();
    ask(&engine, &mut session, SOURCE).await;
    ask(&engine, &mut session, QUERY).await;
    fill(&cluster, RECORDS);
    let ran = engine.run_until_idle(|| false).await.expect("it runs");
    assert!(ran[0].error.is_none(), "{ran:?}");
    assert_eq!((ran[0].records_read, ran[0].records_written), (RECORDS as u64, (RECORDS * ELEMENTS) as u64));
    let markers = cluster.admin().watermarks("O", headwater_connectors::transport::Isolation::ReadCommitted);
    let markers = markers.expect("a topic")[0].end - (RECORDS * ELEMENTS) as i64;
    assert!(markers > 1, "{markers} commits");
    let all = (RECORDS * ELEMENTS).to_string();
    assert_eq!(written(&engine, &mut session).await, [all.clone(), all, TEXT_BYTES.to_string()]);
}

/// The number of rows that were written, that of different ones, and the length of their shortest text.
async fn written(engine: &Engine, session: &mut Session) -> [String; 3] {
    use futures::TryStreamExt as _;

    let query = "SELECT COUNT(*) AS n, COUNT(DISTINCT CAST(n AS STRING) + tag) AS d, MIN(LEN(v)) AS l FROM o;";
    let Answer::Rows(rows) = ask(engine, session, query).await else { panic!("no rows") };
    let batches: Vec<_> = rows.stream.try_collect().await.expect("a row");
    [0, 1, 2].map(|at| arrow::util::display::array_value_to_string(batches[0].column(at), 0).expect("a number"))
}

/// Goal: a commit right after the last piece of a batch has the offset after the batch. Method: a batch whose last piece fills a
/// step, after which the driver ends and another one continues.
#[tokio::test]
async fn the_last_piece_of_a_batch_is_committed_with_its_offset() {
    const FEW: usize = 15;
    let cluster = MemoryTransport::new();
    let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
    let mut session = Session::new(Settings::default());
    ask(&engine, &mut session, SOURCE).await;
    ask(&engine, &mut session, QUERY).await;
    fill(&cluster, FEW);
    let mut driver = engine.driver("CSAS_O_2", Arc::new(cluster.clone())).await.expect("a query");
    while driver.is_settled() {
        driver.step(0, Duration::ZERO).expect("a step");
    }
    driver.finish(0).expect("a commit");
    drop(driver);
    let mut next = engine.driver("CSAS_O_2", Arc::new(cluster.clone())).await.expect("a query");
    (0..20).try_for_each(|step| next.step(step * 10_000, Duration::ZERO).map(drop)).expect("it continues");
    let all = (FEW * ELEMENTS).to_string();
    assert_eq!(written(&engine, &mut session).await, [all.clone(), all, TEXT_BYTES.to_string()]);
}

/// Goal: a group that comes out with each of its rows counts each of them once, though one batch of records comes out in
/// several steps. Method: a commit is due after each step, and the process dies after a few.
#[tokio::test]
async fn a_batch_of_groups_that_is_cut_by_commits_is_counted_once() {
    use futures::TryStreamExt as _;

    const ROWS: usize = 1_200;
    const GROUPS: usize = 7;
    let cluster = MemoryTransport::new();
    let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
    let mut session = Session::new(Settings::default());
    for statement in [
        "SET 'cache.max.bytes.buffering' = '0';",
        "CREATE STREAM s (k STRING KEY, v INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');",
        "CREATE TABLE o AS SELECT k, COUNT(*) AS n, k + k + k + k AS a, k + k + k + k AS b FROM s GROUP BY k;",
    ] {
        ask(&engine, &mut session, statement).await;
    }
    let keys: Vec<String> = (0..GROUPS).map(|at| format!("{at}{}", "x".repeat(TEXT_BYTES))).collect();
    let batch = OutBatch {
        topic: "s".into(),
        partitions: Some(vec![0; ROWS].into()),
        keys: (0..ROWS).map(|row| Some(keys[row % GROUPS].as_bytes())).collect(),
        values: vec![Some(&b"{}"[..]); ROWS].into_iter().collect(),
        timestamps_ms: None,
        headers: None,
    };
    cluster.open_sink(SinkOptions::default()).and_then(|mut sink| sink.write(&batch)).expect("records");
    let catalog = engine.catalog().await.expect("it is known");
    let query = catalog.queries().next().expect("there is one");
    let (mut now_ms, mut idle) = (1_000, 0);
    let mut lives = [4, 3, 4, 60].into_iter().cycle();
    while idle < 4 {
        let transport = Arc::new(cluster.process("a process"));
        let mut driver = Driver::of(query.clone(), "default", transport).expect("it can run");
        for _ in 0..lives.next().expect("it goes on") {
            now_ms += 10_000;
            let step = driver.step(now_ms, std::time::Duration::ZERO).expect("nothing fails");
            idle = if step == StepOutcome::Idle { idle + 1 } else { 0 };
        }
    }
    let changes = "CREATE STREAM changes (k STRING KEY, n BIGINT) WITH (KAFKA_TOPIC = 'O', VALUE_FORMAT = 'JSON');";
    ask(&engine, &mut session, changes).await;
    let query = "SELECT SUM(changes) AS changes, SUM(n) AS n \
                 FROM (SELECT k, COUNT(*) AS changes, MAX(n) AS n FROM changes GROUP BY k) AS g;";
    let Answer::Rows(rows) = ask(&engine, &mut session, query).await else { panic!("no rows") };
    let batches: Vec<_> = rows.stream.try_collect().await.expect("a row");
    let number = |at: usize| arrow::util::display::array_value_to_string(batches[0].column(at), 0).expect("a number");
    assert_eq!([number(0), number(1)], [ROWS.to_string(), ROWS.to_string()]);
}
