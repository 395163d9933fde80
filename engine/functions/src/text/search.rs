//! ELT, FIELD and INSTR.

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::units;
use crate::call::Call;

/// ELT.
pub fn elt(call: &Call<'_>) -> Result<ArrayRef> {
    let positions = call.numbers::<Int32Type>(0);
    let texts: Vec<_> = (1..call.len()).map(|at| call.texts(at)).collect();
    call.each_str(|row| {
        let position = positions.get(row).and_then(|at| usize::try_from(at).ok()?.checked_sub(1));
        Ok(position.and_then(|at| texts.get(at)?.get(row)))
    })
}

/// FIELD.
pub fn field(call: &Call<'_>) -> Result<ArrayRef> {
    let wanted = call.texts(0);
    let texts: Vec<_> = (1..call.len()).map(|at| call.texts(at)).collect();
    call.each::<Int32Type>(|row| {
        let found = wanted.get(row).and_then(|wanted| texts.iter().position(|text| text.get(row) == Some(wanted)));
        Ok(Some(found.map_or(0, |at| at as i32 + 1)))
    })
}

/// INSTR.
pub fn instr(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, parts) = (call.texts(0), call.texts(1));
    let positions = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    let occurrences = (call.len() > 3).then(|| call.numbers::<Int32Type>(3));
    call.each::<Int32Type>(|row| {
        let position = positions.as_ref().map_or(1, |positions| i64::from(positions.value(row)));
        let occurrence = occurrences.as_ref().map_or(1, |occurrences| occurrences.value(row));
        let found = find(texts.value(row), parts.value(row), position, occurrence);
        Ok(Some(found.map_or(0, |unit| unit as i32 + 1)))
    })
}

/// The unit at which an occurrence begins, counted from 0.
fn find(text: &str, part: &str, position: i64, occurrence: i32) -> Option<usize> {
    let length = units::len(text) as i64;
    let occurrence = usize::try_from(occurrence).ok()?.checked_sub(1)?;
    if position.abs() > length {
        return None;
    }
    if position >= 0 && !part.is_empty() {
        let from = units::byte_of(text, (position - 1).max(0) as usize);
        return forward(text, part, from, occurrence).map(|byte| units::unit_of(text, byte));
    }
    let starts = |byte: &usize| text[*byte..].starts_with(part);
    let mut bytes = text.char_indices().map(|(byte, _)| byte);
    let byte = match position < 0 {
        true => {
            let from = units::byte_of(text, (length + position) as usize);
            bytes.filter(starts).take_while(|byte| *byte <= from).collect::<Vec<_>>().into_iter().nth_back(occurrence)
        }
        false => {
            let from = units::byte_of(text, (position - 1).max(0) as usize);
            bytes.by_ref().skip_while(|byte| *byte < from).filter(starts).nth(occurrence)
        }
    };
    byte.map(|byte| units::unit_of(text, byte))
}

/// The byte at which an occurrence begins, searching from a byte on. Occurrences may overlap.
fn forward(text: &str, part: &str, from: usize, occurrence: usize) -> Option<usize> {
    let mut at = from + text[from..].find(part)?;
    for _ in 0..occurrence {
        let next = at + text[at..].chars().next().map_or(1, char::len_utf8);
        at = next + text[next..].find(part)?;
    }
    Some(at)
}
