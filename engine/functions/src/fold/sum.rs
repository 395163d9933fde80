//! SUM. Sums of INT and BIGINT wrap around, as in ksqlDB; a row is rejected if the sum of DECIMALs would have too many
//! digits.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DecimalType, Field, Float64Type, Int32Type, Int64Type,
};
use headwater_language::types::type_name;

use super::Fold;
use super::numbers::{Numbers, OfNumbers};

/// SUM of values of this type, which is also the type of the sum.
pub(super) fn sum(ty: &DataType) -> Option<Arc<dyn Fold>> {
    Some(match ty {
        DataType::Int32 => Arc::new(OfNumbers(Sum::<Int32Type>::new(ty))),
        DataType::Int64 => Arc::new(OfNumbers(Sum::<Int64Type>::new(ty))),
        DataType::Float64 => Arc::new(OfNumbers(Sum::<Float64Type>::new(ty))),
        DataType::Decimal128(..) => Arc::new(OfNumbers(Sum::<Decimal128Type>::new(ty))),
        DataType::Decimal256(..) => Arc::new(OfNumbers(Sum::<Decimal256Type>::new(ty))),
        _ => return None,
    })
}

/// A type whose values can be added.
pub(super) trait Addend: ArrowPrimitiveType<Native: ArrowNativeTypeOp> + Debug + Send + Sync {
    /// The sum of two values; `None` if it has more than `digits` digits.
    fn plus(one: Self::Native, other: Self::Native, digits: u8) -> Option<Self::Native>;

    /// The difference of two values; `None` if it has more than `digits` digits.
    fn minus(one: Self::Native, other: Self::Native, digits: u8) -> Option<Self::Native>;
}

/// Implements [`Addend`] for types without a limit, and for DECIMALs.
macro_rules! addends {
    (wrapping $($ty:ty),*; limited $($decimal:ty),*) => {
        $(impl Addend for $ty {
            fn plus(one: Self::Native, other: Self::Native, _: u8) -> Option<Self::Native> {
                Some(one.add_wrapping(other))
            }

            fn minus(one: Self::Native, other: Self::Native, _: u8) -> Option<Self::Native> {
                Some(one.sub_wrapping(other))
            }
        })*
        $(impl Addend for $decimal {
            fn plus(one: Self::Native, other: Self::Native, digits: u8) -> Option<Self::Native> {
                one.add_checked(other).ok().filter(|sum| Self::is_valid_decimal_precision(*sum, digits))
            }

            fn minus(one: Self::Native, other: Self::Native, digits: u8) -> Option<Self::Native> {
                one.sub_checked(other).ok().filter(|sum| Self::is_valid_decimal_precision(*sum, digits))
            }
        })*
    };
}

addends!(wrapping Int32Type, Int64Type, Float64Type; limited Decimal128Type, Decimal256Type);

/// The sum of values of one type.
#[derive(Debug)]
pub(super) struct Sum<T> {
    data_type: DataType,
    digits: u8,
    addend: std::marker::PhantomData<T>,
}

impl<T: Addend> Sum<T> {
    /// The sum of values of this type.
    pub(super) fn new(ty: &DataType) -> Self {
        let digits = match ty {
            DataType::Decimal128(digits, _) | DataType::Decimal256(digits, _) => *digits,
            _ => 0,
        };
        Self { data_type: ty.clone(), digits, addend: std::marker::PhantomData }
    }

    /// These sums as a column.
    pub(super) fn column(&self, sums: impl IntoIterator<Item = T::Native>) -> PrimitiveArray<T> {
        PrimitiveArray::from_iter_values(sums).with_data_type(self.data_type.clone())
    }

    /// Sets a sum to its new value, if it has one.
    fn set(&self, sum: &mut T::Native, new: Option<T::Native>) -> Result<(), String> {
        let found = new.ok_or_else(|| format!("the sum exceeds {}", type_name(&self.data_type)))?;
        *sum = found;
        Ok(())
    }
}

