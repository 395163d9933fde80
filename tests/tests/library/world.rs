//! A broker with topics, and a context over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{BinaryArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::pretty::pretty_format_batches;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use headwater_broker::{Broker, Config};
use headwater_connectors::table::{KafkaTable, KafkaTableBuilder, register_optimizer};
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::{NewTopic, SinkOptions, Transport};
use headwater_formats::record::OutBatch;

/// Key and value of a record.
pub type Record<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// An embedded broker, and a connection to it.
pub struct World {
    pub brokers: String,
    pub cluster: Arc<dyn Transport>,
    _broker: Broker,
}

impl World {
    pub async fn new() -> Self {
        let broker = Broker::start(Config::in_memory()).await.unwrap();
        let brokers = broker.address().to_string();
        let properties = [("bootstrap.servers".to_owned(), brokers.clone())].into();
        let connected = tokio::task::spawn_blocking(|| KafkaTransport::connect(properties)).await.unwrap();
        Self { brokers, cluster: Arc::new(connected.unwrap()), _broker: broker }
    }

    pub fn create(&self, name: &str, partitions: i32) {
        let topic = NewTopic { name: name.to_owned(), partitions, replicas: None, settings: BTreeMap::new() };
        tokio::task::block_in_place(|| self.cluster.admin().create_topic(&topic)).unwrap();
    }

    /// Writes records as any client would, with rising timestamps starting at `first_ms`.
    pub fn produce(&self, topic: &str, first_ms: i64, records: &[Record<'_>]) {
        let times: Vec<i64> = (first_ms..).take(records.len()).collect();
        let batch = OutBatch {
            topic: topic.into(),
            partitions: None,
            keys: records.iter().map(|(key, _)| *key).collect::<BinaryArray>(),
            values: records.iter().map(|(_, value)| *value).collect::<BinaryArray>(),
            timestamps_ms: Some(times.into()),
            headers: None,
        };
        self.send(&batch);
    }

    /// Writes records unchanged.
    pub fn send(&self, batch: &OutBatch) {
        tokio::task::block_in_place(|| {
            let mut sink = self.cluster.open_sink(SinkOptions::default()).unwrap();
            sink.write(batch).unwrap();
            sink.flush(Duration::from_secs(30)).unwrap();
        });
    }

    /// A builder for a topic with JSON values.
    pub fn json(&self, topic: &str) -> KafkaTableBuilder {
        KafkaTable::on(self.cluster.clone(), topic).value_format("JSON")
    }

    /// Creates a topic for orders: id BIGINT KEY, item, price.
    pub fn orders(&self, topic: &str, partitions: i32) -> KafkaTableBuilder {
        self.create(topic, partitions);
        self.json(topic)
            .key_column("id", DataType::Int64)
            .value_column("item", DataType::Utf8)
            .value_column("price", DataType::Float64)
    }
}

/// A context over tables, with the optimizer's rules.
pub fn context<const N: usize>(tables: [(&str, &KafkaTable); N]) -> SessionContext {
    let ctx = SessionContext::new();
    register_optimizer(&ctx);
    for (name, table) in tables {
        ctx.register_table(name, Arc::new(table.clone())).unwrap();
    }
    ctx
}

/// The rows of a query.
pub async fn sql(ctx: &SessionContext, query: &str) -> Result<Vec<RecordBatch>> {
    ctx.sql(query).await?.collect().await
}

/// The lines of a query's rows, header first.
pub async fn ask(ctx: &SessionContext, query: &str) -> Vec<String> {
    shown(&sql(ctx, query).await.unwrap())
}

/// The text of the error of a query.
pub async fn refusal(ctx: &SessionContext, query: &str) -> String {
    sql(ctx, query).await.unwrap_err().strip_backtrace()
}

/// Rows as lines, header first.
pub fn shown(rows: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(rows).unwrap().to_string();
    text.lines().filter(|line| !line.starts_with('+')).map(str::to_owned).collect()
}
