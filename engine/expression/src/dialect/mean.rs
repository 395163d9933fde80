//! AVG of integers: the exact sum, divided once.
//!
//! DataFusion (55) converts them to DOUBLE before it adds, so that the average of 9223372036854775807 and
//! -9223372036854775808 was 0 instead of -0.5, and a sliding frame over them lost digits. Exact sums also allow values
//! to be subtracted again.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Cast, EmitTo, Expr, ExprSchemable, GroupsAccumulator, ReversedUDAF,
    Signature, Volatility,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::accumulate::accumulate;

use super::aggregates;

/// The type of a partial sum: 38 digits are enough for as many integers as there can be rows.
const SUM: DataType = DataType::Decimal128(38, 0);

/// Replaces averages of integers with exact ones.
pub(super) fn settle(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    aggregates::each(expr, |call| {
        let [value] = &mut call.args[..] else { return Ok(false) };
        if call.function.name() != "avg" || call.function.inner().downcast_ref::<Mean>().is_some() {
            return Ok(false);
        }
        match value.get_type(schema)? {
            DataType::Int64 => {}
            DataType::Int32 => *value = Expr::Cast(Cast::new(Box::new(std::mem::take(value)), DataType::Int64)),
            _ => return Ok(false),
        }
        *call.function = Arc::new(AggregateUDF::from(Mean::default()));
        Ok(true)
    })
}

/// AVG of BIGINTs.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mean {
    signature: Signature,
}

impl Default for Mean {
    fn default() -> Self {
        Self { signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Mean {
    fn name(&self) -> &'static str {
        "avg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(match args.is_distinct {
            true => Box::new(DistinctMean::default()),
            false => Box::new(Sum::default()),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = |part: &str| format_state_name(args.name, part);
        Ok(match args.is_distinct {
            true => vec![Arc::new(Field::new_list(name("values"), Field::new_list_field(DataType::Int64, true), true))],
            false => vec![
                Arc::new(Field::new(name("sum"), SUM, false)),
                Arc::new(Field::new(name("rows"), DataType::UInt64, false)),
            ],
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Means::default()))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn whole_numbers(values: &ArrayRef) -> impl Iterator<Item = i64> {
    values.as_primitive::<Int64Type>().iter().flatten()
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: i128,
    rows: u64,
}

impl Sum {
    fn mean(self) -> Option<f64> {
        (self.rows > 0).then(|| self.sum as f64 / self.rows as f64)
    }
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in whole_numbers(&values[0]) {
            self.sum += i128::from(value);
            self.rows += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in whole_numbers(&values[0]) {
            self.sum -= i128::from(value);
            self.rows -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.mean()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128(Some(self.sum), 38, 0), ScalarValue::from(self.rows)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (sums, rows) = (states[0].as_primitive::<Decimal128Type>(), states[1].as_primitive::<UInt64Type>());
        self.sum += sums.iter().flatten().sum::<i128>();
        self.rows += rows.iter().flatten().sum::<u64>();
        Ok(())
    }
}

#[derive(Debug, Default)]
struct DistinctMean {
    seen: HashSet<i64>,
}

impl Accumulator for DistinctMean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.seen.extend(whole_numbers(&values[0]));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.seen.iter().copied().map(i128::from).sum();
        Ok(ScalarValue::Float64(Sum { sum, rows: self.seen.len() as u64 }.mean()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.capacity() * size_of::<i64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.seen.iter().copied().map(ScalarValue::from).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Int64))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        lists.iter().flatten().for_each(|values| self.seen.extend(whole_numbers(&values)));
        Ok(())
    }
}

/// The sums of many groups.
#[derive(Default)]
struct Means {
    groups: Vec<Sum>,
}

/// The partial state: sums and numbers of rows.
fn states(sums: &[Sum]) -> Result<Vec<ArrayRef>> {
    let totals = Decimal128Array::from_iter_values(sums.iter().map(|sum| sum.sum)).with_data_type(SUM);
    let rows = UInt64Array::from_iter_values(sums.iter().map(|sum| sum.rows));
    Ok(vec![Arc::new(totals), Arc::new(rows)])
}

impl GroupsAccumulator for Means {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        wanted: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize(total, Sum::default());
        accumulate(groups, values[0].as_primitive::<Int64Type>(), wanted, |group, value| {
            self.groups[group].sum += i128::from(value);
            self.groups[group].rows += 1;
        });
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = emit.take_needed(&mut self.groups);
        Ok(Arc::new(groups.into_iter().map(Sum::mean).collect::<Float64Array>()))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        states(&emit.take_needed(&mut self.groups))
    }

    fn merge_batch(&mut self, columns: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize(total, Sum::default());
        let (sums, rows) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<UInt64Type>());
        for (at, group) in groups.iter().enumerate() {
            self.groups[*group].sum += sums.value(at);
            self.groups[*group].rows += rows.value(at);
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], wanted: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values: &Int64Array = values[0].as_primitive();
        let is_wanted = |at: usize| wanted.is_none_or(|wanted| wanted.is_valid(at) && wanted.value(at));
        let sum = |at: usize| match values.is_valid(at) && is_wanted(at) {
            true => Sum { sum: i128::from(values.value(at)), rows: 1 },
            false => Sum::default(),
        };
        states(&(0..values.len()).map(sum).collect::<Vec<_>>())
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Sum>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_the_exact_sum() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MIN)]));
        let mut sum = Sum::default();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Float64(None));
        sum.update_batch(std::slice::from_ref(&values)).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::from(-0.5));
        sum.retract_batch(&[values.slice(0, 1)]).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::from(i64::MIN as f64));
    }

    #[test]
    fn groups_have_the_means_of_single_values() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(2), Some(9)]));
        let wanted = BooleanArray::from(vec![Some(true), Some(true), Some(true), None]);
        let mut means = Means::default();
        means.update_batch(std::slice::from_ref(&values), &[0, 1, 0, 0], Some(&wanted), 2).unwrap();
        let states = means.convert_to_state(std::slice::from_ref(&values), Some(&wanted)).unwrap();
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), None]));
        assert_eq!(&means.evaluate(EmitTo::All).unwrap(), &expected);
        let mut merged = Means::default();
        merged.merge_batch(&states, &[0, 1, 0, 0], 2).unwrap();
        assert_eq!(&merged.evaluate(EmitTo::All).unwrap(), &expected);
    }
}
