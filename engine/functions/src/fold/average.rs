//! AVG: a sum and the number of values. Sums of INT and BIGINT wrap around like SUM. The average of no values is 0, as in
//! ksqlDB, which has no average of DECIMALs: theirs has the type that it has in bounded queries, and is rounded half up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal256Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, Float64Type,
    Int32Type, Int64Type, i256,
};

use super::Fold;
use super::numbers::{Numbers, OfNumbers};
use super::sum::{Addend, Sum};

/// AVG of values of this type.
pub(super) fn average(ty: &DataType) -> Option<Arc<dyn Fold>> {
    Some(match ty {
        DataType::Int32 => of_numbers::<Int32Type>(ty),
        DataType::Int64 => of_numbers::<Int64Type>(ty),
        DataType::Float64 => of_numbers::<Float64Type>(ty),
        DataType::Decimal128(digits, scale) => {
            of_decimals::<Decimal128Type>(&DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale), *digits, *scale)
        }
        DataType::Decimal256(digits, scale) => {
            of_decimals::<Decimal256Type>(&DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale), *digits, *scale)
        }
        _ => return None,
    })
}

fn of_numbers<T: Addend>(ty: &DataType) -> Arc<dyn Fold> {
    Arc::new(OfNumbers(Average { sum: Sum::<T>::new(ty), result: DataType::Float64 }))
}

/// The average of DECIMALs, whose sum has the type `sum`.
fn of_decimals<T: Addend>(sum: &DataType, digits: u8, scale: i8) -> Arc<dyn Fold> {
    Arc::new(OfNumbers(Average { sum: Sum::<T>::new(sum), result: decimal(digits, scale) }))
}

/// How many more digits after the decimal point an average of DECIMALs has than its values.
const MORE_DIGITS: u8 = 4;
/// The maximum number of digits of DECIMALs whose average has no more than 38.
const NARROW_MAX: u8 = 28;

/// The type of the average of DECIMALs with these digits.
fn decimal(digits: u8, scale: i8) -> DataType {
    let most = if digits <= NARROW_MAX { DECIMAL128_MAX_PRECISION } else { DECIMAL256_MAX_PRECISION };
    let digits = (digits + MORE_DIGITS).min(most);
    let scale = (scale + MORE_DIGITS.cast_signed()).min(most.cast_signed());
    match digits > DECIMAL128_MAX_PRECISION {
        true => DataType::Decimal256(digits, scale),
        false => DataType::Decimal128(digits, scale),
    }
}

/// The average of values of one type.
#[derive(Debug)]
struct Average<T> {
    sum: Sum<T>,
    /// The type of the result.
    result: DataType,
}

impl<T: Addend> Numbers for Average<T> {
    /// The sum and the number of values.
    type State = (T::Native, i64);
    type Arg = T::Native;

    fn fields(&self) -> Vec<Field> {
        self.sum.fields().into_iter().chain([Field::new("count", DataType::Int64, true)]).collect()
    }

    fn data_type(&self) -> DataType {
        self.result.clone()
    }

    fn read(&self, columns: &[ArrayRef]) -> Vec<Self::State> {
        let counts = columns[1].as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default);
        self.sum.read(columns).into_iter().zip(counts).collect()
    }

    fn write(&self, states: &[Self::State]) -> Vec<ArrayRef> {
        let counts = Int64Array::from_iter_values(states.iter().map(|(_, count)| *count));
        vec![Arc::new(self.sum.column(states.iter().map(|(sum, _)| *sum))), Arc::new(counts)]
    }

    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<T::Native>> + use<'a, T> {
        self.sum.args(columns)
    }

    fn add(&self, (sum, count): &mut Self::State, value: T::Native) -> Result<(), String> {
        self.sum.add(sum, value)?;
        *count += 1;
        Ok(())
    }

    fn undo(&self, (sum, count): &mut Self::State, value: T::Native) -> Result<(), String> {
        self.sum.undo(sum, value)?;
        *count -= 1;
        Ok(())
    }

    fn merge(&self, (sum, count): &mut Self::State, (other, more): Self::State) -> Result<(), String> {
        self.sum.add(sum, other)?;
        *count += more;
        Ok(())
    }

    fn results(&self, states: &[Self::State]) -> ArrayRef {
        let sums = self.sum.column(states.iter().map(|(sum, _)| *sum));
        let counts = states.iter().map(|(_, count)| *count);
        match self.result {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                let averages = decimals(&sums, counts, scale);
                cast(&averages, &self.result).expect("DECIMALs can be converted to each other")
            }
            _ => Arc::new(doubles(&sums, counts)),
        }
    }
}

