//! DATE_TRUNC: truncates a TIMESTAMP to a unit, in milliseconds.
//!
//! DataFusion (55) truncates to units longer than a day in nanoseconds, which cannot represent years before 1678 or
//! after 2262.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use headwater_language::types::SqlType;

use super::kind::{Kind, arrow_type};
use super::{cast, guard, kernel};

const DAY_MS: i64 = 86_400_000;

/// Lowers a call with a TIMESTAMP; none for TIME, which DataFusion handles correctly, and for other types.
pub(super) fn lower(call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Expr>> {
    let [unit, time] = &call.args[..] else { return Ok(None) };
    if call.func.name() != "date_trunc" || call.func.inner().downcast_ref::<Truncate>().is_some() {
        return Ok(None);
    }
    if !matches!(Kind::of(time, schema)?, Kind::Of(SqlType::Timestamp | SqlType::Date | SqlType::String)) {
        return Ok(None);
    }
    let time = cast::to(time.clone(), &SqlType::Timestamp, schema)?;
    let args = vec![guard::wrap(unit.clone(), schema)?, guard::wrap(time, schema)?];
    let truncate = Truncate { signature: Signature::any(2, Volatility::Immutable) };
    Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(truncate)), args))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Truncate {
    signature: Signature,
}

impl ScalarUDFImpl for Truncate {
    fn name(&self) -> &'static str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        arrow_type(&SqlType::Timestamp)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(unit)))) = args.args.first() else {
            return exec_err!("the unit of DATE_TRUNC must be a constant");
        };
        let Some(unit) = Unit::of(unit) else { return exec_err!("DATE_TRUNC does not know the unit {unit}") };
        kernel::evaluate(&args, |arrays| cut(&arrays[1], unit))
    }
}

fn cut(times: &ArrayRef, unit: Unit) -> Result<ArrayRef> {
    let times = times.as_primitive::<TimestampMillisecondType>();
    let start = |ms| unit.start(ms).ok_or_else(|| exec_datafusion_err!("the result is out of range for TIMESTAMP"));
    let cut: PrimitiveArray<TimestampMillisecondType> = times.try_unary(start)?;
    Ok(Arc::new(cut.with_timezone_opt(times.timezone())))
}

/// A unit of time to truncate to.
#[derive(Clone, Copy)]
enum Unit {
    /// A fixed number of milliseconds.
    Fixed(i64),
    Week,
    /// A number of months, counted from January.
    Months(i64),
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "microsecond" | "millisecond" => Self::Fixed(1),
            "second" => Self::Fixed(1000),
            "minute" => Self::Fixed(60_000),
            "hour" => Self::Fixed(3_600_000),
            "day" => Self::Fixed(DAY_MS),
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }

    /// The start of the unit that contains an instant, in milliseconds since 1970; none if it is out of range.
    fn start(self, ms: i64) -> Option<i64> {
        let day = ms.div_euclid(DAY_MS);
        let day = match self {
            Self::Fixed(length) => return ms.checked_sub(ms.rem_euclid(length)),
            // 1970 started on a Thursday; weeks start on Monday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Months(count) => {
                let (year, month) = month_of(day);
                first_day(year, month - (month - 1).rem_euclid(count))
            }
        };
        day.checked_mul(DAY_MS)
    }
}

/// The days in 400 years, after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;
/// The days from 1 March of the year 0 to 1 January 1970.
const FROM_MARCH: i64 = 719_468;

/// The year and the month, from 1, of a day counted from 1970. Years start in March here, so that a leap day is the
/// last day of a year.
fn month_of(day: i64) -> (i64, i64) {
    let day = day + FROM_MARCH;
    let (cycle, day) = (day.div_euclid(CYCLE_DAYS), day.rem_euclid(CYCLE_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let year = cycle * 400 + year;
    if month < 10 { (year, month + 3) } else { (year + 1, month - 9) }
}

/// The first day of a month, in days since 1970.
fn first_day(year: i64, month: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + 365 * year + year / 4 - year / 100;
    cycle * CYCLE_DAYS + day - FROM_MARCH
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, Days, NaiveDate};

    use super::*;

    #[test]
    fn the_calendar_is_that_of_everyone() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut date = NaiveDate::from_ymd_opt(-801, 12, 25).unwrap();
        while date.year() < 10_100 {
            let day = (date - epoch).num_days();
            let (year, month) = (i64::from(date.year()), i64::from(date.month()));
            assert_eq!(month_of(day), (year, month), "{date}");
            assert_eq!(first_day(year, month), day - i64::from(date.day0()), "{date}");
            date = date + Days::new(13);
        }
    }

    #[test]
    fn the_first_and_the_last_instant_have_their_units() {
        for unit in ["millisecond", "day", "week", "month", "quarter", "year"] {
            let unit = Unit::of(unit).unwrap();
            assert!(unit.start(i64::MAX).is_some_and(|start| start > i64::MAX - 366 * DAY_MS));
            assert!(unit.start(i64::MIN + 400 * DAY_MS).is_some());
        }
        assert_eq!(Unit::of("year").unwrap().start(i64::MIN), None);
        assert_eq!(Unit::of("millisecond").unwrap().start(i64::MIN), Some(i64::MIN));
    }
}
