//! Queries over topics: SQL, DataFrames, how much is read, and what happens to bad records.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray as _, BinaryArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Column;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{Expr, JoinType, SessionConfig, SessionContext, col, ident, lit};
use futures::StreamExt as _;
use headwater_connectors::table::{KafkaTable, OnLoss, Progress};
use headwater_connectors::transport::{Isolation, SinkOptions};
use headwater_formats::decode::{ROWOFFSET, ROWTIME};
use headwater_formats::record::{OutBatch, Side, header_lists};

use super::world::{World, ask, context, refusal, shown, sql};

const FRUIT: &str = "INSERT INTO orders (id, item, price) VALUES
    (1, 'apple', 0.40), (2, 'pear', 0.55), (3, 'apple', 0.38), (NULL, NULL, NULL)";

/// A topic of orders that contains [`FRUIT`], and a table of shelves by item.
async fn fruit(world: &World) -> SessionContext {
    let orders = world.orders("orders", 3).build().await.unwrap();
    world.create("shelves", 2);
    let shelves = world.json("shelves").key_column("item", DataType::Utf8).value_column("shelf", DataType::Int32);
    let shelves = shelves.latest_per_key().build().await.unwrap();
    let ctx = context([("orders", &orders), ("shelves", &shelves)]);
    sql(&ctx, FRUIT).await.unwrap();
    sql(&ctx, "INSERT INTO shelves (item, shelf) VALUES ('apple', 4), ('pear', 5), ('apple', 7)").await.unwrap();
    ctx
}

