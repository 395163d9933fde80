//! Statements that append to topics: every type written and read back, transactions, and what is rejected.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch, StringViewArray, new_null_array};
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::prelude::{SessionContext, ident};
use headwater_connectors::table::{KafkaTable, KafkaTableBuilder};
use headwater_connectors::transport::{SinkOptions, TransportError};
use headwater_formats::decode::ROWOFFSET;
use headwater_formats::record::partitioner::partition_of;

use super::world::{World, ask, context, refusal, shown, sql};

/// A column of each scalar type, with two values as JSON.
fn scalars() -> Vec<(DataType, [&'static str; 2])> {
    vec![
        (DataType::Boolean, ["true", "false"]),
        (DataType::Int32, ["-2147483648", "7"]),
        (DataType::Int64, ["9223372036854775807", "-7"]),
        (DataType::Float64, ["0.1", "-1e300"]),
        (DataType::Decimal128(9, 2), ["\"1234567.89\"", "\"-0.05\""]),
        (DataType::Decimal256(50, 3), ["\"12345678901234567890123456789012345678901.125\"", "\"0.001\""]),
        (DataType::Utf8, ["\"Zoë, \\\"quoted\\\"\"", "\" two\\nlines \""]),
        (DataType::Binary, ["\"00ff10\"", "\"2c22\""]),
        (DataType::Date32, ["\"2024-02-29\"", "\"1969-12-31\""]),
        (DataType::Time32(TimeUnit::Millisecond), ["\"23:59:59.123\"", "\"00:00:00\""]),
        (DataType::Timestamp(TimeUnit::Millisecond, None), ["\"2024-02-29T12:00:00.123\"", "\"1969-12-31T23:59:59\""]),
    ]
}

fn nested() -> Vec<(DataType, [&'static str; 2])> {
    let fields = Fields::from(vec![
        Field::new("city", DataType::Utf8, true),
        Field::new("at", DataType::new_list(DataType::Float64, true), true),
    ]);
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    vec![
        (DataType::new_list(DataType::Int32, true), ["[1, null, 3]", "[]"]),
        (DataType::Map(entries, false), ["{\"a\": \"2024-02-29T12:00:00.123\"}", "{\"b\": null}"]),
        (DataType::Struct(fields), ["{\"city\": \"Porto\", \"at\": [41.1, -8.6]}", "{\"city\": null, \"at\": null}"]),
    ]
}

/// Two rows with values and one with NULLs, and a column for each type.
fn rows_of(types: &[(DataType, [&str; 2])]) -> RecordBatch {
    let fields: Vec<Field> = (0..).zip(types).map(|(n, (t, _))| Field::new(format!("c{n}"), t.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let line = |at: usize| {
        let cells: Vec<String> = (0..).zip(types).map(|(n, (_, values))| format!("\"c{n}\": {}", values[at])).collect();
        format!("{{{}}}\n", cells.join(", "))
    };
    let text = [line(0), line(1)].concat();
    let rows = ReaderBuilder::new(schema.clone()).build(text.as_bytes()).unwrap().next().unwrap().unwrap();
    let with_nulls = |column: &ArrayRef| concat(&[column, &new_null_array(column.data_type(), 1)]).unwrap();
    RecordBatch::try_new(schema, rows.columns().iter().map(with_nulls).collect()).unwrap()
}

/// Writes rows with a DataFrame, and reads them back.
async fn there_and_back(world: &World, topic: &str, format: &str, rows: &RecordBatch) -> (KafkaTable, RecordBatch) {
    world.create(topic, 1);
    let table = KafkaTable::on(world.cluster.clone(), topic).value_format(format);
    let table = table.schema::<&str>(&rows.schema(), []).without_address_columns().build().await.unwrap();
    let ctx = context([("t", &table)]);
    let frame = ctx.read_batch(rows.clone()).unwrap();
    let counted = frame.write_table("t", DataFrameWriteOptions::new()).await.unwrap();
    assert_eq!(shown(&counted)[1], format!("| {:<5} |", rows.num_rows()));
    let read = ctx.table("t").await.unwrap().collect().await.unwrap();
    let read = concat_batches(&rows.schema(), &read).unwrap();
    (table, read)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_carries_every_type() {
    let world = World::new().await;
    let rows = rows_of(&[scalars(), nested()].concat());
    let (table, read) = there_and_back(&world, "json", "JSON", &rows).await;
    assert_eq!(read, rows);
    assert_eq!(table.progress().rejects(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn delimited_carries_every_scalar() {
    let world = World::new().await;
    let rows = rows_of(&scalars());
    let (_, read) = there_and_back(&world, "lines", "DELIMITED", &rows).await;
    assert_eq!(read, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_carries_one_column_of_each_of_its_types() {
    let world = World::new().await;
    let held = [DataType::Int32, DataType::Int64, DataType::Float64, DataType::Utf8, DataType::Binary];
    for (n, column) in scalars().into_iter().filter(|(data_type, _)| held.contains(data_type)).enumerate() {
        let rows = rows_of(&[column]);
        let (table, read) = there_and_back(&world, &format!("bare{n}"), "KAFKA", &rows).await;
        // A NULL value is a record without a value, which is not a row.
        assert_eq!(read, rows.slice(0, 2));
        assert_eq!(table.progress().snapshot().valueless, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_the_java_client_puts_them() {
    let world = World::new().await;
    let table = world.orders("orders", 5).build().await.unwrap();
    let ctx = context([("orders", &table)]);
    let ids: Vec<String> = (0..40).map(|id| format!("({id}, NULL)")).collect();
    sql(&ctx, &format!("INSERT INTO orders (id, item) VALUES {}", ids.join(", "))).await.unwrap();
    let placed = sql(&ctx, "SELECT id, CAST(\"ROWPARTITION\" AS BIGINT) FROM orders ORDER BY id").await.unwrap();
    let placed = concat_batches(&placed[0].schema(), &placed).unwrap();
    let column = |at: usize| placed.column(at).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
    let expected: Vec<i64> = column(0).iter().map(|id| i64::from(partition_of(&id.to_be_bytes(), 5))).collect();
    assert_eq!((column(0).len(), column(1)), (40, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_orders_and_missing_columns() {
    let world = World::new().await;
    let table = world.orders("orders", 1).build().await.unwrap();
    let ctx = context([("orders", &table)]);
    let insert = "INSERT INTO orders (\"ROWTIME\", item) SELECT * FROM (VALUES (3000, 'c'), (1000, 'a'), (2000, 'b'))
                  AS t (at, item) ORDER BY at";
    assert_eq!(ask(&ctx, insert).await, ["| count |", "| 3     |"]);
    let read = "SELECT id, item, \"ROWTIME\" FROM orders ORDER BY \"ROWOFFSET\"";
    let expected =
        ["| id | item | ROWTIME |", "|    | a    | 1000    |", "|    | b    | 2000    |", "|    | c    | 3000    |"];
    assert_eq!(ask(&ctx, read).await, expected);
    let negative = refusal(&ctx, "INSERT INTO orders (\"ROWTIME\") VALUES (-5)").await;
    assert!(negative.contains("row 1 cannot be written to topic \"orders\": ROWTIME is -5"), "{negative}");
    let address = refusal(&ctx, "INSERT INTO orders (id, \"ROWOFFSET\") VALUES (1, 7)").await;
    assert!(address.contains("column \"ROWOFFSET\" cannot be written"), "{address}");
    assert_eq!(
        ask(&ctx, "INSERT INTO orders (id) SELECT id FROM orders WHERE false").await,
        ["| count |", "| 0     |"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_take_the_time_of_their_column() {
    let world = World::new().await;
    world.create("t", 1);
    let build = |builder: KafkaTableBuilder| builder.value_column("at", DataType::Utf8);
    let table = build(world.json("t")).event_time_text("at", "yyyy-MM-dd").build().await.unwrap();
    let ctx = context([("t", &table), ("raw", &build(world.json("t")).build().await.unwrap())]);
    sql(&ctx, "INSERT INTO t (at) VALUES ('1970-01-02')").await.unwrap();
    for table in ["t", "raw"] {
        assert_eq!(ask(&ctx, &format!("SELECT \"ROWTIME\" FROM {table}")).await[1], "| 86400000 |");
    }
    let bad = refusal(&ctx, "INSERT INTO t (at) VALUES ('1970-01-03'), ('yesterday')").await;
    assert!(bad.starts_with("nothing was written to topic \"t\"\ncaused by\n"), "{bad}");
    assert!(bad.contains("row 2 cannot be written to topic \"t\": the timestamp column holds \"yesterday\""), "{bad}");
}

/// What other clients see in the records.
#[tokio::test(flavor = "multi_thread")]
async fn formats_are_laid_out_as_they_are_described() {
    let world = World::new().await;
    world.create("t", 1);
    let build = || KafkaTable::on(world.cluster.clone(), "t").value_column("a", DataType::Utf8);
    let lines = build().value_column("b", DataType::Int32).value_format("DELIMITED").value_delimiter("TAB");
    let lines = lines.build().await.unwrap();
    let bare = build().value_format("JSON").wrap_single_value(false);
    let bare = bare.key_column("k", DataType::Int32).key_column("l", DataType::Utf8).key_format("JSON");
    let bare = bare.build().await.unwrap();
    let raw = build().value_format("KAFKA").key_column("k", DataType::Utf8).build().await.unwrap();
    let ctx = context([("lines", &lines), ("bare", &bare), ("raw", &raw)]);
    sql(&ctx, "INSERT INTO lines (a, b) VALUES ('x', 5)").await.unwrap();
    sql(&ctx, "INSERT INTO bare (k, l, a) VALUES (1, 'one', 'y')").await.unwrap();
    sql(&ctx, "INSERT INTO bare (k, a) VALUES (1, NULL)").await.unwrap();
    let rows = ask(&ctx, "SELECT k, replace(a, chr(9), '<TAB>') AS a FROM raw ORDER BY \"ROWOFFSET\"").await;
    // The last record has no value, and is not a row.
    let expected = [
        "| k                 | a       |",
        "|                   | x<TAB>5 |",
        "| {\"k\":1,\"l\":\"one\"} | \"y\"     |",
    ];
    assert_eq!(rows, expected);
    assert_eq!(ask(&ctx, "SELECT k, l, a FROM bare").await, ["| k | l   | a |", "| 1 | one | y |"]);
}

/// A NULL that is the whole value deletes its key from a table.
#[tokio::test(flavor = "multi_thread")]
async fn a_null_value_deletes_a_key() {
    let world = World::new().await;
    world.create("t", 2);
    let table = KafkaTable::on(world.cluster.clone(), "t").value_format("KAFKA").latest_per_key();
    let table = table.key_column("k", DataType::Utf8).value_column("v", DataType::Int64).build().await.unwrap();
    let ctx = context([("t", &table)]);
    sql(&ctx, "INSERT INTO t (k, v) VALUES ('a', 1), ('b', 2)").await.unwrap();
    sql(&ctx, "INSERT INTO t (k, v) VALUES ('a', NULL)").await.unwrap();
    assert_eq!(ask(&ctx, "SELECT k, v FROM t").await, ["| k | v |", "| b | 2 |"]);
}

/// Records can only be appended: DataFusion's other kinds of writes are rejected by name.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_an_append_is_refused() {
    let world = World::new().await;
    let table = world.orders("orders", 1).without_address_columns().build().await.unwrap();
    let ctx = context([("orders", &table)]);
    let overwrite = refusal(&ctx, "INSERT OVERWRITE orders VALUES (1, 'fig', 2.0)").await;
    let expected = "Insert Overwrite is not possible: records can only be appended to topic \"orders\"";
    assert!(overwrite.contains(expected), "{overwrite}");
    let frame = ctx.table("orders").await.unwrap();
    let replace = DataFrameWriteOptions::new().with_insert_operation(InsertOp::Replace);
    let replaced = frame.write_table("orders", replace).await.unwrap_err().to_string();
    assert!(replaced.contains("Replace Into is not possible"), "{replaced}");
    assert!(refusal(&ctx, "DELETE FROM orders").await.contains("not supported"));
    assert_eq!(ask(&ctx, "INSERT INTO orders VALUES (1, 'fig', 2.0)").await[1], "| 1     |");
}

/// The columns of a DataFrame are matched by name; a type that would lose information is rejected before anything is
/// written.
#[tokio::test(flavor = "multi_thread")]
async fn data_frames_are_checked_before_they_are_written() {
    let world = World::new().await;
    let table = world.orders("orders", 1).build().await.unwrap();
    let ctx = context([("orders", &table)]);
    let write = async |columns: Vec<(&str, ArrayRef)>| {
        let frame = ctx.read_batch(RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let written = frame.write_table("orders", DataFrameWriteOptions::new()).await;
        written.map(|rows| shown(&rows)[1].clone()).map_err(|error| error.strip_backtrace())
    };
    let (id, item): (ArrayRef, ArrayRef) =
        (Arc::new(Int32Array::from(vec![5])), Arc::new(StringViewArray::from(vec!["fig"])));
    assert_eq!(write(vec![("item", item.clone()), ("id", id.clone())]).await.unwrap(), "| 1     |");
    let unknown = write(vec![("ITEM", item.clone())]).await.unwrap_err();
    assert!(
        unknown.contains("column \"ITEM\" does not exist; the columns are \"id\", \"item\", \"price\""),
        "{unknown}"
    );
    let text = write(vec![("item", id)]).await.unwrap_err();
    assert!(text.contains("column \"item\" is of type STRING, but the rows have type INT: add a CAST"), "{text}");
    assert_eq!(ask(&ctx, "SELECT id, item FROM orders").await[1..], ["| 5  | fig  |"]);
    let copied = ctx.table("orders").await.unwrap().write_table("orders", DataFrameWriteOptions::new()).await;
    let copied = copied.unwrap_err().strip_backtrace();
    assert!(copied.contains("column \"ROWPARTITION\" cannot be written"), "{copied}");
    let plain = ctx.table("orders").await.unwrap().drop_columns(&["ROWPARTITION", ROWOFFSET]).unwrap();
    plain.sort(vec![ident("ROWTIME").sort(true, true)]).unwrap();
}

/// A table with its own connections gives its transactions more time than the transport's default.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_its_own_connections_writes_transactions() {
    let world = World::new().await;
    world.create("orders", 1);
    let table = KafkaTable::builder(&world.brokers, "orders").value_column("n", DataType::Int64).value_format("json");
    let table = table.transactional_id("loader").build().await.unwrap();
    let ctx = context([("orders", &table)]);
    assert_eq!(ask(&ctx, "INSERT INTO orders (n) VALUES (1), (2)").await[1], "| 2     |");
    let plan = ask(&ctx, "EXPLAIN INSERT INTO orders (n) VALUES (1)").await.join("\n");
    assert!(plan.contains("TopicSink: topic=orders, transactional_id=loader"), "{plan}");
    assert_eq!(ask(&ctx, "SELECT n FROM orders ORDER BY n").await, ["| n |", "| 1 |", "| 2 |"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transactional_statement_writes_all_or_nothing() {
    let world = World::new().await;
    let table = world.orders("orders", 2).transactional_id("loader").build().await.unwrap();
    let shelves = world.orders("keyed", 2).latest_per_key().transactional_id("keyed").build().await.unwrap();
    let ctx = context([("orders", &table), ("keyed", &shelves)]);
    // In one partition, rows are in order: the first batch is sent, the second cannot be.
    ctx.state_ref().write().config_mut().options_mut().execution.target_partitions = 1;
    let count = "SELECT COUNT(*) AS n FROM orders";
    let failing = "INSERT INTO keyed (id) SELECT CASE WHEN n < 9000 THEN n END FROM generate_series(1, 9999) AS t (n)";
    let failed = refusal(&ctx, failing).await;
    assert!(failed.contains("nothing was written to topic \"keyed\": the transaction was rolled back"), "{failed}");
    assert!(failed.contains(" cannot be written to topic \"keyed\": key column \"id\" cannot be NULL"), "{failed}");
    assert_eq!(ask(&ctx, "SELECT COUNT(*) AS n FROM keyed").await[1], "| 0 |");
    // A query that fails halfway is also rolled back; the next statement works.
    let divides = "INSERT INTO orders (id) SELECT 1 / (9000 - n) FROM generate_series(1, 9999) AS t (n)";
    let failed = refusal(&ctx, divides).await;
    assert!(failed.contains("rolled back") && failed.contains("Divide by zero"), "{failed}");
    assert_eq!(ask(&ctx, count).await[1], "| 0 |");
    let series = "INSERT INTO orders (id) SELECT n FROM generate_series(1, 20000) AS t (n)";
    let (first, second) = tokio::join!(ask(&ctx, series), ask(&ctx, series));
    assert_eq!([first, second].concat(), ["| count |", "| 20000 |", "| count |", "| 20000 |"]);
    assert_eq!(ask(&ctx, count).await[1], "| 40000 |");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transaction_the_error_says_what_may_be_there() {
    let world = World::new().await;
    let table = world.orders("orders", 2).latest_per_key().build().await.unwrap();
    let ctx = context([("orders", &table)]);
    ctx.state_ref().write().config_mut().options_mut().execution.target_partitions = 1;
    let failing = "INSERT INTO orders (id) SELECT CASE WHEN n < 9000 THEN n END FROM generate_series(1, 9999) AS t (n)";
    let failed = refusal(&ctx, failing).await;
    assert!(failed.contains("up to 8192 rows of the statement may have been written to topic \"orders\""), "{failed}");
    assert!(failed.contains("row 9000 cannot be written"), "{failed}");
}

/// A cancelled statement is rolled back, and the next one can run.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_is_rolled_back() {
    let world = World::new().await;
    let table = world.orders("orders", 1).transactional_id("loader").build().await.unwrap();
    let ctx = context([("orders", &table)]);
    let endless = "INSERT INTO orders (id) SELECT a.n FROM generate_series(1, 100000) AS a (n), generate_series(1, 100000) AS b (n)";
    let running = tokio::time::timeout(std::time::Duration::from_secs(2), sql(&ctx, endless)).await;
    assert!(running.is_err(), "it is endless");
    assert_eq!(ask(&ctx, "INSERT INTO orders (id) VALUES (1)").await[1], "| 1     |");
    assert_eq!(ask(&ctx, "SELECT COUNT(*) AS n FROM orders").await[1], "| 1 |");
}

/// Another owner of the transactional id ends the running statement, of which nothing becomes visible.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_id_is_taken_fails_as_fenced() {
    let world = World::new().await;
    let table = world.orders("orders", 1).transactional_id("loader").build().await.unwrap();
    let ctx = context([("orders", &table)]);
    sql(&ctx, "INSERT INTO orders (id) VALUES (1)").await.unwrap();
    let options = SinkOptions { transactional_id: Some("loader".to_owned()), ..SinkOptions::default() };
    let _thief = tokio::task::block_in_place(|| world.cluster.open_sink(options)).unwrap();
    let failed = sql(&ctx, "INSERT INTO orders (id) VALUES (2)").await.unwrap_err();
    let datafusion::error::DataFusionError::External(cause) = failed.find_root() else { panic!("{failed}") };
    assert!(cause.downcast_ref::<TransportError>().is_some(), "{cause}");
    assert_eq!(ask(&ctx, "INSERT INTO orders (id) VALUES (3)").await[1], "| 1     |");
    assert_eq!(ask(&ctx, "SELECT id FROM orders ORDER BY id").await, ["| id |", "| 1  |", "| 3  |"]);
}

/// Records that the broker rejects are an error of the statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_fails_the_statement() {
    let world = World::new().await;
    let topic = headwater_connectors::transport::NewTopic {
        name: "small".to_owned(),
        partitions: 1,
        replicas: None,
        settings: [("max.message.bytes".to_owned(), "1000".to_owned())].into(),
    };
    tokio::task::block_in_place(|| world.cluster.admin().create_topic(&topic)).unwrap();
    let table = world.json("small").value_column("text", DataType::Utf8).build().await.unwrap();
    let ctx = SessionContext::new();
    ctx.register_table("small", Arc::new(table)).unwrap();
    let failed = refusal(&ctx, "INSERT INTO small (text) VALUES (repeat('x', 5000))").await;
    assert!(failed.contains("could not be delivered to small[0]"), "{failed}");
    assert_eq!(ask(&ctx, "INSERT INTO small (text) VALUES ('x')").await[1], "| 1     |");
}
