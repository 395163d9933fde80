//! SUBSTRING.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::units;
use crate::call::Call;

/// SUBSTRING of texts.
pub fn substring_text(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let range = ranges(call);
    call.each_str(|row| {
        let text = texts.value(row);
        let units = range(row, units::len(text));
        let (start, end) = (units::byte_of(text, units.start), units::byte_of(text, units.end));
        Ok(Some(&text[start..end.max(start)]))
    })
}

/// SUBSTRING of bytes.
pub fn substring_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let blobs = call.blobs(0);
    let range = ranges(call);
    call.each_blob(|row, out| {
        let bytes = blobs.value(row);
        out.extend_from_slice(&bytes[range(row, bytes.len())]);
        Ok(Some(()))
    })
}

/// The range of each row in something of a length, from 0.
fn ranges<'a>(call: &Call<'a>) -> impl Fn(usize, usize) -> Range<usize> + use<'a> {
    let positions = call.numbers::<Int32Type>(1);
    let lengths = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    move |row, whole| {
        let position = i64::from(positions.value(row));
        let whole = whole as i64;
        let start = if position < 0 { (whole + position).max(0) } else { (position - 1).clamp(0, whole) };
        let length = lengths.as_ref().map_or(whole, |lengths| i64::from(lengths.value(row)));
        let end = (start + length).clamp(start, whole);
        start as usize..end as usize
    }
}
