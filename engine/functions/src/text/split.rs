//! SPLIT and SPLIT_TO_MAP.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, StringBuilder};
use datafusion::error::Result;

use crate::call::{Call, Row};
use crate::collections::map_from;

/// SPLIT of texts.
pub fn split_text(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.texts(0), call.texts(1));
    let write = |row: usize, out: &mut StringBuilder| -> Row<usize> {
        let mut count = 0;
        let mut put = |piece: &str| {
            out.append_value(piece);
            count += 1;
        };
        match (texts.value(row), delimiters.value(row)) {
            ("", _) => put(""),
            (text, "") => text.chars().for_each(|c| put(c.encode_utf8(&mut [0; 4]))),
            (text, delimiter) => text.split(delimiter).for_each(put),
        }
        Ok(Some(count))
    };
    call.each_list(StringBuilder::new(), write, |mut out| Ok(Arc::new(out.finish())))
}

/// SPLIT of bytes.
pub fn split_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let (blobs, delimiters) = (call.blobs(0), call.blobs(1));
    let write = |row: usize, out: &mut BinaryBuilder| -> Row<usize> {
        let (mut bytes, delimiter) = (blobs.value(row), delimiters.value(row));
        if delimiter.is_empty() && !bytes.is_empty() {
            bytes.chunks(1).for_each(|byte| out.append_value(byte));
            return Ok(Some(bytes.len()));
        }
        let mut count = 1;
        let found = |bytes: &[u8]| match delimiter {
            [] => None,
            _ => bytes.windows(delimiter.len()).position(|window| window == delimiter),
        };
        while let Some(at) = found(bytes) {
            out.append_value(&bytes[..at]);
            bytes = &bytes[at + delimiter.len()..];
            count += 1;
        }
        out.append_value(bytes);
        Ok(Some(count))
    };
    call.each_list(BinaryBuilder::new(), write, |mut out| Ok(Arc::new(out.finish())))
}

/// SPLIT_TO_MAP.
pub fn split_to_map(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, entries, pairs) = (call.texts(0), call.texts(1), call.texts(2));
    let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
    let mut found: Vec<(&str, &str)> = Vec::new();
    map_from(call, |row| {
        let (entry, pair) = (entries.value(row), pairs.value(row));
        if entry.is_empty() || pair.is_empty() || entry == pair {
            return Ok(None);
        }
        found.clear();
        for piece in texts.value(row).split(entry) {
            let mut parts = piece.split(pair);
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
            match found.iter_mut().find(|(known, _)| *known == key) {
                Some((_, last)) => *last = value,
                None => found.push((key, value)),
            }
        }
        found.iter().for_each(|(key, value)| {
            keys.append_value(key);
            values.append_value(value);
        });
        Ok(Some(found.len()))
    })?
    .of(call, Arc::new(keys.finish()), Arc::new(values.finish()))
}
