//! Rows a second through the decoders and encoders, beside arrow-json, serde_json, prost and arrow-avro on the same data
//! in the same run: `cargo bench -p headwater-formats --bench decode [-- ROWS RUNS]`. Words after them choose the
//! contenders whose names contain one of them.
//!
//! The data are Nexmark bids of about 216 bytes. Every contender makes the same Arrow columns of
//! the same payloads in batches of 8,192, on one thread; the runs take turns, so that a slow
//! moment of the machine meets all of them. Time is the CPU's where Linux tells it (waiting for a
//! core on a busy machine does not count). Printed are the fastest, the median and the slowest run,
//! in millions of rows a second of a core, and the median as a ratio to arrow-json, all fields (or to the first one chosen).

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures")]

#[path = "decode/avro.rs"]
mod avro;
#[path = "decode/registered.rs"]
mod registered;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::json::ReaderBuilder;
use headwater_formats::format::{FormatKind, Layout};
use prost::Message;

const BATCH_ROWS: usize = 8192;
/// Bidder and channel.
const TWO: [usize; 2] = [1, 3];
const ALL: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<usize>().ok());
    let rows = numbers.next().unwrap_or(500_000);
    let runs = numbers.next().unwrap_or(9);
    let json = batches(rows, bid_json);
    let delimited = batches(rows, bid_delimited);
    let protobuf: Vec<_> = json.iter().map(bids_protobuf).collect();
    let avro = avro::payloads(&json);
    let registered = [FormatKind::Protobuf, FormatKind::JsonSr].map(|format| registered::payloads(format, &json));
    println!("{rows} bids, {} bytes each as JSON, {runs} runs", json[0].values().len() / json[0].len());
    let mut contenders = vec![
        ours("headwater JSON, 2 of 7 fields", FormatKind::Json, &TWO, &json),
        ours("headwater JSON, all 7 fields", FormatKind::Json, &ALL, &json),
        ours("headwater JSON, no field", FormatKind::Json, &[], &json),
        ours("headwater DELIMITED, 2 of 7", FormatKind::Delimited, &TWO, &delimited),
        ours("headwater DELIMITED, all 7", FormatKind::Delimited, &ALL, &delimited),
        encoding("headwater JSON, written", FormatKind::Json, &json),
        ours("headwater PROTOBUF_NOSR, 2 of 7 fields", FormatKind::ProtobufNosr, &TWO, &protobuf),
        ours("headwater PROTOBUF_NOSR, all 7 fields", FormatKind::ProtobufNosr, &ALL, &protobuf),
        ours("headwater PROTOBUF_NOSR, no field", FormatKind::ProtobufNosr, &[], &protobuf),
        encoding("headwater PROTOBUF_NOSR, written", FormatKind::ProtobufNosr, &protobuf),
        Contender::new("prost, 2 of 7 fields", &protobuf, prost_two),
        Contender::new("prost, all 7 fields", &protobuf, prost_all),
        prost_encoding("prost, written", &protobuf),
        Contender::new("arrow-json, 2 of 7 fields", &json, arrow_json(&TWO)),
        Contender::new("arrow-json, all 7 fields", &json, arrow_json(&ALL)),
        Contender::new("serde_json Value, 2 of 7", &json, serde_json_value),
    ];
    contenders.extend(avro::contenders(&avro, &json));
    let protobuf =
        ["headwater PROTOBUF, 2 of 7 fields", "headwater PROTOBUF, all 7 fields", "headwater PROTOBUF, written"];
    contenders.extend(registered::contenders(protobuf, FormatKind::Protobuf, &registered[0], &json));
    let json_sr = ["headwater JSON_SR, 2 of 7 fields", "headwater JSON_SR, all 7 fields", "headwater JSON_SR, written"];
    contenders.extend(registered::contenders(json_sr, FormatKind::JsonSr, &registered[1], &json));
    let words: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-') && !is_number(arg)).collect();
    contenders.retain(|contender| words.is_empty() || words.iter().any(|word| contender.name.contains(word.as_str())));
    for _ in 0..runs {
        contenders.iter_mut().for_each(Contender::run);
    }
    report(&mut contenders, rows);
}

fn is_number(text: &str) -> bool {
    text.parse::<usize>().is_ok()
}

type Decode = dyn FnMut(&BinaryArray) -> Vec<ArrayRef>;

/// One way of decoding, and how long each of its runs took.
struct Contender<'a> {
    name: &'static str,
    batches: &'a [BinaryArray],
    decode: Box<Decode>,
    seconds: Vec<f64>,
}

impl<'a> Contender<'a> {
    fn new(
        name: &'static str,
        batches: &'a [BinaryArray],
        decode: impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static,
    ) -> Self {
        Self { name, batches, decode: Box::new(decode), seconds: Vec::new() }
    }

