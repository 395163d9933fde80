//! REGEXP_EXTRACT, REGEXP_EXTRACT_ALL, REGEXP_REPLACE and REGEXP_SPLIT_TO_ARRAY.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;

use super::regex_pattern::{Pattern, after};
use super::regex_replacement::Replacement;
use crate::call::{Call, Memo, Row};

/// A compiled pattern, or the reason why it is not valid.
type Compiled = Result<Arc<Pattern>, String>;

/// The requested group; none if the pattern has no such group.
fn group(asked: i32, groups: usize) -> Result<Option<usize>, String> {
    let group = usize::try_from(asked).map_err(|_| format!("the number of a group is not negative: {asked}"))?;
    Ok(Some(group).filter(|group| *group < groups))
}

/// REGEXP_EXTRACT.
pub fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let (patterns, texts) = (call.texts(0), call.texts(1));
    let groups = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    let memo: Memo<Compiled> = Memo::new();
    call.each_str(|row| {
        if call.has_failed() {
            return Ok(None);
        }
        let pattern = memo.get(patterns.value(row), Pattern::compile)?;
        let asked = groups.as_ref().map_or(0, |groups| groups.value(row));
        let Some(group) = group(asked, pattern.groups())? else { return Ok(None) };
        let text = texts.value(row);
        let first = pattern.search(text, group > 0).next(0)?.and_then(|found| found.group(group));
        Ok(first.map(|range| &text[range]))
    })
}

/// REGEXP_EXTRACT_ALL.
pub fn extract_all<'a>(call: &Call<'a>) -> Result<ArrayRef> {
    let (patterns, texts) = (call.texts(0), call.texts(1));
    let groups = (call.len() > 2).then(|| call.numbers::<Int32Type>(2));
    let memo: Memo<Compiled> = Memo::new();
    let write = |row: usize, out: &mut Pieces<'a>| -> Row<usize> {
        if call.has_failed() {
            return Ok(None);
        }
        let pattern = memo.get(patterns.value(row), Pattern::compile)?;
        let asked = groups.as_ref().map_or(0, |groups| groups.value(row));
        let Some(group) = group(asked, pattern.groups())? else { return Ok(None) };
        let text = texts.value(row);
        out.row(|pieces| {
            pattern.each(text, group > 0, |found| {
                pieces.push(found.group(group).map(|range| &text[range]));
                true
            })
        })
    };
    call.each_list(Pieces::default(), write, Pieces::finish)
}

/// REGEXP_REPLACE.
pub fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns, news) = (call.texts(0), call.texts(1), call.texts(2));
    let memo: Memo<Compiled> = Memo::new();
    let mut last: Option<(String, String, Replacement)> = None;
    call.each_text(|row, out| {
        if call.has_failed() {
            return Ok(None);
        }
        let (text, new) = (texts.value(row), news.value(row));
        let pattern = memo.get(patterns.value(row), Pattern::compile)?;
        let known = last.as_ref().is_some_and(|(p, n, _)| p == patterns.value(row) && n == new);
        if !known {
            let replacement = Replacement::parse(new, &pattern)?;
            last = Some((patterns.value(row).to_owned(), new.to_owned(), replacement));
        }
        let Some((_, _, replacement)) = &last else { return Ok(None) };
        let mut rest = 0;
        pattern.each(text, replacement.has_groups(), |found| {
            let whole = found.range();
            out.push_str(&text[rest..whole.start]);
            replacement.write(text, found, out);
            rest = whole.end;
            true
        })?;
        out.push_str(&text[rest..]);
        Ok(Some(()))
    })
}

/// REGEXP_SPLIT_TO_ARRAY.
pub fn split<'a>(call: &Call<'a>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0), call.texts(1));
    let memo: Memo<Compiled> = Memo::new();
    let write = |row: usize, out: &mut Pieces<'a>| -> Row<usize> {
        if call.has_failed() {
            return Ok(None);
        }
        let pattern = memo.get(patterns.value(row), Pattern::compile)?;
        let text = texts.value(row);
        out.row(|pieces| match pattern.matches_nothing() {
            true => split_anywhere(&pattern, text, pieces),
            false => split_at(&pattern, text, pieces),
        })
    };
    call.each_list(Pieces::default(), write, Pieces::finish)
}

/// Splits like Java's `split`, which ksqlDB uses for patterns that match an empty text: without empty parts at the
/// end.
fn split_anywhere<'a>(pattern: &Pattern, text: &'a str, pieces: &mut Vec<Option<&'a str>>) -> Result<(), String> {
    let pieces_before = pieces.len();
    let mut rest = 0;
    pattern.each(text, false, |found| {
        let range = found.range();
        if range.end > 0 {
            pieces.push(Some(&text[rest..range.start]));
            rest = range.end;
        }
        true
    })?;
    pieces.push(Some(&text[rest..]));
    while rest > 0 && pieces.len() > pieces_before && pieces.last() == Some(&Some("")) {
        pieces.pop();
    }
    Ok(())
}

/// Splits like Guava's `Splitter`, which ksqlDB uses for all other patterns. An empty match, as of a look-ahead,
/// splits at its position unless a part begins there.
fn split_at<'a>(pattern: &Pattern, text: &'a str, pieces: &mut Vec<Option<&'a str>>) -> Result<(), String> {
    let mut search = pattern.search(text, false);
    let (mut start, mut from) = (0, 0);
    while from <= text.len() {
        let Some(range) = search.next(from)?.map(|found| found.range()) else {
            pieces.push(Some(&text[start..]));
            return Ok(());
        };
        if range.end == start {
            from = after(text, start);
            continue;
        }
        pieces.push(Some(&text[start..range.start]));
        start = range.end;
        from = start;
    }
    Ok(())
}

/// A builder for arrays of parts of texts.
#[derive(Default)]
struct Pieces<'a> {
    pieces: Vec<Option<&'a str>>,
}

impl<'a> Pieces<'a> {
    /// Adds the parts of a row; none if it fails.
    fn row(&mut self, write: impl FnOnce(&mut Vec<Option<&'a str>>) -> Result<(), String>) -> Row<usize> {
        let before = self.pieces.len();
        match write(&mut self.pieces) {
            Ok(()) => Ok(Some(self.pieces.len() - before)),
            Err(why) => {
                self.pieces.truncate(before);
                Err(why)
            }
        }
    }

    fn finish(self) -> Result<ArrayRef> {
        let bytes = self.pieces.iter().flatten().map(|piece| piece.len()).sum();
        let mut texts = StringBuilder::with_capacity(self.pieces.len(), bytes);
        self.pieces.into_iter().for_each(|piece| texts.append_option(piece));
        Ok(Arc::new(texts.finish()))
    }
}
