//! STDDEV_SAMPLE and STDDEV_SAMP, by the sums of Youngs and Cramer, as ksqlDB computes them, to the last digit.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::recipe::{Order, Recipe, Shape};

/// STDDEV_SAMPLE: the sample standard deviation.
pub static DEVIATION: Recipe =
    Recipe { order: Order::Any, sorts: false, retracts: true, state, accumulator: deviation };

/// STDDEV_SAMP: despite its name, the sample variance.
pub static VARIANCE: Recipe = Recipe { order: Order::Any, sorts: false, retracts: true, state, accumulator: variance };

/// Count, sum and the sum of squares around the mean.
fn state(_: &Shape) -> Vec<DataType> {
    vec![DataType::Int64, DataType::Float64, DataType::Float64]
}

fn deviation(_: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Deviation { root: true, spread: Spread::default() }))
}

fn variance(_: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Deviation { root: false, spread: Spread::default() }))
}

/// How far values are spread around their mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// The number of values.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
    /// The sum of the squares of their distances from the mean.
    pub squares: f64,
}

impl Spread {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if self.count > 1 {
            self.squares += self.step(value);
        }
    }

    /// Removes a value that was added.
    pub fn remove(&mut self, value: f64) {
        match self.count {
            ..=1 => (self.count, self.sum, self.squares) = (0, 0.0, 0.0),
            _ => {
                self.squares -= self.step(value);
                self.count -= 1;
                self.sum -= value;
            }
        }
    }

    /// The amount that a value adds to the squares.
    fn step(&self, value: f64) -> f64 {
        let count = self.count as f64;
        let difference = count * value - self.sum;
        difference * difference / (count * (count - 1.0))
    }

    /// Adds the values of another one.
    pub fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        if self.count > 0 {
            let (here, there) = (self.count as f64, other.count as f64);
            let difference = there * self.sum - here * other.sum;
            self.squares += difference * difference / (here * there * (here + there));
        }
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The sample variance; 0 for fewer than two values.
    pub fn variance(&self) -> f64 {
        match self.count {
            _ if self.squares.is_nan() => f64::NAN,
            ..=1 => 0.0,
            // Retractions may have left a negative remainder.
            count => (self.squares / (count - 1) as f64).max(0.0),
        }
    }
}

#[derive(Debug)]
struct Deviation {
    root: bool,
    spread: Spread,
}

impl Accumulator for Deviation {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        columns[0].as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.spread.add(value));
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        columns[0].as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.spread.remove(value));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let variance = self.spread.variance();
        Ok(ScalarValue::from(if self.root { variance.sqrt() } else { variance }))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Spread { count, sum, squares } = self.spread;
        Ok(vec![count.into(), sum.into(), squares.into()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let [sums, squares] = [1, 2].map(|column| states[column].as_primitive::<Float64Type>());
        for row in 0..counts.len() {
            let (count, sum, squares) = (counts.value(row), sums.value(row), squares.value(row));
            self.spread.merge(Spread { count, sum, squares });
        }
        Ok(())
    }
}
