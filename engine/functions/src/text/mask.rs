//! MASK and its variants, which replace characters by their class.

use arrow::array::ArrayRef;
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::units;
use crate::call::{Call, Texts};

/// The part of a text that is masked, defined by a number of characters.
#[derive(Clone, Copy)]
pub enum Part {
    /// This many at the start.
    First,
    /// This many at the end.
    Last,
    /// All but this many at the start.
    AllButFirst,
    /// All but this many at the end.
    AllButLast,
}

/// The replacements for upper-case letters, lower-case letters, digits and other characters; none leaves them
/// unchanged.
type Masks = [Option<char>; 4];

const DEFAULT: Masks = [Some('X'), Some('x'), Some('n'), Some('-')];

/// MASK.
pub fn mask(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let masks = columns(call, 1);
    call.each_text(|row, out| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        write(text, &masks_of(masks.as_ref(), row)?, out);
        Ok(Some(()))
    })
}

/// MASK of a part.
pub fn mask_part(call: &Call<'_>, part: Part) -> Result<ArrayRef> {
    let (texts, counts) = (call.texts(0), call.numbers::<Int32Type>(1));
    let masks = columns(call, 2);
    call.each_text(|row, out| {
        let (Some(text), Some(count)) = (texts.get(row), counts.get(row)) else { return Ok(None) };
        let count = usize::try_from(count).map_err(|_| format!("a number of characters is not negative: {count}"))?;
        let masks = masks_of(masks.as_ref(), row)?;
        let at = match part {
            Part::First | Part::AllButFirst => units::byte_of(text, count),
            Part::Last | Part::AllButLast => units::byte_of(text, units::len(text).saturating_sub(count)),
        };
        let (head, tail) = text.split_at(at);
        match part {
            Part::First | Part::AllButLast => {
                write(head, &masks, out);
                out.push_str(tail);
            }
            Part::Last | Part::AllButFirst => {
                out.push_str(head);
                write(tail, &masks, out);
            }
        }
        Ok(Some(()))
    })
}

fn columns<'a>(call: &Call<'a>, first: usize) -> Option<[Texts<'a>; 4]> {
    (call.len() > first).then(|| [0, 1, 2, 3].map(|at| call.texts(first + at)))
}

fn masks_of(columns: Option<&[Texts<'_>; 4]>, row: usize) -> Result<Masks, String> {
    let Some(columns) = columns else { return Ok(DEFAULT) };
    let mut masks = [None; 4];
    for (mask, column) in masks.iter_mut().zip(columns) {
        if let Some(text) = column.get(row) {
            *mask = Some(text.chars().next().ok_or("a mask is a character, not an empty text")?);
        }
    }
    Ok(masks)
}

fn write(text: &str, masks: &Masks, out: &mut String) {
    for char in text.chars() {
        let class = match char {
            c if c.is_uppercase() => 0,
            c if c.is_lowercase() => 1,
            c if c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric()) => 2,
            _ => 3,
        };
        out.push(masks[class].unwrap_or(char));
    }
}
