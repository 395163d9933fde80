//! Event time from a column: the TIMESTAMP property.
//!
//! A record whose column holds no valid time is rejected; ksqlDB drops it and logs a line. A tombstone has no columns
//! and keeps the record's own timestamp.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use chrono_tz::Tz;

use super::spec::{ColumnOrigin, EventTime};
use crate::format::{BadRow, FormatError};
use crate::java_time::Pattern;
use crate::record::RawBatch;

/// Reads event times from a decoded column.
pub struct EventTimes {
    origin: ColumnOrigin,
    times: ColumnTimes,
}

/// Reads times from a column of Int64 or Timestamp(ms), or of Utf8 with a pattern.
pub struct ColumnTimes {
    pattern: Option<Pattern>,
}

impl ColumnTimes {
    /// Compiles the pattern, which is only used for texts. Fails if it is not valid.
    pub fn new(pattern: Option<&str>) -> Result<Self, FormatError> {
        let pattern = pattern.map(Pattern::new).transpose();
        let pattern = pattern.map_err(|e| FormatError::Unfit(format!("TIMESTAMP_FORMAT is not a pattern: {e}")))?;
        Ok(Self { pattern })
    }

    /// The time of each row in ms since the epoch, or 0 for rows without one, which are returned with the reason.
    pub fn read(&self, column: &ArrayRef) -> Result<(Int64Array, Vec<BadRow>), ArrowError> {
        let mut bad = Vec::new();
        let times = self.each(
            column,
            |_| None,
            |row, reason| {
                bad.push(BadRow { row, reason });
                0
            },
        )?;
        Ok((times, bad))
    }

    /// The time of each row: the result of `instead`, or else the value of the column, or else the result of
    /// `missing` for the reason.
    fn each(
        &self,
        column: &ArrayRef,
        instead: impl Fn(usize) -> Option<i64>,
        mut missing: impl FnMut(usize, String) -> i64,
    ) -> Result<Int64Array, ArrowError> {
        let texts = matches!(column.data_type(), DataType::Utf8).then(|| column.as_string::<i32>());
        let numbers = if texts.is_some() { None } else { Some(cast(column, &DataType::Int64)?) };
        let numbers = numbers.as_ref().map(|n| n.as_primitive::<Int64Type>());
        let time = |row: usize| match (texts, numbers) {
            (Some(texts), _) => self.parse(texts.is_valid(row).then(|| texts.value(row))),
            (_, Some(numbers)) => checked(numbers.is_valid(row).then(|| numbers.value(row))),
            _ => Err("the timestamp column has no time".to_owned()),
        };
        let times = (0..column.len())
            .map(|row| instead(row).unwrap_or_else(|| time(row).unwrap_or_else(|reason| missing(row, reason))));
        Ok(times.map(Some).collect())
    }

    fn parse(&self, text: Option<&str>) -> Result<i64, String> {
        let (Some(pattern), Some(text)) = (&self.pattern, text) else { return checked(None) };
        let ms = pattern
            .parse_timestamp_ms(text, Tz::UTC)
            .map_err(|e| format!("the timestamp column holds \"{text}\": {e}"))?;
        checked(Some(ms))
    }
}

impl EventTimes {
    /// Compiles the pattern. Fails if it is not valid.
    pub fn new(spec: &EventTime, origin: ColumnOrigin) -> Result<Self, FormatError> {
        Ok(Self { origin, times: ColumnTimes::new(spec.format.as_deref())? })
    }

    /// The source of the column with the times.
    pub fn origin(&self) -> &ColumnOrigin {
        &self.origin
    }

    /// The event time of each record in ms, and the records that have none. Records that `kept` already excludes are
    /// skipped; those in `absent`, in ascending order, have no columns.
    pub fn extract(
        &self,
        column: &ArrayRef,
        raw: &RawBatch,
        kept: Option<&BooleanArray>,
        absent: &[usize],
    ) -> Result<(Int64Array, Vec<BadRow>), ArrowError> {
        let mut bad = Vec::new();
        let record = |row: usize| {
            let dropped = kept.is_some_and(|k| !k.value(row));
            let tombstone = raw.value_nulls.as_ref().is_some_and(|n| n.is_null(row));
            (dropped || tombstone || absent.binary_search(&row).is_ok()).then(|| raw.timestamps_ms[row])
        };
        let times = self.times.each(column, record, |row, reason| {
            bad.push(BadRow { row, reason });
            raw.timestamps_ms[row]
        })?;
        Ok((times, bad))
    }
}

fn checked(ms: Option<i64>) -> Result<i64, String> {
    match ms {
        None => Err("the timestamp column is null".to_owned()),
        Some(ms) if ms < 0 => Err(format!("the timestamp column holds {ms}, which is before 1970")),
        Some(ms) => Ok(ms),
    }
}
