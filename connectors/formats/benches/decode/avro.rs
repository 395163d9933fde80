//! AVRO beside arrow-avro: the same payloads, with a schema id in front and every field a union with null, as ksqlDB
//! writes them.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch};
use arrow::datatypes::Schema;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{
    AvroSchema as PeerSchema, Fingerprint, FingerprintAlgorithm, FingerprintStrategy, SchemaStore,
};
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroSoeFormat;
use headwater_formats::format::FormatKind;
use headwater_formats::format::avro::{AvroSchema, decoder, encoder, schema_of};
use headwater_formats::schema;

use super::{ALL, BATCH_ROWS, Contender, TWO, layout};

const ID: u32 = 7;

/// The payloads of bids that are given as JSON.
pub fn payloads(json: &[BinaryArray]) -> Vec<BinaryArray> {
    let mut encoder = encoder(&layout(), &parsed(), Some(ID)).expect("the schema was made for the layout");
    let columns = bids(json);
    json.iter().zip(columns).map(|(batch, columns)| encoder.encode(&columns, batch.len(), None).payloads).collect()
}

/// Every way of reading and writing them.
pub fn contenders<'a>(payloads: &'a [BinaryArray], json: &[BinaryArray]) -> Vec<Contender<'a>> {
    let bids: Arc<[Vec<ArrayRef>]> = bids(json).into();
    vec![
        Contender::new("headwater AVRO, 2 of 7 fields", payloads, ours(&TWO)),
        Contender::new("headwater AVRO, all 7 fields", payloads, ours(&ALL)),
        Contender::new("headwater AVRO, written", payloads, ours_written(bids.clone())),
        Contender::new("arrow-avro, 2 of 7 fields", payloads, peer(&TWO)),
        Contender::new("arrow-avro, all 7 fields", payloads, peer(&ALL)),
        Contender::new("arrow-avro, written", payloads, peer_written(bids)),
    ]
}

/// The columns of each batch.
fn bids(json: &[BinaryArray]) -> Vec<Vec<ArrayRef>> {
    let mut decoder = FormatKind::Json.decoder(&layout(), &ALL).expect("the format holds a bid");
    json.iter().map(|batch| decoder.decode(batch).columns).collect()
}

fn text() -> String {
    schema_of(&layout(), "Bid").expect("Avro holds a bid")
}

fn parsed() -> AvroSchema {
    AvroSchema::parse_text(&text()).expect("it was generated")
}

fn ours(projection: &[usize]) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let mut decoder = decoder(&layout(), projection).expect("Avro holds a bid");
    let schema = schema::Schema { kind: schema::SchemaKind::Avro, text: text().into(), references: Vec::new() };
    decoder.learn(ID, Ok(Arc::new(schema)));
    move |batch| {
        assert!(decoder.missing_schemas(batch).is_empty(), "the schema is known");
        let decoded = decoder.decode(batch);
        assert!(decoded.bad.is_empty(), "every bid is good");
        decoded.columns
    }
}

fn ours_written(bids: Arc<[Vec<ArrayRef>]>) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let mut encoder = encoder(&layout(), &parsed(), Some(ID)).expect("the schema was made for the layout");
    let mut turn = (0..bids.len()).cycle();
    move |batch| {
        let columns = &bids[turn.next().expect("turns do not end")];
        vec![Arc::new(encoder.encode(columns, batch.len(), None).payloads)]
    }
}

fn peer(projection: &[usize]) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(ID), PeerSchema::new(text())).expect("the peer has an id for it");
    let mut decoder = ReaderBuilder::new()
        .with_writer_schema_store(store)
        .with_projection(projection.to_vec())
        .with_batch_size(BATCH_ROWS)
        .build_decoder()
        .expect("the peer reads the schema");
    move |batch| {
        // Payloads end to end are what it reads.
        let read = decoder.decode(batch.values()).expect("every bid is good");
        assert_eq!(read, batch.values().len(), "a batch is read whole");
        decoder.flush().expect("every bid is good").expect("there are rows").columns().to_vec()
    }
}

fn peer_written(bids: Arc<[Vec<ArrayRef>]>) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let schema = Arc::new(Schema::new(layout().fields));
    let mut encoder = WriterBuilder::new(schema.as_ref().clone())
        .with_fingerprint_strategy(FingerprintStrategy::Id(ID))
        .build_encoder::<AvroSoeFormat>()
        .expect("the peer writes a bid");
    let mut turn = (0..bids.len()).cycle();
    move |_| {
        let columns = bids[turn.next().expect("turns do not end")].clone();
        let batch = RecordBatch::try_new(schema.clone(), columns).expect("equal lengths");
        encoder.encode(&batch).expect("the peer writes a bid");
        black_box(encoder.flush());
        Vec::new()
    }
}