    fn run(&mut self) {
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        for batch in self.batches {
            black_box((self.decode)(batch));
        }
        let cpu = cpu.and_then(|before| Some(cpu_seconds()? - before));
        self.seconds.push(cpu.unwrap_or_else(|| wall.elapsed().as_secs_f64()));
    }

    /// The fastest, the median and the slowest run in millions of rows a second.
    fn rates(&mut self, rows: usize) -> [f64; 3] {
        self.seconds.sort_by(f64::total_cmp);
        let last = self.seconds.len() - 1;
        [0, last / 2, last].map(|run| rows as f64 / self.seconds[run] / 1e6)
    }
}

/// CPU time of this thread so far, where the system tells it.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = stat.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn ours<'a>(name: &'static str, kind: FormatKind, projection: &[usize], batches: &'a [BinaryArray]) -> Contender<'a> {
    let mut decoder = kind.decoder(&layout(), projection).expect("the format holds a bid");
    Contender::new(name, batches, move |batch| {
        let decoded = decoder.decode(batch);
        assert!(decoded.bad.is_empty(), "every bid is good");
        decoded.columns
    })
}

/// The way back: the columns of each batch to payloads.
fn encoding<'a>(name: &'static str, kind: FormatKind, batches: &'a [BinaryArray]) -> Contender<'a> {
    let mut decoder = kind.decoder(&layout(), &ALL).expect("the format holds a bid");
    let mut encoder = kind.encoder(&layout()).expect("the format holds a bid");
    let columns: Vec<_> = batches.iter().map(|batch| decoder.decode(batch).columns).collect();
    let mut turn = (0..columns.len()).cycle();
    Contender::new(name, batches, move |batch| {
        let columns = &columns[turn.next().expect("turns do not end")];
        vec![Arc::new(encoder.encode(columns, batch.len(), None).payloads)]
    })
}

fn arrow_json(projection: &[usize]) -> impl FnMut(&BinaryArray) -> Vec<ArrayRef> + 'static {
    let fields = [
        ("auction", DataType::Int64),
        ("bidder", DataType::Int64),
        ("price", DataType::Int64),
        ("channel", DataType::Utf8),
        ("url", DataType::Utf8),
        ("dateTime", DataType::Int64),
        ("extra", DataType::Utf8),
    ];
    let fields: Vec<_> = projection.iter().map(|at| Field::new(fields[*at].0, fields[*at].1.clone(), true)).collect();
    let builder = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_batch_size(BATCH_ROWS);
    let mut decoder = builder.build_decoder().expect("the schema is plain");
    move |batch| {
        // Objects end to end are what it reads: the payloads of a batch need no copy.
        let read = decoder.decode(batch.values()).expect("every bid is good");
        assert_eq!(read, batch.values().len(), "a batch is read whole");
        decoder.flush().expect("every bid is good").expect("there are rows").columns().to_vec()
    }
}

fn serde_json_value(batch: &BinaryArray) -> Vec<ArrayRef> {
    let (mut bidders, mut channels) = (Int64Builder::new(), StringBuilder::new());
    for payload in batch.iter().flatten() {
        let bid: serde_json::Value = serde_json::from_slice(payload).expect("every bid is good");
        bidders.append_option(bid["bidder"].as_i64());
        channels.append_option(bid["channel"].as_str());
    }
    vec![Arc::new(bidders.finish()), Arc::new(channels.finish())]
}

/// A bid as `protoc` and `prost` would have it.
#[derive(Clone, PartialEq, prost::Message)]
struct Bid {
    #[prost(int64, tag = "1")]
    auction: i64,
    #[prost(int64, tag = "2")]
    bidder: i64,
    #[prost(int64, tag = "3")]
    price: i64,
    #[prost(string, tag = "4")]
    channel: String,
    #[prost(string, tag = "5")]
    url: String,
    #[prost(int64, tag = "6")]
    date_time: i64,
    #[prost(string, tag = "7")]
    extra: String,
}

fn prost_two(batch: &BinaryArray) -> Vec<ArrayRef> {
    let (mut bidders, mut channels) = (Int64Builder::new(), StringBuilder::new());
    for payload in batch.iter().flatten() {
        let bid = Bid::decode(payload).expect("every bid is good");
        bidders.append_value(bid.bidder);
        channels.append_value(&bid.channel);
    }
    vec![Arc::new(bidders.finish()), Arc::new(channels.finish())]
}

