//! Parses dates, times and timestamps with patterns, ignoring case, as in ksqlDB.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Int32Type, Int64Type, Time32MillisecondType, TimestampMillisecondType,
};
use datafusion::error::Result;
use headwater_formats::java_time::{LegacyPattern, ParseError, Pattern, Zone};

use super::number::zone;
use crate::call::{Call, Memo};

/// A compiled pattern, or the reason why it is not valid.
pub type Known = std::result::Result<Arc<Pattern>, String>;

/// 2025-01-01: two-digit years are within eighty years before and twenty years after this date. It is fixed, so that
/// the meaning of a text does not change over time.
const CENTURY_NOW_MS: i64 = 1_735_689_600_000;

/// Compiles a pattern.
pub fn pattern(text: &str) -> Known {
    Pattern::new(text).map(|pattern| Arc::new(pattern.ignoring_case())).map_err(|error| bad(text, error))
}

fn bad(pattern: &str, error: impl std::fmt::Display) -> String {
    format!("'{pattern}' is not a valid pattern: {error}")
}

fn mismatch(text: &str, pattern: &str, error: &ParseError) -> String {
    format!("'{text}' does not match '{pattern}': {error}")
}

/// PARSE_DATE.
pub fn date(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0), call.texts(1));
    let memo: Memo<std::result::Result<Arc<LegacyPattern>, String>> = Memo::new();
    let compile = |text: &str| LegacyPattern::new(text, CENTURY_NOW_MS).map(Arc::new).map_err(|e| bad(text, e));
    call.each::<Date32Type>(|row| {
        let (text, pattern) = (texts.value(row), patterns.value(row));
        memo.get(pattern, compile)?.parse_date(text).map(Some).map_err(|e| mismatch(text, pattern, &e))
    })
}

/// PARSE_TIME.
pub fn time(call: &Call<'_>) -> Result<ArrayRef> {
    each::<Time32MillisecondType>(call, |pattern, text, _| pattern.parse_time_ms(text))
}

/// STRINGTODATE.
pub fn days(call: &Call<'_>) -> Result<ArrayRef> {
    each::<Int32Type>(call, |pattern, text, _| pattern.parse_date(text))
}

/// PARSE_TIMESTAMP.
pub fn timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    each::<TimestampMillisecondType>(call, |pattern, text, zone| pattern.parse_timestamp_ms(text, zone))
}

/// STRINGTOTIMESTAMP.
pub fn ms(call: &Call<'_>) -> Result<ArrayRef> {
    each::<Int64Type>(call, |pattern, text, zone| pattern.parse_timestamp_ms(text, zone))
}

fn each<P: ArrowPrimitiveType>(
    call: &Call<'_>,
    read: impl Fn(&Pattern, &str, Zone) -> std::result::Result<P::Native, ParseError>,
) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0), call.texts(1));
    let zones = (call.len() > 2).then(|| call.texts(2));
    let (memo, known): (Memo<Known>, _) = (Memo::new(), Memo::new());
    call.each::<P>(|row| {
        let text = texts.value(row);
        let compiled = memo.get(patterns.value(row), pattern)?;
        let zone = zones.as_ref().map_or(Ok(Zone::UTC), |zones| known.get(zones.value(row), zone))?;
        read(&compiled, text, zone).map(Some).map_err(|e| mismatch(text, patterns.value(row), &e))
    })
}
