//! REGEXP_EXTRACT, REGEXP_EXTRACT_ALL, REGEXP_REPLACE and REGEXP_SPLIT_TO_ARRAY.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::regex_java::{Pattern, Replacement, compile};
use crate::functions::call::{Call, Memo, Row};

/// The group that is asked for; none when the pattern has no such.
fn group(asked: i32, groups: usize) -> Result<Option<usize>, String> {
    let group = usize::try_from(asked).map_err(|_| format!("the number of a group is not negative: {asked}"))?;
    Ok(Some(group).filter(|group| *group < groups))
}

/// REGEXP_EXTRACT.
pub fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let (patterns, texts) = (call.texts(0), call.texts(1));
    let groups = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    let memo: Memo<Pattern> = Memo::new();
    call.each_str(|row| {
        let pattern = memo.get(patterns.value(row), compile)?;
        let asked = groups.as_ref().map_or(0, |groups| groups.value(row));
        let Some(group) = group(asked, pattern.captures_len())? else { return Ok(None) };
        let text = texts.value(row);
        if group == 0 {
            return Ok(pattern.find(text).map(|m| m.as_str()));
        }
        Ok(pattern.captures(text).and_then(|found| found.get(group)).map(|m| m.as_str()))
    })
}

/// REGEXP_EXTRACT_ALL.
pub fn extract_all(call: &Call<'_>) -> Result<ArrayRef> {
    let (patterns, texts) = (call.texts(0), call.texts(1));
    let groups = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    let memo: Memo<Pattern> = Memo::new();
    let write = |row: usize, out: &mut StringBuilder| -> Row<usize> {
        let pattern = memo.get(patterns.value(row), compile)?;
        let asked = groups.as_ref().map_or(0, |groups| groups.value(row));
        let Some(group) = group(asked, pattern.captures_len())? else { return Ok(None) };
        let mut count = 0;
        for found in pattern.captures_iter(texts.value(row)) {
            out.append_option(found.get(group).map(|m| m.as_str()));
            count += 1;
        }
        Ok(Some(count))
    };
    call.each_list(StringBuilder::new(), write, |mut out| Ok(Arc::new(out.finish())))
}

/// REGEXP_REPLACE.
pub fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns, news) = (call.texts(0), call.texts(1), call.texts(2));
    let memo: Memo<Pattern> = Memo::new();
    let mut last: Option<(String, String, Replacement)> = None;
    call.each_text(|row, out| {
        let (text, new) = (texts.value(row), news.value(row));
        let pattern = memo.get(patterns.value(row), compile)?;
        let known = last.as_ref().is_some_and(|(p, n, _)| p == patterns.value(row) && n == new);
        if !known {
            let replacement = Replacement::parse(new, &pattern)?;
            last = Some((patterns.value(row).to_owned(), new.to_owned(), replacement));
        }
        let Some((_, _, replacement)) = &last else { return Ok(None) };
        let mut rest = 0;
        for found in pattern.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            out.push_str(&text[rest..whole.start()]);
            replacement.write(&found, out);
            rest = whole.end();
        }
        out.push_str(&text[rest..]);
        Ok(Some(()))
    })
}

/// REGEXP_SPLIT_TO_ARRAY.
pub fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0), call.texts(1));
    let memo: Memo<Pattern> = Memo::new();
    let write = |row: usize, out: &mut StringBuilder| -> Row<usize> {
        let text = texts.value(row);
        if patterns.value(row).is_empty() && !text.is_empty() {
            text.chars().for_each(|c| out.append_value(c.encode_utf8(&mut [0; 4])));
            return Ok(Some(text.chars().count()));
        }
        let pattern = memo.get(patterns.value(row), compile)?;
        let (mut rest, mut count) = (0, 1);
        // Nothing matched at the very start splits nothing.
        for found in pattern.find_iter(text).filter(|found| found.end() > 0) {
            out.append_value(&text[rest..found.start()]);
            rest = found.end();
            count += 1;
        }
        out.append_value(&text[rest..]);
        Ok(Some(count))
    };
    call.each_list(StringBuilder::new(), write, |mut out| Ok(Arc::new(out.finish())))
}
