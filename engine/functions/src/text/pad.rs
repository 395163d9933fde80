//! LPAD and RPAD.

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::units;
use crate::call::Call;

/// The maximum length of padded text or bytes, so that those of a batch fit in 2 GiB.
const LENGTH_MAX: usize = 1 << 17;

/// The minimum number of units of a filler, which is enough for most texts.
const FILLER_MIN: usize = 64;

/// The side on which padding is added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the start.
    Left,
    /// At the end.
    Right,
}

/// The requested length; none if it is negative.
fn length(asked: i32) -> Result<Option<usize>, String> {
    match usize::try_from(asked) {
        Ok(length) if length > LENGTH_MAX => Err(format!("the length is at most {LENGTH_MAX}, not {length}")),
        length => Ok(length.ok()),
    }
}

/// LPAD or RPAD of texts.
pub fn pad_text(call: &Call<'_>, side: Side) -> Result<ArrayRef> {
    let (texts, lengths, paddings) = (call.texts(0), call.numbers::<Int32Type>(1), call.texts(2));
    let mut filler = Filler::default();
    call.each_text(|row, out| {
        let (text, padding) = (texts.value(row), paddings.value(row));
        let Some(length) = length(lengths.value(row))?.filter(|_| !padding.is_empty()) else { return Ok(None) };
        let missing = length.saturating_sub(units::len(text));
        let kept = &text[..units::byte_of(text, length)];
        out.push_str(if side == Side::Right { kept } else { "" });
        out.push_str(filler.units(padding, missing));
        out.push_str(if side == Side::Left { kept } else { "" });
        Ok(Some(()))
    })
}

/// LPAD or RPAD of bytes.
pub fn pad_bytes(call: &Call<'_>, side: Side) -> Result<ArrayRef> {
    let (blobs, lengths, paddings) = (call.blobs(0), call.numbers::<Int32Type>(1), call.blobs(2));
    call.each_blob(|row, out| {
        let (bytes, padding) = (blobs.value(row), paddings.value(row));
        let Some(length) = length(lengths.value(row))?.filter(|_| !padding.is_empty()) else { return Ok(None) };
        let missing = length.saturating_sub(bytes.len());
        let kept = &bytes[..length.min(bytes.len())];
        out.extend_from_slice(if side == Side::Right { kept } else { &[] });
        out.extend(padding.iter().cycle().take(missing));
        out.extend_from_slice(if side == Side::Left { kept } else { &[] });
        Ok(Some(()))
    })
}

/// A repeated padding, kept for the next row with the same padding.
#[derive(Default)]
struct Filler {
    padding: String,
    text: String,
    units: usize,
}

impl Filler {
    /// This many units of a non-empty padding. Half a character is rounded up to a whole one.
    fn units(&mut self, padding: &str, units: usize) -> &str {
        if self.padding != padding || self.units < units {
            let each = units::len(padding);
            let times = units.max(FILLER_MIN).div_ceil(each);
            (self.padding, self.text, self.units) = (padding.to_owned(), padding.repeat(times), each * times);
        }
        &self.text[..units::byte_of(&self.text, units)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_are_cut_and_grow() {
        let mut filler = Filler::default();
        assert_eq!(filler.units("ab", 3), "aba");
        assert_eq!(filler.units("ab", 0), "");
        assert_eq!(filler.units("ab", 200).len(), 200);
        assert_eq!(filler.units("x", 2), "xx");
        assert_eq!(filler.units("a𝄞", 4), "a𝄞a");
        assert_eq!(filler.units("a𝄞", 5), "a𝄞a𝄞");
    }
}
