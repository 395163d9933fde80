//! CORRELATION: the Pearson correlation coefficient, computed from means and sums of deviations, so that large values
//! do not lose precision.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::recipe::{Order, Recipe, Shape};

/// CORRELATION.
pub static CORRELATION: Recipe = Recipe { order: Order::Any, sorts: false, retracts: true, state, accumulator };

/// Count, means of both, squares of both around them, products around them.
fn state(_: &Shape) -> Vec<DataType> {
    std::iter::once(DataType::Int64).chain(std::iter::repeat_n(DataType::Float64, 5)).collect()
}

fn accumulator(_: &Shape) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Correlation::default()))
}

/// How two columns are related.
#[derive(Clone, Copy, Debug, Default)]
pub struct Correlation {
    /// The number of rows.
    pub count: i64,
    /// The mean of the first column.
    pub mean_x: f64,
    /// The mean of the second column.
    pub mean_y: f64,
    /// The sum of the squares of the first column's distances from its mean.
    pub squares_x: f64,
    /// The same sum for the second column.
    pub squares_y: f64,
    /// The sum of the products of the distances of both columns.
    pub products: f64,
}

impl Correlation {
    /// Adds a row.
    pub fn add(&mut self, x: f64, y: f64) {
        self.merge(Self { count: 1, mean_x: x, mean_y: y, ..Self::default() });
    }

    /// Removes a row that was added.
    pub fn remove(&mut self, x: f64, y: f64) {
        if self.count <= 1 {
            *self = Self::default();
            return;
        }
        let (count, rest) = (self.count as f64, (self.count - 1) as f64);
        let (mean_x, mean_y) = ((self.mean_x * count - x) / rest, (self.mean_y * count - y) / rest);
        let (from_x, from_y) = (x - mean_x, y - mean_y);
        let weight = rest / count;
        self.squares_x -= from_x * from_x * weight;
        self.squares_y -= from_y * from_y * weight;
        self.products -= from_x * from_y * weight;
        (self.count, self.mean_x, self.mean_y) = (self.count - 1, mean_x, mean_y);
    }

    /// Adds the rows of another one.
    pub fn merge(&mut self, other: Self) {
        if self.count == 0 || other.count == 0 {
            *self = if self.count == 0 { other } else { *self };
            return;
        }
        let (here, there) = (self.count as f64, other.count as f64);
        let (share, weight) = (there / (here + there), here * there / (here + there));
        let (from_x, from_y) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        self.squares_x += other.squares_x + from_x * from_x * weight;
        self.squares_y += other.squares_y + from_y * from_y * weight;
        self.products += other.products + from_x * from_y * weight;
        self.mean_x += from_x * share;
        self.mean_y += from_y * share;
        self.count += other.count;
    }

    /// The coefficient; NaN for fewer than two rows, or if all values of a column are the same.
    pub fn coefficient(&self) -> f64 {
        let is_flat = self.count < 2 || self.squares_x <= 0.0 || self.squares_y <= 0.0;
        // One root is the most precise, but the product of very large or very small squares is out of range.
        let product = self.squares_x * self.squares_y;
        let divisor = match product.is_normal() {
            true => product.sqrt(),
            false => self.squares_x.sqrt() * self.squares_y.sqrt(),
        };
        let coefficient = self.products / divisor;
        if is_flat { f64::NAN } else { coefficient.clamp(-1.0, 1.0) }
    }

    /// Its numbers after the count.
    pub fn numbers(&self) -> [f64; 5] {
        [self.mean_x, self.mean_y, self.squares_x, self.squares_y, self.products]
    }
}

/// The number of rows in which both columns have a value.
fn pairs(columns: &[ArrayRef]) -> impl Iterator<Item = (f64, f64)> {
    let [xs, ys] = [0, 1].map(|column| columns[column].as_primitive::<Float64Type>());
    xs.iter().zip(ys).filter_map(|(x, y)| x.zip(y))
}

impl Accumulator for Correlation {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        pairs(columns).for_each(|(x, y)| self.add(x, y));
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        pairs(columns).for_each(|(x, y)| self.remove(x, y));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::from(self.coefficient()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(std::iter::once(self.count.into()).chain(self.numbers().map(ScalarValue::from)).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let numbers = [1, 2, 3, 4, 5].map(|column| states[column].as_primitive::<Float64Type>());
        for row in 0..counts.len() {
            let [mean_x, mean_y, squares_x, squares_y, products] = numbers.map(|numbers| numbers.value(row));
            let count = counts.value(row);
            self.merge(Self { count, mean_x, mean_y, squares_x, squares_y, products });
        }
        Ok(())
    }
}