impl<T: Addend> Numbers for Sum<T> {
    type State = T::Native;
    type Arg = T::Native;

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("sum", self.data_type.clone(), true)]
    }

    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn read(&self, columns: &[ArrayRef]) -> Vec<T::Native> {
        columns[0].as_primitive::<T>().iter().map(Option::unwrap_or_default).collect()
    }

    fn write(&self, sums: &[T::Native]) -> Vec<ArrayRef> {
        vec![self.results(sums)]
    }

    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<T::Native>> + use<'a, T> {
        columns[0].as_primitive::<T>().iter()
    }

    fn add(&self, sum: &mut T::Native, value: T::Native) -> Result<(), String> {
        self.set(sum, T::plus(*sum, value, self.digits))
    }

    fn undo(&self, sum: &mut T::Native, value: T::Native) -> Result<(), String> {
        self.set(sum, T::minus(*sum, value, self.digits))
    }

    fn merge(&self, sum: &mut T::Native, other: T::Native) -> Result<(), String> {
        self.add(sum, other)
    }

    fn results(&self, sums: &[T::Native]) -> ArrayRef {
        Arc::new(self.column(sums.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Float64Array, Int32Array};

    use super::super::average::average;
    use super::super::for_tests::{folded, more, running, texts};
    use super::*;

    #[test]
    fn sums_of_whole_numbers_wrap_around() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(i32::MAX), Some(1), None]));
        let sum = sum(&DataType::Int32).expect("it can be summed");
        assert_eq!(running(&*sum, &[values], &[]), ["0", "2147483647", "-2147483648", "-2147483648"]);
    }

    /// Goal: a null that is undone is nothing. Method: a row of a table is null, then 5, then null, then deleted.
    #[test]
    fn an_undone_null_is_nothing() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![None, None, Some(5), Some(5), None, None]));
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![None, None, Some(5.0), Some(5.0), None, None]));
        let undone = [1, 3, 5];
        for (values, sums) in
            [(ints, ["0", "0", "5", "0", "0", "0"]), (doubles, ["0.0", "0.0", "5.0", "0.0", "0.0", "0.0"])]
        {
            let sum = sum(values.data_type()).expect("it can be summed");
            assert_eq!(running(&*sum, std::slice::from_ref(&values), &undone), sums);
            let average = average(values.data_type()).expect("it has an average");
            assert_eq!(running(&*average, &[values], &undone), ["0.0", "0.0", "5.0", "0.0", "0.0", "0.0"]);
        }
    }

    /// Goal: a row that does not fit is rejected, and the group keeps its value. Method: the sum of DECIMAL(4, 2) passes 99.99.
    #[test]
    fn a_row_that_does_not_fit_is_rejected() {
        let decimals = |values: Vec<i128>| -> ArrayRef {
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(4, 2).expect("four digits"))
        };
        let sum = sum(&DataType::Decimal128(4, 2)).expect("it can be summed");
        let first = folded(&*sum, &[decimals(vec![3033, 2234, 4099, 2000, -5000])], &[]);
        assert_eq!(first.rejected, [(3, "the sum exceeds DECIMAL(4, 2)".to_owned())]);
        let running = first.running.expect("it was requested");
        assert_eq!(texts(&running), ["30.33", "52.67", "93.66", "93.66", "43.66"]);
        let then = more(&*sum, &first.state, &[decimals(vec![9999, 9999, 1])], &[1]);
        assert_eq!(then.rejected.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0]);
        assert_eq!(texts(&sum.result(&then.state)), ["-56.32"]);
        let both =
            [arrow::compute::concat(&[decimals(vec![9999]).as_ref(), decimals(vec![1]).as_ref()]).expect("one type")];
        let error = sum.merge(&both, &[0, 0], 1).expect_err("it does not fit");
        assert!(error.to_string().contains("the sum exceeds DECIMAL(4, 2)"), "{error}");
    }
}