/// A record without a key is no row of a table, which is counted.
#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_are_counted() {
    let world = World::new().await;
    let shelves = world.json("shelves").key_column("item", DataType::Utf8).value_column("shelf", DataType::Int32);
    world.create("shelves", 1);
    let value = br#"{"shelf": 1}"#.as_slice();
    let records = [(Some(b"apple".as_slice()), Some(value)), (None, Some(value)), (None, None)];
    world.produce("shelves", 1_000, &records);
    let table = shelves.latest_per_key().build().await.unwrap();
    let ctx = context([("shelves", &table)]);
    assert_eq!(ask(&ctx, "SELECT item, shelf FROM shelves").await, ["| item  | shelf |", "| apple | 1     |"]);
    assert_eq!(table.progress().snapshot().keyless, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_filters_groups_and_joins() {
    let world = World::new().await;
    let ctx = fruit(&world).await;
    let filtered = ask(&ctx, "SELECT id, price FROM orders WHERE item = 'apple' AND price > 0.39").await;
    assert_eq!(filtered, ["| id | price |", "| 1  | 0.4   |"]);
    let grouped = "SELECT item, COUNT(*) AS n, MAX(price) AS dearest FROM orders GROUP BY item ORDER BY item";
    let expected =
        ["| item  | n | dearest |", "| apple | 2 | 0.4     |", "| pear  | 1 | 0.55    |", "|       | 1 |         |"];
    assert_eq!(ask(&ctx, grouped).await, expected);
    let joined = "SELECT o.id, s.shelf FROM orders o JOIN shelves s ON o.item = s.item ORDER BY o.id";
    assert_eq!(ask(&ctx, joined).await, ["| id | shelf |", "| 1  | 7     |", "| 2  | 5     |", "| 3  | 7     |"]);
    let count = "SELECT COUNT(*) AS n FROM orders WHERE id IN (SELECT id FROM orders WHERE price < 0.5)";
    assert_eq!(ask(&ctx, count).await, ["| n |", "| 2 |"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_frames_do_what_sql_does() {
    let world = World::new().await;
    let ctx = fruit(&world).await;
    let orders = ctx.table("orders").await.unwrap();
    let sold = orders.clone().filter(col("price").gt(lit(0.39))).unwrap();
    let sold = sold.aggregate(vec![col("item")], vec![sum(col("price")).alias("total")]).unwrap();
    let sold = sold.sort(vec![col("total").sort(false, false)]).unwrap().collect().await.unwrap();
    assert_eq!(shown(&sold), ["| item  | total |", "| pear  | 0.55  |", "| apple | 0.4   |"]);
    let shelves = ctx.table("shelves").await.unwrap().select(vec![col("item").alias("what"), col("shelf")]).unwrap();
    let joined = orders.join(shelves, JoinType::Left, &["item"], &["what"], None).unwrap();
    let joined = joined.filter(col("shelf").eq(lit(5))).unwrap().select(vec![col("id"), ident(ROWTIME)]).unwrap();
    assert_eq!(joined.collect().await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}

/// Numbers in two partitions, with rising timestamps.
async fn numbers(world: &World, count: usize) -> KafkaTable {
    world.create("n", 2);
    let table = world.json("n").key_column("k", DataType::Int32).value_column("n", DataType::Int64);
    let table = table.build().await.unwrap();
    let records: Vec<_> = (0..count).map(|n| ((n as u32).to_be_bytes(), format!("{{\"n\": {n}}}"))).collect();
    let records: Vec<_> = records.iter().map(|(key, value)| (Some(&key[..]), Some(value.as_bytes()))).collect();
    world.produce("n", 1_000_000, &records);
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_rows_cost_little_reading() {
    let world = World::new().await;
    let table = numbers(&world, 20_000).await;
    let newest = "SELECT n FROM n ORDER BY \"ROWTIME\" DESC LIMIT 10";
    let read = async |ctx: &SessionContext| {
        let progress = Arc::new(Progress::default());
        ctx.deregister_table("n").unwrap();
        ctx.register_table("n", Arc::new(table.with_progress(progress.clone()))).unwrap();
        let rows = sql(ctx, newest).await.unwrap();
        let rows = arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
        let numbers: Vec<i64> = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(numbers, (19_990..20_000).rev().collect::<Vec<i64>>());
        progress.snapshot().records_read
    };
    assert_eq!(read(&SessionContext::new()).await, 20_000);
    let few = read(&context([])).await;
    assert!(few < 2_000, "{few} records were read");
    let frame = context([]).read_table(Arc::new(table.clone())).unwrap();
    let sorted = frame.sort(vec![ident(ROWTIME).sort(false, false)]).unwrap().limit(0, Some(10)).unwrap();
    assert_eq!(sorted.collect().await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    assert!(table.progress().snapshot().records_read < 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn predicates_on_addresses_bound_what_is_read() {
    let world = World::new().await;
    let table = numbers(&world, 1_000).await;
    let ctx = context([("n", &table)]);
    let late = "SELECT COUNT(*) AS n FROM n WHERE \"ROWTIME\" >= 1000990";
    assert_eq!(ask(&ctx, late).await, ["| n  |", "| 10 |"]);
    assert_eq!(table.progress().snapshot().records_read, 10);
    let one = Expr::Column(Column::from_name(ROWOFFSET)).eq(lit(7_i64)).and(ident("ROWPARTITION").eq(lit(1)));
    let rows = ctx.table("n").await.unwrap().filter(one).unwrap().collect().await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    assert_eq!(table.progress().snapshot().records_read, 11);
    let plan = ask(&ctx, "EXPLAIN SELECT n FROM n WHERE \"ROWPARTITION\" = 5").await.join("\n");
    assert!(plan.contains("TopicScanExec: topic=n") && plan.contains("offsets_skipped=1000"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_latest_record_of_each_key() {
    let world = World::new().await;
    let ctx = fruit(&world).await;
    let all = "SELECT item, shelf FROM shelves ORDER BY item";
    assert_eq!(ask(&ctx, all).await, ["| item  | shelf |", "| apple | 7     |", "| pear  | 5     |"]);
    // A record that the predicate rules out still supersedes the earlier one.
    assert_eq!(ask(&ctx, "SELECT COUNT(*) AS n FROM shelves WHERE shelf = 4").await, ["| n |", "| 0 |"]);
    world.produce("shelves", 1, &[(Some(b"pear"), None)]);
    assert_eq!(ask(&ctx, all).await, ["| item  | shelf |", "| apple | 7     |"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_are_counted_with_their_addresses() {
    let world = World::new().await;
    let table = world.orders("orders", 1).build().await.unwrap();
    let value = |text: &'static str| Some(text.as_bytes());
    let key = Some(&[0, 0, 0, 0, 0, 0, 0, 9][..]);
    let records = [(key, value("{\"item\": \"fig\"}")), (key, value("broken")), (Some(&b"short"[..]), value("{}"))];
    world.produce("orders", 1, &records);
    let ctx = context([("orders", &table)]);
    assert_eq!(ask(&ctx, "SELECT id, item FROM orders").await, ["| id | item |", "| 9  | fig  |"]);
    let (seen, rejects) = (table.progress().snapshot(), table.progress().rejects());
    assert_eq!((seen.records_read, seen.rejects), (3, 2));
    let mut addresses: Vec<_> = rejects.iter().map(|bad| (bad.origin.to_string(), bad.offset, bad.side)).collect();
    addresses.sort();
    assert_eq!(addresses, [("orders[0]".to_owned(), 1, Side::Value), ("orders[0]".to_owned(), 2, Side::Key)]);
    assert!(rejects.iter().all(|bad| !bad.reason.is_empty()));
    // Each query has its own counters, if requested.
    let progress = Arc::new(Progress::default());
    ctx.read_table(Arc::new(table.with_progress(progress.clone()))).unwrap().collect().await.unwrap();
    assert_eq!((progress.snapshot().rejects, table.progress().snapshot().rejects), (2, 2));
    let analyzed = ask(&ctx, "EXPLAIN ANALYZE SELECT id FROM orders").await.join("\n");
    assert!(analyzed.contains("rejects=2"), "{analyzed}");
}

/// Records of an open transaction are read only on request.
#[tokio::test(flavor = "multi_thread")]
async fn committed_records_are_read_unless_told_otherwise() {
    let world = World::new().await;
    let committed = world.orders("orders", 1).build().await.unwrap();
    let all = world.json("orders").value_column("item", DataType::Utf8).isolation(Isolation::ReadUncommitted);
    let all = all.build().await.unwrap();
    let ctx = context([("committed", &committed), ("everything", &all)]);
    let options = SinkOptions { transactional_id: Some("open".to_owned()), ..SinkOptions::default() };
    let _open = tokio::task::block_in_place(|| {
        let mut sink = world.cluster.open_sink(options).unwrap();
        sink.begin().unwrap();
        sink.write(&records_of("{}", None)).unwrap();
        sink.flush(Duration::from_secs(30)).unwrap();
        sink
    });
    assert_eq!(ask(&ctx, "SELECT COUNT(*) AS n FROM committed").await[1], "| 0 |");
    assert_eq!(ask(&ctx, "SELECT COUNT(*) AS n FROM everything").await[1], "| 1 |");
}

/// One record without a key.
fn records_of(value: &str, headers: Option<ListArray>) -> OutBatch {
    OutBatch {
        topic: "orders".into(),
        partitions: None,
        keys: BinaryArray::from_opt_vec(vec![None]),
        values: BinaryArray::from_opt_vec(vec![Some(value.as_bytes())]),
        timestamps_ms: None,
        headers,
    }
}

/// Headers are columns that queries can read and statements cannot write.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_columns() {
    let world = World::new().await;
    let table = world.orders("orders", 1).header_column("trace", "trace").headers_column("all").build().await.unwrap();
    let ctx = context([("orders", &table)]);
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    let headers = [header("trace", "a1"), header("other", "x"), header("trace", "b2")];
    world.send(&records_of("{}", Some(header_lists([&headers[..]]))));
    let read = ask(&ctx, "SELECT trace, cardinality(\"all\") AS n FROM orders").await;
    assert_eq!(read, ["| trace | n |", "| 6232  | 3 |"]);
    assert_eq!(ask(&ctx, "INSERT INTO orders (id) VALUES (1)").await[1], "| 1     |");
    let refused = refusal(&ctx, "INSERT INTO orders (trace) VALUES (X'00')").await;
    assert!(refused.contains("column \"trace\" cannot be written"), "{refused}");
}

/// Offsets are frozen when a query is planned: what is written before it runs is not visible.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_what_was_there_when_it_was_planned() {
    let world = World::new().await;
    let ctx = fruit(&world).await;
    let planned = ctx.sql("SELECT id FROM orders").await.unwrap().create_physical_plan().await.unwrap();
    sql(&ctx, FRUIT).await.unwrap();
    let rows = datafusion::physical_plan::collect(planned, ctx.task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    // Therefore a statement that reads the topic it writes to ends.
    let own = sql(&ctx, "INSERT INTO orders (id) SELECT id FROM orders").await.unwrap();
    assert_eq!(shown(&own), ["| count |", "| 8     |"]);
    assert_eq!(ask(&ctx, "SELECT COUNT(*) AS n FROM orders").await, ["| n  |", "| 16 |"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_rows_stops_the_reading() {
    let world = World::new().await;
    let table = numbers(&world, 50_000).await;
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_batch_size(100).with_target_partitions(2));
    let plan = ctx.read_table(Arc::new(table.clone())).unwrap().create_physical_plan().await.unwrap();
    let mut rows = execute_stream(plan, ctx.task_ctx()).unwrap();
    assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
    drop(rows);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let read = table.progress().snapshot().records_read;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(table.progress().snapshot().records_read, read);
    assert!(read < 20_000, "{read} records were read");
}

/// A topic that is created again between planning and reading is a different topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_created_again_fails_the_query() {
    let world = World::new().await;
    let ctx = fruit(&world).await;
    let planned = ctx.sql("SELECT id FROM orders").await.unwrap().create_physical_plan().await.unwrap();
    tokio::task::block_in_place(|| world.cluster.admin().delete_topic("orders")).unwrap();
    world.create("orders", 3);
    let value = Some(&b"{}"[..]);
    world.produce("orders", 1, &[(None, value); 60]);
    let failed = datafusion::physical_plan::collect(planned, ctx.task_ctx()).await.unwrap_err();
    assert!(failed.to_string().contains("was deleted and created again"), "{failed}");
    let noting = world.json("orders").value_column("item", DataType::Utf8).on_loss(OnLoss::Note);
    let noting = noting.build().await.unwrap();
    let rows = ctx.read_table(Arc::new(noting.clone())).unwrap().collect().await.unwrap();
    assert_eq!((rows.iter().map(RecordBatch::num_rows).sum::<usize>(), noting.progress().lost().len()), (60, 0));
}
