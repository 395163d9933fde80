//! Goal: a record without a valid event time stops a query that is set to stop on it, after everything before it is
//! committed, and the error gives its address. Method: a driver on the memory transport, with the records in one batch.

use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Isolation, Transport, TransportError, TransportErrorKind};
use headwater_language::config::Settings;

use crate::{Driver, Engine, Session};

const SOURCE: &str = "CREATE STREAM s (k INT KEY, t BIGINT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON', TIMESTAMP = 't');";
const RECORDS: &str = "INSERT INTO s VALUES (0, 10), (1, -7), (2, 20), (3, NULL), (4, 30);";

/// An engine with a query over records of which the second and the fourth have no event time, and its session.
async fn engine(cluster: &MemoryTransport, throws: &str) -> (Engine, Session) {
    let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
    let mut session = Session::new(Settings::default());
    let set = format!("SET 'ksql.timestamp.throw.on.invalid' = '{throws}';");
    for statement in [SOURCE, &set, "CREATE STREAM o AS SELECT * FROM s;", RECORDS] {
        engine.ask(&mut session, statement).await.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"));
    }
    (engine, session)
}

async fn driver(engine: &Engine, cluster: &MemoryTransport) -> Driver {
    engine.driver("CSAS_O_2", Arc::new(cluster.clone())).await.expect("a query")
}

fn drive(driver: &mut Driver) -> Result<(), TransportError> {
    (0..20).try_for_each(|step| driver.step(step * 10_000, Duration::ZERO).map(drop))
}

fn written(cluster: &MemoryTransport) -> i64 {
    cluster.admin().watermarks("O", Isolation::ReadUncommitted).expect("marks")[0].end
}

#[tokio::test]
async fn it_stops_before_the_record() {
    let cluster = MemoryTransport::new();
    let (engine, _) = engine(&cluster, "true").await;
    for attempt in 0..2 {
        let mut driver = driver(&engine, &cluster).await;
        let error = drive(&mut driver).expect_err("the second record has no time");
        assert_eq!(error.kind, TransportErrorKind::Invalid, "retrying does not help");
        let address = "the record at offset 1 of s[0] has no event time";
        assert!(error.message.starts_with(address) && error.message.contains("holds -7"), "{}", error.message);
        // The first record and the marker of its transaction.
        assert_eq!(written(&cluster), 2, "attempt {attempt}");
    }
}

#[tokio::test]
async fn it_goes_on_where_it_is_not_to_stop() {
    let cluster = MemoryTransport::new();
    let (engine, _) = engine(&cluster, "false").await;
    drive(&mut driver(&engine, &cluster).await).expect("nothing stops it");
    assert_eq!(written(&cluster), 4, "three records and a marker");
}

#[tokio::test]
async fn rows_that_are_shown_break_off_at_the_record() {
    use futures::TryStreamExt as _;
    let cluster = MemoryTransport::new();
    let (engine, mut session) = engine(&cluster, "true").await;
    engine.ask(&mut session, "SET 'auto.offset.reset' = 'earliest';").await.expect("a property");
    let answer = engine.ask(&mut session, "SELECT k FROM s EMIT CHANGES LIMIT 3;").await.expect("an answer");
    let crate::answer::Answer::Rows(rows) = answer else { panic!("rows") };
    let error = rows.stream.try_collect::<Vec<_>>().await.expect_err("the second record has no time");
    assert!(crate::failure::diagnose(&error, None)[0].message.contains("offset 1 of s[0]"), "{error}");
}