fn prost_all(batch: &BinaryArray) -> Vec<ArrayRef> {
    let mut numbers = [(); 4].map(|()| Int64Builder::new());
    let mut texts = [(); 3].map(|()| StringBuilder::new());
    for payload in batch.iter().flatten() {
        let bid = Bid::decode(payload).expect("every bid is good");
        for (column, number) in numbers.iter_mut().zip([bid.auction, bid.bidder, bid.price, bid.date_time]) {
            column.append_value(number);
        }
        for (column, text) in texts.iter_mut().zip([&bid.channel, &bid.url, &bid.extra]) {
            column.append_value(text);
        }
    }
    let numbers = numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    numbers.chain(texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef)).collect()
}

/// Structs to payloads: what is before them, rows to structs, does not count.
fn prost_encoding<'a>(name: &'static str, batches: &'a [BinaryArray]) -> Contender<'a> {
    let bids = |batch: &BinaryArray| -> Vec<Bid> {
        batch.iter().flatten().map(|payload| Bid::decode(payload).expect("every bid is good")).collect()
    };
    let bids: Vec<_> = batches.iter().map(bids).collect();
    let mut turn = (0..bids.len()).cycle();
    Contender::new(name, batches, move |_| {
        let bids = &bids[turn.next().expect("turns do not end")];
        vec![Arc::new(BinaryArray::from_iter_values(bids.iter().map(Message::encode_to_vec)))]
    })
}

/// The bids of a batch in JSON as messages, written by prost.
fn bids_protobuf(json: &BinaryArray) -> BinaryArray {
    let columns = FormatKind::Json.decoder(&layout(), &ALL).expect("the format holds a bid").decode(json).columns;
    let number = |field: usize, row| columns[field].as_primitive::<Int64Type>().value(row);
    let text = |field: usize, row| columns[field].as_string::<i32>().value(row).to_owned();
    let bid = |row| Bid {
        auction: number(0, row),
        bidder: number(1, row),
        price: number(2, row),
        channel: text(3, row),
        url: text(4, row),
        date_time: number(5, row),
        extra: text(6, row),
    };
    BinaryArray::from_iter_values((0..json.len()).map(|row| bid(row).encode_to_vec()))
}

fn layout() -> Layout {
    let fields = [
        ("AUCTION", DataType::Int64),
        ("BIDDER", DataType::Int64),
        ("PRICE", DataType::Int64),
        ("CHANNEL", DataType::Utf8),
        ("URL", DataType::Utf8),
        ("DATETIME", DataType::Int64),
        ("EXTRA", DataType::Utf8),
    ];
    let fields = fields.into_iter().map(|(name, kind)| Arc::new(Field::new(name, kind, true))).collect();
    Layout::of(fields)
}

fn batches(rows: usize, bid: fn(u64) -> String) -> Vec<BinaryArray> {
    let payloads: Vec<_> = (0..rows as u64).map(bid).collect();
    payloads.chunks(BATCH_ROWS).map(BinaryArray::from_iter_values).collect()
}

/// Numbers that look like chance and are the same in every run.
fn mix(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

fn bid_json(row: u64) -> String {
    let chance = mix(row + 1);
    format!(
        concat!(
            r#"{{"auction":{},"bidder":{},"price":{},"channel":"channel-{}","#,
            r#""url":"https://www.nexmark.com/item.htm?query=1","dateTime":{},"extra":"{}"}}"#
        ),
        1000 + chance % 20_000,
        2000 + chance % 50_000,
        100 + chance % 1_000_000,
        chance % 1000,
        1_700_000_000_000 + row,
        extra(chance),
    )
}

fn bid_delimited(row: u64) -> String {
    let chance = mix(row + 1);
    format!(
        "{},{},{},channel-{},https://www.nexmark.com/item.htm?query=1,{},{}",
        1000 + chance % 20_000,
        2000 + chance % 50_000,
        100 + chance % 1_000_000,
        chance % 1000,
        1_700_000_000_000 + row,
        extra(chance),
    )
}

/// Filler of 54 to 69 letters.
fn extra(chance: u64) -> String {
    (0..54 + chance % 16).map(|at| (b'a' + (mix(chance + at) % 26) as u8) as char).collect()
}

fn report(contenders: &mut [Contender<'_>], rows: usize) {
    let at = contenders.iter().position(|contender| contender.name == "arrow-json, all 7 fields").unwrap_or(0);
    let Some(reference) = contenders.get_mut(at) else { return println!("no contender has such a name") };
    let (name, unit) = (reference.name, reference.rates(rows)[1]);
    println!("{:39} {:>8} {:>8} {:>8}  ratio to {name}", "M rows/s", "max", "median", "min");
    for contender in contenders {
        let [max, median, min] = contender.rates(rows);
        println!("{:39} {max:8.2} {median:8.2} {min:8.2}  {:.2}", contender.name, median / unit);
    }
}
