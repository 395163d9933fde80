//! PROTOBUF and JSON_SR with the schemas that ksqlDB registers, beside PROTOBUF_NOSR, JSON and prost, which have no
//! schema to find.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray};
use headwater_formats::format::{FormatKind, Layout, default_full_name, schema_of};
use headwater_formats::record::Side;
use headwater_formats::schema::WriterSchema;

use super::{ALL, Contender, TWO, layout};

const ID: u32 = 7;

/// The payloads of bids that are given as JSON.
pub fn payloads(format: FormatKind, json: &[BinaryArray]) -> Vec<BinaryArray> {
    let mut encoder = format.encoder(&with_schema(format)).expect("the schema was made for the layout");
    let columns = bids(json);
    json.iter().zip(columns).map(|(batch, columns)| encoder.encode(&columns, batch.len(), None).payloads).collect()
}

/// Every way of reading and writing them.
pub fn contenders<'a>(
    names: [&'static str; 3],
    format: FormatKind,
    payloads: &'a [BinaryArray],
    json: &[BinaryArray],
) -> Vec<Contender<'a>> {
    let bids: Arc<[Vec<ArrayRef>]> = bids(json).into();
    vec![
        Contender::new(names[0], payloads, read(format, &TWO)),
        Contender::new(names[1], payloads, read(format, &ALL)),
        Contender::new(names[2], payloads, written(format, bids)),
    ]
}

/// The columns of each batch.
fn bids(json: &[BinaryArray]) -> Vec<Vec<ArrayRef>> {
    let mut decoder = FormatKind::Json.decoder(&layout(), &ALL).expect("the format holds a bid");
    json.iter().map(|batch| decoder.decode(batch).columns).collect()
}

fn with_schema(format: FormatKind) -> Layout {
    let kind = format.schema_kind().expect("the format has schemas");
    let schema = schema_of(kind, &layout(), &default_full_name(kind, Side::Value, "")).expect("it holds a bid");
    let writer = WriterSchema { id: Some(ID), schema: Arc::new(schema), full_name: None };
    Layout { schema: Some(Arc::new(writer)), ..layout() }
}

fn read(format: FormatKind, projection: &[usize]) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let mut decoder = format.decoder(&with_schema(format), projection).expect("the format holds a bid");
    move |batch| {
        assert!(decoder.missing_schemas(batch).is_empty(), "the schema is known");
        let decoded = decoder.decode(batch);
        assert!(decoded.bad.is_empty(), "every bid is good");
        decoded.columns
    }
}

fn written(format: FormatKind, bids: Arc<[Vec<ArrayRef>]>) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let mut encoder = format.encoder(&with_schema(format)).expect("the schema was made for the layout");
    let mut turn = (0..bids.len()).cycle();
    move |batch| {
        let columns = &bids[turn.next().expect("turns do not end")];
        vec![Arc::new(encoder.encode(columns, batch.len(), None).payloads)]
    }
}
