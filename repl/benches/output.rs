//! Throughput of the result writers in rows per second, compared with arrow's own writers on the same rows in the same
//! run: `cargo bench -p headwater --bench output [-- ROWS RUNS]`.
//!
//! A row is an order: two STRINGs, an INT, a DECIMAL, a TIMESTAMP, a DOUBLE and a BOOLEAN, in batches of 8,192. The
//! writers take turns, so that a slow moment of the machine affects all of them. It prints the fastest, the median and
//! the slowest run, in millions of rows per second on one thread.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use headwater_repl::output::{Fit, Output, RowWriter};

const BATCH_ROWS: usize = 8_192;

/// A writer of rows, with its name.
type Writer = (&'static str, fn(&[RecordBatch], &mut dyn Write));

const WRITERS: &[Writer] = &[
    ("headwater csv", |batches, out| ours(Output::Csv, batches, out)),
    ("headwater json", |batches, out| ours(Output::Json, batches, out)),
    ("headwater table", |batches, out| ours(Output::Table, batches, out)),
    ("headwater vertical", |batches, out| ours(Output::Vertical, batches, out)),
    ("arrow csv", arrow_csv),
    ("arrow json", arrow_json),
];

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let rows = numbers.next().unwrap_or(1_000_000);
    let runs = numbers.next().unwrap_or(5);
    let batches = batches(rows);
    let mut seconds = vec![Vec::new(); WRITERS.len()];
    for _ in 0..runs {
        for ((_, write), seconds) in WRITERS.iter().zip(&mut seconds) {
            let started = Instant::now();
            write(&batches, &mut Counting(0));
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    println!("{rows} rows, {runs} runs, millions of rows per second: fastest, median, slowest");
    for ((name, _), seconds) in WRITERS.iter().zip(&mut seconds) {
        seconds.sort_by(f64::total_cmp);
        let rate = |seconds: f64| rows as f64 / seconds / 1e6;
        let (fastest, median, slowest) = (seconds[0], seconds[runs / 2], seconds[runs - 1]);
        println!("{name:20} {:6.2} {:6.2} {:6.2}", rate(fastest), rate(median), rate(slowest));
    }
}

fn ours(output: Output, batches: &[RecordBatch], out: &mut dyn Write) {
    let mut writer: Box<dyn RowWriter> = output.writer(Fit { width: None, wrap: true, column_width: None });
    writer.begin(&batches[0].schema(), out).expect("the sink takes everything");
    batches.iter().try_for_each(|batch| writer.batch(batch, out)).expect("the sink takes everything");
    writer.end(out).expect("the sink takes everything");
}

fn arrow_csv(batches: &[RecordBatch], out: &mut dyn Write) {
    let mut writer = arrow::csv::Writer::new(out);
    batches.iter().try_for_each(|batch| writer.write(batch)).expect("the sink takes everything");
}

fn arrow_json(batches: &[RecordBatch], out: &mut dyn Write) {
    let mut writer = arrow::json::LineDelimitedWriter::new(out);
    batches.iter().try_for_each(|batch| writer.write(batch)).expect("the sink takes everything");
}

/// Accepts and counts all bytes, so that the compiler cannot optimize the writing away.
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += std::hint::black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn batches(rows: usize) -> Vec<RecordBatch> {
    (0..rows).step_by(BATCH_ROWS).map(|start| batch(start..(start + BATCH_ROWS).min(rows))).collect()
}

fn batch(rows: std::ops::Range<usize>) -> RecordBatch {
    let texts =
        |name: fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.clone().map(name))) };
    let cents = Decimal128Array::from_iter_values(rows.clone().map(|row| (row as i128 * 7_919) % 100_000_000));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ORDER_ID", texts(|row| format!("O-{row:06}"))),
        ("NOTE", texts(|row| if row % 9 == 0 { format!("say \"{row}\", please") } else { "nothing to say".into() })),
        ("QUANTITY", Arc::new(Int32Array::from_iter_values(rows.clone().map(|row| (row % 100) as i32)))),
        ("AMOUNT", Arc::new(cents.with_precision_and_scale(10, 2).expect("the values have ten digits"))),
        (
            "AT",
            Arc::new(TimestampMillisecondArray::from_iter_values(
                rows.clone().map(|row| 1_600_000_000_000 + row as i64 * 137),
            )),
        ),
        ("WEIGHT", Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| row as f64 / 8.0)))),
        ("PAID", Arc::new(rows.clone().map(|row| Some(row % 3 > 0)).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter(columns).expect("all columns have one length")
}