/// The averages of whole numbers and DOUBLEs.
fn doubles(sums: &dyn Array, counts: impl Iterator<Item = i64>) -> Float64Array {
    let sums = cast(sums, &DataType::Float64).expect("every number is close to a DOUBLE");
    let average = |(sum, count): (&f64, i64)| if count == 0 { 0.0 } else { sum / count as f64 };
    Float64Array::from_iter_values(sums.as_primitive::<Float64Type>().values().iter().zip(counts).map(average))
}

/// The averages of DECIMALs, with this many digits after the decimal point.
fn decimals(sums: &dyn Array, counts: impl Iterator<Item = i64>, scale: i8) -> Decimal256Array {
    let own = if let DataType::Decimal128(_, own) | DataType::Decimal256(_, own) = sums.data_type() { *own } else { 0 };
    let sums = cast(sums, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, own)).expect("it is the widest DECIMAL");
    let unit = i256::from(10_i64.pow(u32::from((scale - own).unsigned_abs())));
    let averages = sums.as_primitive::<Decimal256Type>().values().iter().zip(counts);
    let averages: Decimal256Array = averages.map(|(sum, count)| quotient(*sum, i256::from(count), unit)).collect();
    averages.with_data_type(DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale))
}

/// `sum * unit / count`, rounded half up; 0 if there is nothing, and `None` if it is out of range.
fn quotient(sum: i256, count: i256, unit: i256) -> Option<i256> {
    if count == i256::ZERO {
        return Some(i256::ZERO);
    }
    // The remainder is less than the count, so it can be multiplied.
    let (whole, rest) = (sum.checked_div(count)?, sum.checked_rem(count)?.checked_mul(unit)?);
    let (digits, rest) = (rest.checked_div(count)?, rest.checked_rem(count)?);
    let away = if rest.wrapping_abs().checked_mul(i256::from(2_i64))? >= count.wrapping_abs() {
        i256::ONE
    } else {
        i256::ZERO
    };
    let away = if (sum < i256::ZERO) == (count < i256::ZERO) { away } else { away.wrapping_neg() };
    whole.checked_mul(unit)?.checked_add(digits)?.checked_add(away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_half_up() {
        let rounded = |sum: i64, count: i64| {
            quotient(i256::from(sum), i256::from(count), i256::from(10_i64)).and_then(i256::to_i128)
        };
        assert_eq!(
            [rounded(1, 3), rounded(2, 3), rounded(1, 4), rounded(-1, 4)],
            [Some(3), Some(7), Some(3), Some(-3)]
        );
        assert_eq!(
            [rounded(7, 1), rounded(-10, 3), rounded(0, 3), rounded(5, 0)],
            [Some(70), Some(-33), Some(0), Some(0)]
        );
        assert_eq!(quotient(i256::MAX, i256::ONE, i256::from(10_i64)), None);
    }

    #[test]
    fn averages_of_decimals_have_more_digits() {
        assert_eq!(decimal(4, 2), DataType::Decimal128(8, 6));
        assert_eq!(decimal(28, 28), DataType::Decimal128(32, 32));
        assert_eq!(decimal(38, 10), DataType::Decimal256(42, 14));
        assert_eq!(decimal(76, 75), DataType::Decimal256(76, 76));
    }
}
