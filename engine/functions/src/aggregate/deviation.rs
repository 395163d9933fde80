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
    Ok(Box::new(Spread { root: true, ..Spread::default() }))
}

fn variance(_: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Spread::default()))
}

#[derive(Debug, Default)]
struct Spread {
    root: bool,
    count: i64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if self.count > 1 {
            self.squares += self.step(value);
        }
    }

    fn remove(&mut self, value: f64) {
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

    fn merge(&mut self, count: i64, sum: f64, squares: f64) {
        if count == 0 {
            return;
        }
        if self.count > 0 {
            let (here, there) = (self.count as f64, count as f64);
            let difference = there * self.sum - here * sum;
            self.squares += difference * difference / (here * there * (here + there));
        }
        self.count += count;
        self.sum += sum;
        self.squares += squares;
    }
}

impl Accumulator for Spread {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        columns[0].as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.add(value));
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        columns[0].as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.remove(value));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let variance = match self.count {
            ..=1 => 0.0,
            // Retractions may have left a negative remainder.
            count => (self.squares / (count - 1) as f64).max(0.0),
        };
        let variance = if self.squares.is_nan() { f64::NAN } else { variance };
        Ok(ScalarValue::from(if self.root { variance.sqrt() } else { variance }))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.count.into(), self.sum.into(), self.squares.into()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let [sums, squares] = [1, 2].map(|column| states[column].as_primitive::<Float64Type>());
        for row in 0..counts.len() {
            self.merge(counts.value(row), sums.value(row), squares.value(row));
        }
        Ok(())
    }
}
