//! SUM of DECIMALs: the result is exact or the query fails; it is never a wrong number.
//!
//! DataFusion (55) adds within 38 digits and wraps around beyond that (apache/datafusion#16406). Here the result of SUM
//! has ten digits more than its input, up to 76; only sums of DECIMALs with more than 66 digits can overflow.

use std::collections::HashSet;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal256Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Decimal256Type, Field, FieldRef, i256};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Cast, Expr, ExprSchemable, Signature, Volatility,
};
use headwater_language::types::DECIMAL_PRECISION_MAX;

use super::aggregates;

/// How many digits more a sum has than its input.
const MORE_DIGITS: u8 = 10;

/// The precision of the narrower of Arrow's DECIMALs.
const NARROW_DIGITS: u8 = 38;

/// Widens the sums in an expression.
pub(super) fn settle(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    aggregates::each(expr, |call| Ok(adds(call.function) && widen(call.args, call.function, schema)?))
}

/// Whether an aggregate adds its input: SUM, and AVG, whose result has four digits more than its input.
fn adds(function: &AggregateUDF) -> bool {
    matches!(function.name(), "sum" | "avg")
}

/// Widens the input of a sum. False if it is wide enough already.
fn widen(args: &mut [Expr], function: &mut Arc<AggregateUDF>, schema: &DFSchema) -> Result<bool> {
    let [value] = args else { return Ok(false) };
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = value.get_type(schema)?
    else {
        return Ok(false);
    };
    if precision + MORE_DIGITS <= NARROW_DIGITS {
        return Ok(false);
    }
    if precision + MORE_DIGITS > DECIMAL_PRECISION_MAX && function.name() == "sum" {
        *function = Arc::new(AggregateUDF::from(CheckedSum::default()));
    }
    let wide = DataType::Decimal256(precision, scale);
    if value.get_type(schema)? != wide {
        *value = Expr::Cast(Cast::new(Box::new(std::mem::take(value)), wide));
    }
    Ok(true)
}

/// SUM that fails on overflow.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    signature: Signature,
}

impl Default for CheckedSum {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Decimal256(_, scale)] => Ok(DataType::Decimal256(DECIMAL_PRECISION_MAX, *scale)),
            _ => exec_err!("SUM needs numbers"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let ty = args.return_field.data_type().clone();
        Ok(match args.is_distinct {
            true => Box::new(DistinctSum { ty, seen: HashSet::new() }),
            false => Box::new(Sum { ty, sum: i256::ZERO, rows: 0 }),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let value = Field::new(format!("{}[sum]", args.name), args.return_type().clone(), true);
        Ok(match args.is_distinct {
            true => vec![Arc::new(Field::new_list(value.name().clone(), value.with_name("item"), true))],
            false => {
                vec![Arc::new(value), Arc::new(Field::new(format!("{}[rows]", args.name), DataType::UInt64, false))]
            }
        })
    }
}

/// The sum after a number was added or subtracted; fails on overflow.
fn checked(sum: Option<i256>) -> Result<i256> {
    match sum {
        Some(sum) => Ok(sum),
        None => exec_err!("the result of SUM has more than {DECIMAL_PRECISION_MAX} digits"),
    }
}

/// The sum as a value of its type; fails if it has too many digits.
fn value(sum: i256, ty: &DataType) -> Result<ScalarValue> {
    let DataType::Decimal256(precision, scale) = *ty else { return exec_err!("SUM must return a DECIMAL") };
    let limit = i256::from_i128(10).checked_pow(u32::from(precision));
    let fits = limit.is_none_or(|limit| sum < limit && sum > limit.wrapping_neg());
    let sum = checked(fits.then_some(sum))?;
    Ok(ScalarValue::Decimal256(Some(sum), precision, scale))
}

fn decimals(values: &ArrayRef) -> impl Iterator<Item = i256> {
    values.as_primitive::<Decimal256Type>().iter().flatten()
}

#[derive(Debug)]
struct Sum {
    ty: DataType,
    sum: i256,
    rows: u64,
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in decimals(&values[0]) {
            self.sum = checked(self.sum.checked_add(value))?;
            self.rows += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in decimals(&values[0]) {
            self.sum = checked(self.sum.checked_sub(value))?;
            self.rows -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.rows == 0 { ScalarValue::try_new_null(&self.ty) } else { value(self.sum, &self.ty) }
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?, ScalarValue::UInt64(Some(self.rows))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for sum in decimals(&states[0]) {
            self.sum = checked(self.sum.checked_add(sum))?;
        }
        self.rows += states[1].as_primitive::<arrow::datatypes::UInt64Type>().iter().flatten().sum::<u64>();
        Ok(())
    }
}

#[derive(Debug)]
struct DistinctSum {
    ty: DataType,
    seen: HashSet<i256>,
}

impl Accumulator for DistinctSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.seen.extend(decimals(&values[0]));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.seen.is_empty() {
            return ScalarValue::try_new_null(&self.ty);
        }
        let sum = self.seen.iter().try_fold(i256::ZERO, |sum, value| checked(sum.checked_add(*value)))?;
        value(sum, &self.ty)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.capacity() * size_of::<i256>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let DataType::Decimal256(precision, scale) = self.ty else { return exec_err!("SUM must return a DECIMAL") };
        let values = Decimal256Array::from_iter_values(self.seen.iter().copied());
        let values = Arc::new(values.with_precision_and_scale(precision, scale)?);
        let item = Arc::new(Field::new("item", self.ty.clone(), true));
        let list = ListArray::try_new(item, OffsetBuffer::from_lengths([values.len()]), values, None)?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        lists.iter().flatten().for_each(|values| self.seen.extend(decimals(&values)));
        Ok(())
    }
}
