//! Conversions of texts: case, spaces, and characters from codes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::units;
use crate::call::Call;
use crate::delegate::delegate;

/// LCASE.
pub fn lcase(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    if !texts.is_constant()
        && let Some(changed) = texts.with_ascii(<[u8]>::make_ascii_lowercase)
    {
        return changed;
    }
    call.each_text(|row, out| {
        lower(texts.value(row), out);
        Ok(Some(()))
    })
}

/// UCASE.
pub fn ucase(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    if !texts.is_constant()
        && let Some(changed) = texts.with_ascii(<[u8]>::make_ascii_uppercase)
    {
        return changed;
    }
    call.each_text(|row, out| {
        upper(texts.value(row), out);
        Ok(Some(()))
    })
}

fn lower(text: &str, out: &mut String) {
    match text.is_ascii() {
        true => {
            let start = out.len();
            out.push_str(text);
            out[start..].make_ascii_lowercase();
        }
        // Not letter by letter, because a sigma at the end of a word has a different form.
        false => out.push_str(&text.to_lowercase()),
    }
}

fn upper(text: &str, out: &mut String) {
    match text.is_ascii() {
        true => {
            let start = out.len();
            out.push_str(text);
            out[start..].make_ascii_uppercase();
        }
        false => out.push_str(&text.to_uppercase()),
    }
}

/// TRIM, which removes the same characters as Java: all up to the space.
pub fn trim(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    call.each_str(|row| Ok(Some(trimmed(texts.value(row)))))
}

fn trimmed(text: &str) -> &str {
    let shown = |byte: &u8| *byte > b' ';
    let first = text.bytes().position(|byte| shown(&byte)).unwrap_or(text.len());
    let end = text.bytes().rposition(|byte| shown(&byte)).map_or(first, |last| last + 1);
    // Bytes up to the space are characters of their own.
    &text[first..end]
}

/// LEN of texts.
pub fn len_text(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    if !texts.is_constant() && texts.are_ascii() {
        let lengths: Vec<i32> = texts.array().value_offsets().windows(2).map(|ends| ends[1] - ends[0]).collect();
        return Ok(Arc::new(Int32Array::new(lengths.into(), call.nulls().cloned())));
    }
    call.each::<Int32Type>(|row| Ok(Some(units::len(texts.value(row)) as i32)))
}

/// LEN of bytes.
pub fn len_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let blobs = call.blobs(0);
    call.each::<Int32Type>(|row| Ok(Some(blobs.value(row).len() as i32)))
}

/// INITCAP.
pub fn initcap(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    // What Java's \s matches.
    let is_space = |c: char| matches!(c, ' ' | '\t'..='\r');
    call.each_text(|row, out| {
        for word in texts.value(row).trim_start_matches(is_space).split_inclusive(is_space) {
            let first = word.chars().next().map_or(0, char::len_utf8);
            upper(&word[..first], out);
            lower(&word[first..], out);
        }
        Ok(Some(()))
    })
}

/// REPLACE.
pub fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, old, new) = (call.texts(0), call.texts(1), call.texts(2));
    call.each_text(|row, out| {
        let (text, old, new) = (texts.value(row), old.value(row), new.value(row));
        let mut rest = 0;
        for (at, _) in text.match_indices(old) {
            out.push_str(&text[rest..at]);
            out.push_str(new);
            rest = at + old.len();
        }
        out.push_str(&text[rest..]);
        Ok(Some(()))
    })
}

/// MD5: DataFusion's.
pub fn md5(call: &Call<'_>) -> Result<ArrayRef> {
    delegate(call, &datafusion::functions::crypto::md5())
}

/// CHR of a code point.
pub fn chr(call: &Call<'_>) -> Result<ArrayRef> {
    let codes = call.numbers::<Int32Type>(0);
    call.each_text(|row, out| {
        let Some(char) = u32::try_from(codes.value(row)).ok().and_then(char::from_u32) else { return Ok(None) };
        out.push(char);
        Ok(Some(()))
    })
}

/// CHR of escapes.
pub fn chr_of_escapes(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0);
    let mut units = Vec::new();
    call.each_text(|row, out| {
        let mut rest = texts.value(row);
        if !rest.starts_with("\\u") || rest.len() < 6 {
            return Ok(None);
        }
        units.clear();
        while let Some(char) = rest.chars().next() {
            let (unit, length) = match rest.strip_prefix("\\u") {
                Some(digits) => match digits.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                    Some(unit) => (unit, 6),
                    None => return Err(format!("'{rest}' is not an escape of four hexadecimal digits")),
                },
                None => {
                    units.extend(char.encode_utf16(&mut [0; 2]).iter());
                    rest = &rest[char.len_utf8()..];
                    continue;
                }
            };
            units.push(unit);
            rest = &rest[length..];
        }
        let Ok(text) = String::from_utf16(&units) else { return Ok(None) };
        out.push_str(&text);
        Ok(Some(()))
    })
}
