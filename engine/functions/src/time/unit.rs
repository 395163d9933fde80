//! Units of time as keywords: the first argument of DATEADD and similar functions.
//!
//! The planner replaces the keyword by a call of an internal function, whose result is the unit's length, in a type
//! that no column has.

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::choice::UNIT;

/// The internal function for a unit.
pub const UNIT_CALL: &str = "headwater_unit";

/// Functions whose first argument is a unit.
pub const ADDING: &[&str] = &["DATEADD", "DATESUB", "TIMEADD", "TIMESUB", "TIMESTAMPADD", "TIMESTAMPSUB"];

/// The units and their lengths in milliseconds.
pub const UNITS: &[(&str, i64)] = &[
    ("DAY", 86_400_000),
    ("DAYS", 86_400_000),
    ("HOUR", 3_600_000),
    ("HOURS", 3_600_000),
    ("MINUTE", 60_000),
    ("MINUTES", 60_000),
    ("SECOND", 1_000),
    ("SECONDS", 1_000),
    ("MILLISECOND", 1),
    ("MILLISECONDS", 1),
];

/// True for a word that denotes a unit of time, whether or not it is supported.
pub fn is_unit_word(name: &str) -> bool {
    let unit = name.strip_suffix('S').unwrap_or(name);
    ["MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"].contains(&unit)
}

/// The length of the unit whose name is its constant argument.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct UnitCall {
    signature: Signature,
}

impl Default for UnitCall {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UnitCall {
    fn name(&self) -> &'static str {
        UNIT_CALL
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(UNIT)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let names = given.args[0].to_array(1)?;
        let name = names.as_string_opt::<i32>().map_or("", |names| names.value(0));
        match UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name)) {
            Some((_, ms)) => Ok(ColumnarValue::Scalar(ScalarValue::DurationMillisecond(Some(*ms)))),
            None => plan_err!("'{name}' is not a unit of time"),
        }
    }
}
